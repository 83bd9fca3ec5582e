#include "survey/plan.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace drpf::survey {
namespace {

using scan::Kind;

Error wrong(std::string message, std::string cure = "`drpf scan --help` shows what is possible") {
  return wrong_usage(std::move(message), std::move(cure));
}

class Planner {
 public:
  Planner(const Options& options, const Environment& environment) : options_(options), environment_(environment) {}

  Result<Plan> make() {
    for (const auto step :
         {&Planner::read_machine, &Planner::choose_passes, &Planner::choose_targets, &Planner::choose_path, &Planner::choose_pace})
      if (const auto status = (this->*step)(); !status) return fail(status.error());
    return std::move(plan_);
  }

 private:
  Status read_machine() {
    auto addresses = environment_.addresses();
    if (!addresses) return fail(addresses.error());
    here_ = std::move(*addresses);
    for (const auto& one : here_) {
      scope_.own.push_back(scan::range_of(one.address));
      plan_.links.emplace_back(one.address, one.prefix_length);
      if (!one.address.is_v4() || one.prefix_length > 30 || one.address.is_loopback()) continue;
      const auto network = scan::range_of(Prefix(one.address, one.prefix_length));
      scope_.broadcasts.push_back(scan::range_of(network.first));
      scope_.broadcasts.push_back(scan::range_of(network.last));
    }
    if (const auto own = add_file(own_file, true, scope_.own); !own) return own;
    if (const auto excluded = add_file(exclude_file, true, scope_.excluded); !excluded) return excluded;
    for (const auto& path : options_.exclude_files)
      if (const auto excluded = add_file(path, false, scope_.excluded); !excluded) return excluded;
    for (const auto& text : options_.exclude) {
      const auto targets = scan::parse_target_list(text);
      if (!targets) return fail(targets.error());
      if (const auto added = add_ranges(*targets, scope_.excluded); !added) return added;
    }
    return {};
  }

  // A file that was named and is not there is a slip of who typed its name.
  static Error as_usage(const Error& error) {
    return error.kind == Error::Kind::not_found ? wrong_usage(error.message, error.cure) : error;
  }

  // A list that cannot be read or understood ends the scan: nobody is asked because of a slip of the pen.
  Status add_file(const std::string& path, bool optional, std::vector<scan::AddressRange>& to) {
    const auto text = environment_.read_file(path, list_file_max);
    if (!text && optional && text.error().kind == Error::Kind::not_found) return {};
    if (!text) return fail(as_usage(text.error()));
    const auto targets = scan::parse_target_list(*text);
    if (!targets) return fail(wrong_usage(fmt::format("{}: {}", path, targets.error().message), targets.error().cure));
    return add_ranges(*targets, to);
  }

  Status add_ranges(const std::vector<scan::Target>& targets, std::vector<scan::AddressRange>& to) {
    for (const auto& target : targets) {
      if (!target.is_name()) {
        to.insert(to.end(), target.ranges.begin(), target.ranges.end());
        continue;
      }
      const auto addresses = environment_.resolve(target.text);
      if (!addresses) return fail(addresses.error());
      for (const auto& address : *addresses) to.push_back(scan::range_of(address));
    }
    return {};
  }

  Status choose_passes() {
    std::vector<Kind> tcp;
    for (const auto& [chosen, kind] :
         {std::pair{options_.syn, Kind::syn}, std::pair{options_.connect, Kind::connect}, std::pair{options_.ack, Kind::ack},
          std::pair{options_.window, Kind::window}, std::pair{options_.fin, Kind::fin}, std::pair{options_.null, Kind::null},
          std::pair{options_.xmas, Kind::xmas}, std::pair{options_.maimon, Kind::maimon}, std::pair{!options_.idle.empty(), Kind::idle}})
      if (chosen) tcp.push_back(kind);
    if (tcp.size() > 1)
      return fail(wrong(fmt::format("--{} and --{} at once", to_string(tcp[0]), to_string(tcp[1])), "one kind of TCP scan at a time"));
    if (!options_.ports.empty() && options_.top > 0)
      return fail(wrong("-p and --top at once", "name the ports, or how many of the likely ones"));
    if (options_.ip_protocol) {
      if (!tcp.empty() || options_.udp || options_.top > 0)
        return fail(wrong("--ip-protocol goes alone: its numbers are no ports", "scan ports in a run of their own"));
      const auto numbers = scan::parse_protocol_list(options_.ports.empty() ? "-" : options_.ports);
      if (!numbers) return fail(numbers.error());
      return add_pass(Kind::ip_protocol, *numbers);
    }
    scan::PortList list;
    if (!options_.ports.empty()) {
      auto parsed = scan::parse_port_list(options_.ports, environment_.services);
      if (!parsed) return fail(parsed.error());
      list = std::move(*parsed);
    }
    const bool chosen = !tcp.empty() || options_.udp;
    const bool udp = options_.udp || list.names_udp;
    const bool wants_tcp = !tcp.empty() || list.names_tcp || (!chosen && (options_.ports.empty() || !list.tcp.empty()));
    if (wants_tcp) {
      const auto numbers = options_.ports.empty() ? likely(tcp_ports_default, Protocol::tcp) : list.tcp;
      const auto kind = !tcp.empty() ? tcp.front() : environment_.raw_sockets_allowed ? Kind::syn : Kind::connect;
      if (tcp.empty() && kind == Kind::connect) say_connect();
      if (const auto added = add_pass(kind, numbers); !added) return added;
    }
    if (udp) {
      const auto added = add_pass(Kind::udp, options_.ports.empty() ? likely(udp_ports_default, Protocol::udp) : list.udp);
      if (!added) return added;
    }
    if (plan_.passes.empty()) return fail(wrong("no TCP service has this name", "U:NAME asks UDP ports"));
    return {};
  }

