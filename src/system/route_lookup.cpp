#include "system/route_lookup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace drpf::system {
namespace {

template <class T>
ByteView as_bytes(const T& header) {
  return {reinterpret_cast<const std::uint8_t*>(&header), sizeof header};
}

std::uint8_t kernel_family(Family family) { return family == Family::v4 ? AF_INET : AF_INET6; }

std::optional<Address> read_address(const std::optional<NetlinkAttribute>& attribute) {
  if (!attribute || (attribute->payload.size() != 4 && attribute->payload.size() != 16)) return std::nullopt;
  return Address::from_bytes(attribute->payload);
}

}  // namespace

Result<RouteLookup> RouteLookup::open() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return fail(std::move(socket.error()));
  return RouteLookup(std::move(*socket));
}

Result<PathTo> RouteLookup::path_to(const Address& target, int interface, const std::optional<Address>& source) {
  const auto attempt = fmt::format("find the route to {}", to_string(target));
  NetlinkWriter message;
  rtmsg header{};
  header.rtm_family = kernel_family(target.family());
  header.rtm_dst_len = static_cast<std::uint8_t>(target.bits());
  if (source) header.rtm_src_len = static_cast<std::uint8_t>(source->bits());
  message.message(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_ACK, socket_.next_sequence()).header(as_bytes(header));
  message.attribute(RTA_DST, target.bytes());
  if (source) message.attribute(RTA_SRC, source->bytes());
  if (interface != 0) message.u32(RTA_OIF, static_cast<std::uint32_t>(interface));
  PathTo path;
  bool reachable = false;
  const auto asked = socket_.request(message, attempt, [&](const NetlinkMessage& reply) {
    if (reply.type != RTM_NEWROUTE || reply.payload.size() < sizeof(rtmsg)) return;
    rtmsg route{};
    std::memcpy(&route, reply.payload.data(), sizeof route);
    const auto attributes = reply.attributes(sizeof route);
    reachable = route.rtm_type == RTN_UNICAST || route.rtm_type == RTN_LOCAL;
    path.local = route.rtm_type == RTN_LOCAL;
    if (const auto index = find_attribute(attributes, RTA_OIF)) path.interface_index = static_cast<int>(index->u32());
    path.gateway = read_address(find_attribute(attributes, RTA_GATEWAY));
    if (const auto via = find_attribute(attributes, RTA_VIA); via && via->payload.size() > sizeof(std::uint16_t))
      if (const auto bytes = via->payload.subspan(sizeof(std::uint16_t)); bytes.size() == 4 || bytes.size() == 16)
        path.gateway = Address::from_bytes(bytes);
    if (const auto preferred = read_address(find_attribute(attributes, RTA_PREFSRC))) path.source = *preferred;
  });
  if (!asked) return fail(asked.error());
  if (source) path.source = *source;
  if (!reachable || path.interface_index == 0 || path.source.family() != target.family() || path.source.is_unspecified())
    return fail(failure("no_route", fmt::format("there is no route to {}", to_string(target)), "see ip route get ADDRESS"));
  return path;
}

int errno_of_no_route(const Error& error) {
  for (const int number : {EHOSTUNREACH, EACCES, EINVAL, ENODEV, ENETDOWN})
    if (is_errno(error, number)) return number;
  return ENETUNREACH;
}

Result<KnownNeighbour> RouteLookup::known_neighbour(int interface, const Address& neighbour) {
  NetlinkWriter message;
  ndmsg header{};
  header.ndm_family = kernel_family(neighbour.family());
  header.ndm_ifindex = interface;
  message.message(RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_ACK, socket_.next_sequence()).header(as_bytes(header));
  message.attribute(NDA_DST, neighbour.bytes());
  KnownNeighbour found;
  const auto asked = socket_.request(message, "read a neighbour's address", [&](const NetlinkMessage& reply) {
    if (reply.type != RTM_NEWNEIGH || reply.payload.size() < sizeof(ndmsg)) return;
    ndmsg entry{};
    std::memcpy(&entry, reply.payload.data(), sizeof entry);
    found.asked = (entry.ndm_state & NUD_INCOMPLETE) != 0;
    found.silent = (entry.ndm_state & NUD_FAILED) != 0;
    constexpr std::uint16_t usable = NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP;
    const auto mac = find_attribute(reply.attributes(sizeof entry), NDA_LLADDR);
    if ((entry.ndm_state & usable) == 0 || !mac || mac->payload.size() != std::tuple_size_v<MacAddress>) return;
    found.confirmed = (entry.ndm_state & NUD_REACHABLE) != 0;
    found.mac.emplace();
    std::copy(mac->payload.begin(), mac->payload.end(), found.mac->begin());
  });
  if (!asked && !is_errno(asked.error(), ENOENT)) return fail(asked.error());
  return found;
}

Result<LinkKind> link_kind(int interface) {
  LinkKind out;
  ifreq request{};
  if (::if_indextoname(static_cast<unsigned>(interface), request.ifr_name) == nullptr)
    return fail(errno_failure(errno, fmt::format("name the interface {}", interface)));
  out.name = request.ifr_name;
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid() || ::ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0)
    return fail(errno_failure(errno, fmt::format("read the kind of the interface {}", out.name)));
  out.ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
  out.loopback = request.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
  std::memcpy(out.mac.data(), request.ifr_hwaddr.sa_data, out.mac.size());
  ifreq flags = request;
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &flags) == 0 && (flags.ifr_flags & IFF_NOARP) != 0) out.ethernet = false;
  return out;
}

std::string to_string(const MacAddress& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }

Result<int> interface_index(const std::string& name) {
  const auto index = ::if_nametoindex(name.c_str());
  if (index == 0) return fail(not_found("interface_unknown", fmt::format("there is no interface {}", name), "see ip link"));
  return static_cast<int>(index);
}

}  // namespace drpf::system
