#include "system/links_and_routes.h"

#include <fmt/format.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace drpf::system {
namespace {

constexpr int dump_tries_max = 5;

std::uint8_t kernel_family(Family family) { return family == Family::v4 ? AF_INET : AF_INET6; }

// rtnetlink's fixed headers are plain structs in host order.
template <class T>
ByteView as_bytes(const T& header) {
  return {reinterpret_cast<const std::uint8_t*>(&header), sizeof header};
}

template <class T>
std::optional<T> read_header(const NetlinkMessage& message) {
  if (message.payload.size() < sizeof(T)) return std::nullopt;
  T header{};
  std::memcpy(&header, message.payload.data(), sizeof header);
  return header;
}

std::optional<Address> read_address(ByteView bytes) {
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  return Address::from_bytes(bytes);
}

std::optional<Prefix> read_prefix(const std::optional<NetlinkAttribute>& attribute, unsigned length) {
  if (!attribute) return std::nullopt;
  const auto address = read_address(attribute->payload);
  if (!address || length > address->bits()) return std::nullopt;
  return Prefix(*address, length);
}

Prefix everything(std::uint8_t family) { return family == AF_INET ? Prefix(Address::v4(0), 0) : *parse_prefix("::/0"); }

std::uint8_t kernel_type(RouteType type) {
  switch (type) {
    case RouteType::unicast:
      return RTN_UNICAST;
    case RouteType::local:
      return RTN_LOCAL;
    case RouteType::blackhole:
      return RTN_BLACKHOLE;
    case RouteType::unreachable:
      return RTN_UNREACHABLE;
  }
  return RTN_UNSPEC;
}

std::optional<RouteType> route_type(std::uint8_t type) {
  switch (type) {
    case RTN_UNICAST:
      return RouteType::unicast;
    case RTN_LOCAL:
      return RouteType::local;
    case RTN_BLACKHOLE:
      return RouteType::blackhole;
    case RTN_UNREACHABLE:
      return RouteType::unreachable;
    default:
      return std::nullopt;
  }
}

std::uint8_t kernel_action(RuleAction action) {
  switch (action) {
    case RuleAction::lookup:
      return FR_ACT_TO_TBL;
    case RuleAction::blackhole:
      return FR_ACT_BLACKHOLE;
    case RuleAction::unreachable:
      return FR_ACT_UNREACHABLE;
  }
  return FR_ACT_UNSPEC;
}

std::optional<RuleAction> rule_action(std::uint8_t action) {
  switch (action) {
    case FR_ACT_TO_TBL:
      return RuleAction::lookup;
    case FR_ACT_BLACKHOLE:
      return RuleAction::blackhole;
    case FR_ACT_UNREACHABLE:
      return RuleAction::unreachable;
    default:
      return std::nullopt;
  }
}

std::string describe(const Route& route) {
  std::string text = to_string(route.destination);
  if (route.gateway) text += " via " + to_string(*route.gateway);
  if (route.interface) text += " dev " + *route.interface;
  if (route.type == RouteType::blackhole) text = "blackhole " + text;
  if (route.type == RouteType::unreachable) text = "unreachable " + text;
  if (route.type == RouteType::local) text = "local " + text;
  if (route.table != routing_table::main) text += fmt::format(" table {}", route.table);
  return text;
}

Link read_link(const ifinfomsg& header, ByteView attributes) {
  Link link{
      .index = header.ifi_index, .name = {}, .mtu = 0, .transmit_queue_length = 0, .up = (header.ifi_flags & IFF_UP) != 0, .kind = {}};
  NetlinkAttributes walk(attributes);
  while (const auto attribute = walk.next()) {
    if (attribute->type == IFLA_IFNAME) link.name = attribute->text();
    if (attribute->type == IFLA_MTU) link.mtu = attribute->u32();
    if (attribute->type == IFLA_TXQLEN) link.transmit_queue_length = attribute->u32();
    if (attribute->type == IFLA_LINKINFO)
      if (const auto kind = find_attribute(attribute->payload, IFLA_INFO_KIND)) link.kind = kind->text();
  }
  return link;
}

// Dumps until the kernel says that what was read is one state.
template <class Build, class Visit, class Clear>
Status dump_whole(NetlinkSocket& socket, std::string_view attempt, Build build, Visit visit, Clear clear) {
  for (int i = 0; i < dump_tries_max; ++i) {
    clear();
    NetlinkWriter message = build();
    const auto whole = socket.dump(message, attempt, visit);
    if (!whole) return fail(whole.error());
    if (*whole) return {};
  }
  return {};  // links that never stop changing: the last reading is as good as any
}

}  // namespace