  void say_connect() {
    plan_.remarks.emplace_back(
        "without the right to raw sockets (CAP_NET_RAW) this is a connect scan: as exact, slower, and services see the connection");
  }

  std::vector<std::uint16_t> likely(unsigned standard, Protocol protocol) const {
    std::vector<std::uint16_t> numbers;
    for (const auto port : environment_.likely_ports(options_.top > 0 ? options_.top : standard, protocol)) numbers.push_back(port.value());
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }

  Status add_pass(Kind kind, std::vector<std::uint16_t> numbers) {
    if (numbers.empty()) return fail(wrong(fmt::format("-p names no port for the {} scan", to_string(kind)), "T: is TCP, U: is UDP"));
    if (needs_raw_sockets(kind) && !environment_.raw_sockets_allowed) {
      if (kind != Kind::syn)
        return fail(not_permitted("no_permission",
                                  fmt::format("a {} scan needs raw sockets, which this process may not open", to_string(kind)),
                                  "run it as root or give it CAP_NET_RAW; --connect needs no right"));
      kind = Kind::connect;  // its answers mean the same
      say_connect();
    }
    plan_.passes.push_back({kind, std::move(numbers)});
    return {};
  }

  Status choose_targets() {
    std::vector<scan::Target> targets;
    for (const auto& text : options_.targets) {
      auto target = scan::parse_target(text);
      if (!target) return fail(target.error());
      targets.push_back(std::move(*target));
    }
    for (const auto& path : options_.targets_files) {
      const auto text = environment_.read_file(path, list_file_max);
      if (!text) return fail(as_usage(text.error()));
      auto listed = scan::parse_target_list(*text);
      if (!listed) return fail(wrong_usage(fmt::format("{}: {}", path, listed.error().message), listed.error().cure));
      targets.insert(targets.end(), listed->begin(), listed->end());
    }
    if (std::ranges::count(options_.targets_files, standard_input) + std::ranges::count(options_.exclude_files, standard_input) > 1)
      return fail(wrong("two lists from standard input", "put one of them into a file"));
    if (targets.empty()) return fail(wrong("no target is named", "drpf scan 192.168.1.1, drpf scan 192.168.1.0/24"));
    if (options_.only_v4 && options_.only_v6) return fail(wrong("-4 and -6 at once leave nothing", "give one of them, or neither"));
    std::vector<scan::ResolvedTarget> resolved;
    std::optional<Error> unresolved;
    for (auto& target : targets) {
      auto one = resolve(target);
      if (one) {
        resolved.push_back(std::move(*one));
      } else if (one.error().code == "target_unresolved") {
        plan_.unresolved.push_back(one.error().message);
        if (!unresolved) unresolved = one.error();
      } else {
        return fail(one.error());
      }
    }
    if (resolved.empty()) return fail(std::move(*unresolved));
    if (const auto zoned = check_zones(resolved); !zoned) return zoned;
    const auto admitted = admit(resolved, scope_, {.i_own_these = options_.i_own_these, .more_than_65536 = options_.more_than_65536});
    if (!admitted) return fail(admitted.error());
    plan_.admitted = *admitted;
    plan_.targets = plan_.admitted.addresses().addresses();
    for (const auto& left_out : plan_.admitted.left_out())
      plan_.remarks.push_back(fmt::format("left out: {} ({})", to_string(left_out.range), left_out.why));
    if (const auto& strange = plan_.admitted.vouched_for(); !strange.empty())
      plan_.remarks.push_back(
          fmt::format("{} of the targets lie outside of the private and own ranges: by --i-own-these you say that they are yours, which is "
                      "written down",
                      strange.size()));
    return {};
  }