Result<LinksAndRoutes> LinksAndRoutes::open() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return fail(socket.error());
  return LinksAndRoutes(std::move(*socket));
}

Result<std::vector<Link>> LinksAndRoutes::links() {
  std::vector<Link> out;
  const auto dumped = dump_whole(
      socket_, "list the network interfaces",
      [&] {
        NetlinkWriter message;
        const ifinfomsg header{};
        message.message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, socket_.next_sequence()).header(as_bytes(header));
        return message;
      },
      [&](const NetlinkMessage& reply) {
        const auto header = read_header<ifinfomsg>(reply);
        if (reply.type == RTM_NEWLINK && header) out.push_back(read_link(*header, reply.attributes(sizeof(ifinfomsg))));
      },
      [&] { out.clear(); });
  if (!dumped) return fail(dumped.error());
  return out;
}

Result<Link> LinksAndRoutes::link(const std::string& name) {
  NetlinkWriter message;
  const ifinfomsg header{};
  message.message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, socket_.next_sequence()).header(as_bytes(header)).text(IFLA_IFNAME, name);
  std::optional<Link> found;
  const auto asked = socket_.request(message, "look up interface " + name, [&](const NetlinkMessage& reply) {
    const auto reply_header = read_header<ifinfomsg>(reply);
    if (reply.type == RTM_NEWLINK && reply_header) found = read_link(*reply_header, reply.attributes(sizeof(ifinfomsg)));
  });
  if (!asked && !is_errno(asked.error(), ENODEV) && !is_errno(asked.error(), ERANGE)) return fail(asked.error());
  if (!found) return fail(not_found("interface_unknown", "there is no network interface '" + name + "'", "list them with: ip link"));
  return *found;
}

Result<int> LinksAndRoutes::index_of(const std::string& name) {
  const auto found = link(name);
  if (!found) return fail(found.error());
  return found->index;
}

Result<std::string> LinksAndRoutes::name_of(int index) {
  char name[IF_NAMESIZE];
  if (if_indextoname(static_cast<unsigned>(index), name) == nullptr)
    return fail(not_found("interface_unknown", fmt::format("there is no network interface number {}", index)));
  return std::string(name);
}

Status LinksAndRoutes::change_link(const std::string& name, const LinkChange& change) {
  const auto index = index_of(name);
  if (!index) return fail(index.error());
  ifinfomsg header{};
  header.ifi_index = *index;
  if (change.up) {
    header.ifi_change = IFF_UP;
    header.ifi_flags = *change.up ? IFF_UP : 0;
  }
  NetlinkWriter message;
  message.message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, socket_.next_sequence()).header(as_bytes(header));
  if (change.mtu) message.u32(IFLA_MTU, *change.mtu);
  if (change.transmit_queue_length) message.u32(IFLA_TXQLEN, *change.transmit_queue_length);
  return socket_.request(message, "change interface " + name);
}

Status LinksAndRoutes::remove_link(const std::string& name) {
  const auto index = index_of(name);
  if (!index) {
    if (index.error().kind == Error::Kind::not_found) return {};
    return fail(index.error());
  }
  ifinfomsg header{};
  header.ifi_index = *index;
  NetlinkWriter message;
  message.message(RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, socket_.next_sequence()).header(as_bytes(header));
  auto removed = socket_.request(message, "remove interface " + name);
  if (!removed && is_errno(removed.error(), ENODEV)) return {};
  return removed;
}

Status LinksAndRoutes::ensure_link(const std::string& name, const std::string& kind) {
  const auto present = link(name);
  if (present && present->kind == kind) return {};
  if (!present && present.error().kind != Error::Kind::not_found) return fail(present.error());
  NetlinkWriter message;
  const ifinfomsg header{};
  message.message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, socket_.next_sequence())
      .header(as_bytes(header))
      .text(IFLA_IFNAME, name);
  const auto info = message.open(IFLA_LINKINFO);
  message.text(IFLA_INFO_KIND, kind);
  message.close(info);
  return socket_.request(message, "make interface " + name + " (" + kind + ")");
}

Result<std::vector<InterfaceAddress>> LinksAndRoutes::addresses() {
  std::vector<std::pair<int, InterfaceAddress>> found;
  const auto dumped = dump_whole(
      socket_, "list the addresses of the network interfaces",
      [&] {
        NetlinkWriter message;
        const ifaddrmsg header{};
        message.message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, socket_.next_sequence()).header(as_bytes(header));
        return message;
      },
      [&](const NetlinkMessage& reply) {
        const auto header = read_header<ifaddrmsg>(reply);
        if (reply.type != RTM_NEWADDR || !header) return;
        const auto attributes = reply.attributes(sizeof(ifaddrmsg));
        // IFA_LOCAL is this host's address where the link is point-to-point; IPv6 sends only IFA_ADDRESS.
        auto address = find_attribute(attributes, IFA_LOCAL);
        if (!address) address = find_attribute(attributes, IFA_ADDRESS);
        if (!address) return;
        const auto value = read_address(address->payload);
        if (!value) return;
        std::uint32_t flags = header->ifa_flags;
        if (const auto wide = find_attribute(attributes, IFA_FLAGS)) flags = wide->u32();
        found.emplace_back(static_cast<int>(header->ifa_index),
                           InterfaceAddress{.interface = {},
                                            .address = *value,
                                            .prefix_length = header->ifa_prefixlen,
                                            .global = header->ifa_scope == RT_SCOPE_UNIVERSE,
                                            .deprecated = (flags & (IFA_F_DEPRECATED | IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0,
                                            .temporary = (flags & IFA_F_TEMPORARY) != 0});
      },
      [&] { found.clear(); });
  if (!dumped) return fail(dumped.error());
  std::vector<InterfaceAddress> out;
  for (auto& [index, address] : found) {
    const auto name = name_of(index);
    if (!name) continue;  // gone since
    address.interface = *name;
    out.push_back(std::move(address));
  }
  return out;
}

Result<std::vector<InterfaceAddress>> LinksAndRoutes::addresses_of(const std::string& interface) {
  if (const auto index = index_of(interface); !index) return fail(index.error());
  auto all = addresses();
  if (!all) return fail(all.error());
  std::erase_if(*all, [&](const InterfaceAddress& address) { return address.interface != interface; });
  return all;
}

Status LinksAndRoutes::add_address(const std::string& interface, const Address& address, unsigned prefix_length) {
  const auto index = index_of(interface);
  if (!index) return fail(index.error());
  ifaddrmsg header{};
  header.ifa_family = kernel_family(address.family());
  header.ifa_prefixlen = static_cast<std::uint8_t>(prefix_length);
  header.ifa_index = static_cast<std::uint32_t>(*index);
  NetlinkWriter message;
  message.message(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, socket_.next_sequence()).header(as_bytes(header));
  message.attribute(IFA_LOCAL, address.bytes()).attribute(IFA_ADDRESS, address.bytes());
  // Duplicate address detection would keep the address unusable for a second on a link where nobody else can have it.
  if (address.is_v6()) message.u32(IFA_FLAGS, IFA_F_NODAD);
  auto added = socket_.request(message, fmt::format("add address {}/{} to {}", to_string(address), prefix_length, interface));
  if (!added && is_errno(added.error(), EEXIST)) return {};
  return added;
}

Result<std::vector<Route>> LinksAndRoutes::routes(Family family, std::uint32_t table) {
  std::vector<std::pair<int, Route>> found;
  const auto dumped = dump_whole(
      socket_, "list the routes",
      [&] {
        NetlinkWriter message;
        rtmsg header{};
        header.rtm_family = kernel_family(family);
        message.message(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, socket_.next_sequence()).header(as_bytes(header));
        return message;
      },
      [&](const NetlinkMessage& reply) {
        const auto header = read_header<rtmsg>(reply);
        if (reply.type != RTM_NEWROUTE || !header || header->rtm_family != kernel_family(family)) return;
        const auto type = route_type(header->rtm_type);
        if (!type || (header->rtm_flags & RTM_F_CLONED) != 0) return;
        Route route;
        route.type = *type;
        route.table = header->rtm_table;
        route.destination = everything(header->rtm_family);
        int index = 0;
        NetlinkAttributes walk(reply.attributes(sizeof(rtmsg)));
        while (const auto attribute = walk.next()) {
          if (attribute->type == RTA_TABLE) route.table = attribute->u32();
          if (attribute->type == RTA_DST) route.destination = read_prefix(attribute, header->rtm_dst_len).value_or(route.destination);
          if (attribute->type == RTA_OIF) index = std::bit_cast<int>(attribute->u32());
          if (attribute->type == RTA_GATEWAY) route.gateway = read_address(attribute->payload);
          if (attribute->type == RTA_PREFSRC) route.source = read_address(attribute->payload);
          if (attribute->type == RTA_PRIORITY) route.metric = attribute->u32();
          if (attribute->type == RTA_MULTIPATH && index == 0) {
            // Several next hops: the first stands for all.
            constexpr std::size_t hop_size = sizeof(rtnexthop);
            if (attribute->payload.size() >= hop_size) {
              rtnexthop hop{};
              std::memcpy(&hop, attribute->payload.data(), hop_size);
              index = hop.rtnh_ifindex;
              if (const auto gateway = find_attribute(attribute->payload.subspan(hop_size), RTA_GATEWAY))
                route.gateway = read_address(gateway->payload);
            }
          }
          if (attribute->type == RTA_METRICS)
            if (const auto mtu = find_attribute(attribute->payload, RTAX_MTU)) route.mtu = mtu->u32();
        }
        if (route.table == table) found.emplace_back(index, std::move(route));
      },
      [&] { found.clear(); });
  if (!dumped) return fail(dumped.error());
  std::vector<Route> out;
  for (auto& [index, route] : found) {
    if (index != 0) {
      const auto name = name_of(index);
      if (!name) continue;  // gone since
      route.interface = *name;
    }
    out.push_back(std::move(route));
  }
  return out;
}

Status LinksAndRoutes::add_route(const Route& route, int flags) {
  std::optional<int> interface_index;  // asked first: it is a request of its own, with the next sequence number
  if (route.interface) {
    const auto index = index_of(*route.interface);
    if (!index) return fail(index.error());
    interface_index = *index;
  }
  rtmsg header{};
  header.rtm_family = kernel_family(route.destination.family());
  header.rtm_dst_len = static_cast<std::uint8_t>(route.destination.length());
  header.rtm_table = route.table < 256 ? static_cast<std::uint8_t>(route.table) : static_cast<std::uint8_t>(RT_TABLE_COMPAT);
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_type = kernel_type(route.type);
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  if (route.type == RouteType::local)
    header.rtm_scope = RT_SCOPE_HOST;
  else if (route.type == RouteType::unicast && !route.gateway && route.destination.family() == Family::v4)
    header.rtm_scope = RT_SCOPE_LINK;
  if (route.on_link) header.rtm_flags |= RTNH_F_ONLINK;
  NetlinkWriter message;
  message.message(RTM_NEWROUTE, static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags), socket_.next_sequence())
      .header(as_bytes(header));
  message.u32(RTA_TABLE, route.table);
  if (route.destination.length() > 0) message.attribute(RTA_DST, route.destination.address().bytes());
  if (route.gateway) message.attribute(RTA_GATEWAY, route.gateway->bytes());
  if (route.source) message.attribute(RTA_PREFSRC, route.source->bytes());
  if (route.metric != 0) message.u32(RTA_PRIORITY, route.metric);
  if (interface_index) message.u32(RTA_OIF, static_cast<std::uint32_t>(*interface_index));
  if (route.mtu) {
    const auto metrics = message.open(RTA_METRICS);
    message.u32(RTAX_MTU, *route.mtu).close(metrics);
  }
  return socket_.request(message, "set route " + describe(route));
}