  // Every interface has link-local addresses, and the same ones are on many links (RFC 4007).
  Status check_zones(const std::vector<scan::ResolvedTarget>& targets) const {
    if (!plan_.interface.empty() || !options_.interface.empty()) return {};
    const auto link_local = scan::range_of(*parse_prefix("fe80::/10"));
    for (const auto& target : targets) {
      if (!std::ranges::any_of(target.ranges, [&](const auto& range) { return range.overlaps(link_local); })) continue;
      std::set<std::string> names;
      for (const auto& one : here_)
        if (one.address.is_v6() && one.address.is_link_local()) names.insert(one.interface);
      return fail(wrong(fmt::format("'{}' is a link-local address: on which link?", target.text),
                        names.empty() ? "no interface here has a link-local IPv6 address"
                                      : fmt::format("write fe80::1%{0} or --interface {0}; with such addresses here: {1}", *names.begin(),
                                                    fmt::join(names, ", "))));
    }
    return {};
  }

  // A name's addresses that are asked: the first one; of a host of one's own the first of each family, for each has a firewall of its own.
  std::vector<Address> chosen(const std::vector<Address>& all) const {
    const bool any_in_scope = std::ranges::any_of(all, [&](const auto& address) { return lies_in(address, scope_); });
    if (!any_in_scope && !options_.i_own_these) return {all.front()};
    std::vector<Address> own;
    for (const auto& address : all)
      if ((lies_in(address, scope_) || !any_in_scope) &&
          std::ranges::none_of(own, [&](const auto& one) { return one.family() == address.family(); }))
        own.push_back(address);
    return own;
  }

  Result<scan::ResolvedTarget> resolve(scan::Target& target) {
    if (!target.interface.empty()) {
      if (!plan_.interface.empty() && plan_.interface != target.interface)
        return fail(
            wrong(fmt::format("targets on two interfaces: {} and {}", plan_.interface, target.interface), "scan each in a run of its own"));
      plan_.interface = target.interface;
    }
    if (!target.is_name()) {
      for (const auto& range : target.ranges)
        if ((range.first.is_v4() && options_.only_v6) || (range.first.is_v6() && options_.only_v4))
          return fail(wrong(fmt::format("the target '{}' is of the other family than -{} says", target.text, options_.only_v6 ? 6 : 4),
                            "leave -4 and -6 away"));
      if (target.ranges.size() == 1 && target.ranges.front().first == target.ranges.front().last)
        plan_.named.insert(target.ranges.front().first);
      return scan::ResolvedTarget{target.text, target.ranges};
    }
    auto addresses = environment_.resolve(target.text);
    if (!addresses) return fail(addresses.error());
    std::erase_if(*addresses, [&](const auto& one) { return (one.is_v4() && options_.only_v6) || (one.is_v6() && options_.only_v4); });
    if (addresses->empty())
      return fail(not_found("target_unresolved",
                            fmt::format("'{}' has no {} address", target.text,
                                        options_.only_v6   ? "IPv6"
                                        : options_.only_v4 ? "IPv4"
                                                           : ""),
                            "check the name, or leave -4 and -6 away"));
    if (!options_.all_addresses && addresses->size() > 1) {
      const auto asked = chosen(*addresses);
      std::vector<std::string> texts;
      for (const auto& address : asked) texts.push_back(to_string(address));
      plan_.remarks.push_back(fmt::format("'{}' has {} addresses: asked {} {}{}", target.text, addresses->size(),
                                          texts.size() == 1 ? "is" : "are", fmt::join(texts, " and "),
                                          asked.size() < addresses->size() ? "; --all-addresses asks them all" : ""));
      *addresses = asked;
    }
    scan::ResolvedTarget resolved{target.text, {}};
    for (const auto& address : *addresses) {
      resolved.ranges.push_back(scan::range_of(address));
      plan_.names.emplace(address, target.text);
      plan_.named.insert(address);
    }
    return resolved;
  }

  Status choose_path() {
    if (!options_.interface.empty()) {
      if (!plan_.interface.empty() && plan_.interface != options_.interface)
        return fail(wrong(fmt::format("--interface {} and a target on {}", options_.interface, plan_.interface), "name one interface"));
      plan_.interface = options_.interface;
    }
    if (!plan_.interface.empty() &&
        std::none_of(here_.begin(), here_.end(), [&](const auto& one) { return one.interface == plan_.interface; })) {
      std::set<std::string> names;
      for (const auto& one : here_) names.insert(one.interface);
      return fail(not_found("interface_unknown", fmt::format("there is no interface {} with an address", plan_.interface),
                            fmt::format("with addresses here: {}", fmt::join(names, ", "))));
    }
    if (!options_.source.empty()) {
      const auto source = parse_address(options_.source);
      if (!source) return fail(wrong(source.error().message, "--source takes an address of this machine"));
      if (std::none_of(here_.begin(), here_.end(), [&](const auto& one) { return one.address == *source; }))
        return fail(refusal("out_of_scope", fmt::format("{} is no address of this machine", options_.source),
                            "drpf forges no sender; --source takes an own address"));
      plan_.source = *source;
    }
    plan_.through_own_rules = options_.through_own_rules;
    say_own_rules();
    if (!options_.idle.empty()) return choose_zombie();
    return {};
  }

  // Packet sockets send below the rules for output.
  void say_own_rules() {
    const auto chains = environment_.output_chains ? environment_.output_chains() : std::vector<std::string>();
    if (chains.empty()) return;
    const auto rules = fmt::format("this machine has rules for what it sends ({})", fmt::join(chains, ", "));
    const auto by = [&](Kind kind) { return std::ranges::any_of(plan_.passes, [&](const auto& pass) { return pass.kind == kind; }); };
    if (by(Kind::connect))
      plan_.remarks.push_back(rules + ": a port that they refuse may look filtered or closed");
    else if (!options_.through_own_rules)
      plan_.remarks.push_back(rules + ": raw probes go around them, past a kill switch too; --through-own-rules sends them through");
  }

  Status choose_zombie() {
    Endpoint zombie;
    if (const auto endpoint = parse_endpoint(options_.idle)) {
      zombie = *endpoint;
    } else if (const auto address = parse_address(options_.idle)) {
      zombie = {*address, Port{zombie_port_default}};
    } else {
      const auto colon = options_.idle.rfind(':');
      const auto port = colon == std::string::npos ? Result<Port>(Port{zombie_port_default})
                                                   : parse_port(std::string_view(options_.idle).substr(colon + 1));
      if (!port) return fail(wrong(fmt::format("'{}' names no zombie: {}", options_.idle, port.error().message), "--idle 192.168.1.9:80"));
      const auto addresses = environment_.resolve(options_.idle.substr(0, colon));
      if (!addresses) return fail(addresses.error());
      zombie = {addresses->front(), *port};
    }
    if (const auto admitted = admit_zombie(zombie.address, plan_.admitted, scope_); !admitted) return admitted;
    for (const auto& target : plan_.targets)
      if (target.family() != zombie.address.family())
        return fail(wrong(fmt::format("the zombie {} and the target {} are of two families", to_string(zombie.address), to_string(target)),
                          "name a zombie for each"));
    plan_.zombie = zombie;
    return {};
  }

  Status choose_pace() {
    scan::WantedPace wanted;
    for (const auto& [text, rate] : {std::pair{&options_.start_rate, &wanted.start}, std::pair{&options_.max_rate, &wanted.ceiling}}) {
      if (text->empty()) continue;
      const auto parsed = scan::parse_rate(*text);
      if (!parsed) return fail(parsed.error());
      *rate = *parsed;
    }
    if (options_.retries >= 0) wanted.probes_max = static_cast<unsigned>(options_.retries) + 1;
    const auto pace = scan::admit_pace(wanted);
    if (!pace) return fail(pace.error());
    plan_.pace = *pace;
    plan_.udp_fast = options_.udp_fast;
    plan_.only_discovery = options_.only_discovery;
    if (options_.no_discovery && (options_.discovery || options_.only_discovery))
      return fail(wrong("discovery is asked for and forbidden at once", "give one of them"));
    plan_.discovery = options_.no_discovery                           ? Discovery::never
                      : options_.discovery || options_.only_discovery ? Discovery::always
                                                                      : Discovery::unnamed;
    return {};
  }

  const Options& options_;
  const Environment& environment_;
  scan::Scope scope_;
  std::vector<system::InterfaceAddress> here_;
  Plan plan_;
};

}  // namespace

Result<Plan> make_plan(const Options& options, const Environment& environment) { return Planner(options, environment).make(); }

}  // namespace drpf::survey