Status LinksAndRoutes::put_route(const Route& route) { return add_route(route, NLM_F_CREATE | NLM_F_REPLACE); }

Status LinksAndRoutes::remove_route(const Route& route) {
  rtmsg header{};
  header.rtm_family = kernel_family(route.destination.family());
  header.rtm_dst_len = static_cast<std::uint8_t>(route.destination.length());
  header.rtm_table = route.table < 256 ? static_cast<std::uint8_t>(route.table) : static_cast<std::uint8_t>(RT_TABLE_COMPAT);
  header.rtm_type = kernel_type(route.type);
  header.rtm_scope = RT_SCOPE_NOWHERE;  // any
  NetlinkWriter message;
  message.message(RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK, socket_.next_sequence()).header(as_bytes(header));
  message.u32(RTA_TABLE, route.table);
  if (route.destination.length() > 0) message.attribute(RTA_DST, route.destination.address().bytes());
  if (route.metric != 0) message.u32(RTA_PRIORITY, route.metric);
  auto removed = socket_.request(message, fmt::format("remove route '{}'", to_string(route.destination)));
  if (!removed && (is_errno(removed.error(), ENOENT) || is_errno(removed.error(), ESRCH))) return {};
  return removed;
}

Result<bool> LinksAndRoutes::ensure_route(const Route& route) {
  auto added = add_route(route, NLM_F_CREATE | NLM_F_EXCL);
  if (added) return true;
  if (is_errno(added.error(), EEXIST)) return false;
  return fail(added.error());
}

Result<std::vector<RoutingRule>> LinksAndRoutes::rules(Family family) {
  std::vector<RoutingRule> out;
  const auto dumped = dump_whole(
      socket_, "list the routing rules",
      [&] {
        NetlinkWriter message;
        fib_rule_hdr header{};
        header.family = kernel_family(family);
        message.message(RTM_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, socket_.next_sequence()).header(as_bytes(header));
        return message;
      },
      [&](const NetlinkMessage& reply) {
        const auto header = read_header<fib_rule_hdr>(reply);
        if (reply.type != RTM_NEWRULE || !header || header->family != kernel_family(family)) return;
        const auto action = rule_action(header->action);
        if (!action) return;
        RoutingRule rule;
        rule.family = family;
        rule.inverted = (header->flags & FIB_RULE_INVERT) != 0;
        rule.action = *action;
        rule.table = header->table;
        const auto attributes = reply.attributes(sizeof(fib_rule_hdr));
        rule.from = read_prefix(find_attribute(attributes, FRA_SRC), header->src_len);
        rule.to = read_prefix(find_attribute(attributes, FRA_DST), header->dst_len);
        NetlinkAttributes walk(attributes);
        while (const auto attribute = walk.next()) {
          if (attribute->type == FRA_PRIORITY) rule.priority = attribute->u32();
          if (attribute->type == FRA_TABLE) rule.table = attribute->u32();
          if (attribute->type == FRA_IIFNAME) rule.incoming_interface = std::string(attribute->text());
          if (attribute->type == FRA_OIFNAME) rule.outgoing_interface = std::string(attribute->text());
          if (attribute->type == FRA_SUPPRESS_PREFIXLEN && attribute->u32() != 0xffffffff) rule.suppress_prefix_length = attribute->u32();
        }
        const auto mark = find_attribute(attributes, FRA_FWMARK);
        const auto mask = find_attribute(attributes, FRA_FWMASK);
        if (mask && mask->u32() != 0) rule.mark = RoutingRule::Mark{mark ? mark->u32() : 0, mask->u32()};
        if (rule.action != RuleAction::lookup) rule.table = routing_table::main;
        out.push_back(std::move(rule));
      },
      [&] { out.clear(); });
  if (!dumped) return fail(dumped.error());
  return out;
}

Status LinksAndRoutes::send_rule(const RoutingRule& rule, bool add) {
  fib_rule_hdr header{};
  header.family = kernel_family(rule.family);
  header.action = kernel_action(rule.action);
  header.flags = rule.inverted ? FIB_RULE_INVERT : 0;
  if (rule.from) header.src_len = static_cast<std::uint8_t>(rule.from->length());
  if (rule.to) header.dst_len = static_cast<std::uint8_t>(rule.to->length());
  if (rule.action == RuleAction::lookup)
    header.table = rule.table < 256 ? static_cast<std::uint8_t>(rule.table) : static_cast<std::uint8_t>(RT_TABLE_COMPAT);
  NetlinkWriter message;
  const int flags = NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0);
  message.message(add ? RTM_NEWRULE : RTM_DELRULE, static_cast<std::uint16_t>(flags), socket_.next_sequence()).header(as_bytes(header));
  message.u32(FRA_PRIORITY, rule.priority);
  if (rule.from) message.attribute(FRA_SRC, rule.from->address().bytes());
  if (rule.to) message.attribute(FRA_DST, rule.to->address().bytes());
  if (rule.incoming_interface) message.text(FRA_IIFNAME, *rule.incoming_interface);
  if (rule.outgoing_interface) message.text(FRA_OIFNAME, *rule.outgoing_interface);
  if (rule.mark) message.u32(FRA_FWMARK, rule.mark->value).u32(FRA_FWMASK, rule.mark->mask);
  if (rule.action == RuleAction::lookup) message.u32(FRA_TABLE, rule.table);
  if (rule.suppress_prefix_length) message.u32(FRA_SUPPRESS_PREFIXLEN, *rule.suppress_prefix_length);
  return socket_.request(message, fmt::format("{} routing rule '{}'", add ? "add" : "remove", to_string(rule)));
}

Status LinksAndRoutes::add_rule(const RoutingRule& rule) {
  // The kernel's own check for duplicates is not complete in every version; looking first keeps a restart from piling them up.
  const auto present = rules(rule.family);
  if (!present) return fail(present.error());
  if (std::find(present->begin(), present->end(), rule) != present->end()) return {};
  auto added = send_rule(rule, true);
  if (!added && is_errno(added.error(), EEXIST)) return {};
  return added;
}

Status LinksAndRoutes::remove_rule(const RoutingRule& rule) {
  auto removed = send_rule(rule, false);
  if (!removed && (is_errno(removed.error(), ENOENT) || is_errno(removed.error(), ESRCH))) return {};
  return removed;
}

Result<Route> LinksAndRoutes::default_route(Family family) {
  auto all = routes(family);
  if (!all) return fail(all.error());
  std::erase_if(*all,
                [](const Route& route) { return route.destination.length() != 0 || route.type != RouteType::unicast || !route.interface; });
  const auto best = std::min_element(all->begin(), all->end(), [](const Route& a, const Route& b) { return a.metric < b.metric; });
  if (best == all->end())
    return fail(not_found("default_route_missing", fmt::format("this host has no IPv{} default route", family == Family::v4 ? 4 : 6),
                          "name the public interface in the configuration"));
  return *best;
}

Result<Address> LinksAndRoutes::first_global_address(const std::string& interface, Family family) {
  const auto all = addresses_of(interface);
  if (!all) return fail(all.error());
  const InterfaceAddress* best = nullptr;
  for (const auto& candidate : *all) {
    if (candidate.address.family() != family || !candidate.global || candidate.deprecated) continue;
    if (best == nullptr || (best->temporary && !candidate.temporary)) best = &candidate;
  }
  if (best == nullptr)
    return fail(not_found("address_missing",
                          fmt::format("interface {} has no global IPv{} address", interface, family == Family::v4 ? 4 : 6),
                          "name the public address in the configuration"));
  return best->address;
}

std::string to_string(const RoutingRule& rule) {
  std::string text = fmt::format("pref {}", rule.priority);
  if (rule.inverted) text += " not";
  if (rule.from) text += " from " + to_string(*rule.from);
  if (rule.to) text += " to " + to_string(*rule.to);
  if (rule.incoming_interface) text += " iif " + *rule.incoming_interface;
  if (rule.outgoing_interface) text += " oif " + *rule.outgoing_interface;
  if (rule.mark) text += fmt::format(" fwmark {:#x}/{:#x}", rule.mark->value, rule.mark->mask);
  switch (rule.action) {
    case RuleAction::lookup:
      return text + fmt::format(" lookup {}", rule.table);
    case RuleAction::blackhole:
      return text + " blackhole";
    case RuleAction::unreachable:
      return text + " unreachable";
  }
  return text;
}

}  // namespace drpf::system
