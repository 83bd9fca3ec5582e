#include "client/follow/follow_rule.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>

#include <fmt/format.h>

namespace drpf::client {
namespace {

constexpr std::string_view rule_example = "Like this: --follow qbittorrent-nox,java:25565 or --follow 'someserver:27015+27036/udp+!27020'";

// Where programs are administered, by their makers' choice: web interfaces, remote control, remote desktops. Most have a well-known
// password or none until somebody sets one.
constexpr std::array<std::uint16_t, 24> control_ports = {
    22,   23,   80,   443,  2375, 3000, 3389,  5000,   // ssh, telnet, web, docker, web, remote desktop, web
    5900, 6800, 7878, 8000, 8080, 8081, 8089,  8112,   // vnc, aria2's RPC, web, qBittorrent's web, ..., Deluge's web
    8443, 8888, 8989, 9090, 9091, 9117, 25575, 58846,  // web, ..., Transmission's RPC, web, Minecraft's remote console, Deluge's daemon
};
// SSDP, WS-Discovery, mDNS, LLMNR, BitTorrent's local peer discovery, Minecraft's LAN announcement, NAT-PMP announcements.
constexpr std::array<std::uint16_t, 7> neighbour_ports = {1900, 3702, 5353, 5355, 6771, 4445, 5350};

template <std::size_t n>
bool is_in(const std::array<std::uint16_t, n>& ports, Port port) {
  return std::find(ports.begin(), ports.end(), port.value()) != ports.end();
}

bool matches(const std::vector<FollowedPorts>& list, Protocol protocol, Port port) {
  return std::any_of(list.begin(), list.end(),
                     [&](const FollowedPorts& one) { return (protocol == Protocol::tcp ? one.tcp : one.udp) && one.ports.contains(port); });
}

tl::unexpected<Error> wrong_rule(std::string_view text, std::string_view what) {
  return fail(invalid("bad_follow", fmt::format("--follow {}: {}", text, what), std::string(rule_example)));
}

std::optional<Port> port_in(std::string_view text) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) return std::nullopt;
  return Port{value};
}

bool is_reachable(const FollowedSocket& socket, const FollowContext& context) {
  if (socket.interface != 0 && socket.interface != context.interface) return false;
  return socket.address.is_unspecified() || std::find(context.own.begin(), context.own.end(), socket.address) != context.own.end();
}

}  // namespace

std::optional<FollowedPorts> parse_followed_ports(std::string_view text) {
  FollowedPorts ports;
  const auto slash = text.find('/');
  if (slash != std::string_view::npos && text.substr(slash) != "/tcp" && text.substr(slash) != "/udp") return std::nullopt;
  if (text.ends_with("/tcp"))
    ports.udp = false;
  else if (text.ends_with("/udp"))
    ports.tcp = false;
  text = text.substr(0, slash);
  const auto dash = text.find('-');
  const auto first = port_in(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : port_in(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  ports.ports = PortRange(*first, *last);
  return ports;
}

Result<FollowRule> parse_follow_rule(std::string_view text) {
  FollowRule rule;
  const auto colon = text.find(':');
  rule.program = text.substr(0, colon);
  // It is printed, and compared with what any process may call itself.
  const auto plain = [](unsigned char c) { return c > 0x20 && c < 0x7f && c != '/' && c != '@' && c != '*'; };
  if (rule.program.empty() || rule.program.size() > program_name_max || !std::all_of(rule.program.begin(), rule.program.end(), plain))
    return wrong_rule(text, "no name of a program; it is matched exactly, without its folder");
  if (colon == std::string_view::npos) return rule;
  auto rest = text.substr(colon + 1);
  while (true) {
    const auto plus = rest.find('+');
    auto part = rest.substr(0, plus);
    const bool never = part.starts_with('!');
    if (never) part.remove_prefix(1);
    const auto ports = parse_followed_ports(part);
    if (!ports) return wrong_rule(text, fmt::format("'{}' is no port or range from 1 to 65535", part));
    (never ? rule.never : rule.only).push_back(*ports);
    if (plus == std::string_view::npos) return rule;
    rest.remove_prefix(plus + 1);
  }
}

Result<std::vector<FollowRule>> parse_follow_rules(std::string_view text) {
  std::vector<FollowRule> rules;
  while (true) {
    const auto comma = text.find(',');
    auto rule = parse_follow_rule(text.substr(0, comma));
    if (!rule) return fail(rule.error());
    rules.push_back(std::move(*rule));
    if (comma == std::string_view::npos) return rules;
    text.remove_prefix(comma + 1);
  }
}

FollowChoice choose(const std::vector<FollowRule>& rules, const std::vector<FollowedSocket>& sockets, const FollowContext& context) {
  const auto has_tcp = [&](const FollowedSocket& beside) {
    return std::any_of(sockets.begin(), sockets.end(), [&](const FollowedSocket& one) {
      return one.program == beside.program && one.port == beside.port && one.protocol == Protocol::tcp;
    });
  };
  std::map<Port, FollowWish> wishes;
  std::map<Port, FollowWish> closed;
  for (const auto& socket : sockets) {
    if (!is_reachable(socket, context)) continue;
    for (const auto& rule : rules) {
      if (rule.program != socket.program || matches(rule.never, socket.protocol, socket.port)) continue;
      const bool named = matches(rule.only, socket.protocol, socket.port);
      if (!named && !rule.only.empty()) continue;
      const bool udp = socket.protocol == Protocol::udp;
      if (!named && udp && (is_in(neighbour_ports, socket.port) || (context.passing_ports.contains(socket.port) && !has_tcp(socket))))
        continue;
      auto& wish = (!named && is_in(control_ports, socket.port) ? closed : wishes)[socket.port];
      if (wish.program.empty()) wish.program = socket.program;
      wish.port = socket.port;
      (udp ? wish.udp : wish.tcp) = true;
    }
  }
  FollowChoice choice;
  for (auto& [port, wish] : wishes) choice.wishes.push_back(std::move(wish));
  for (auto& [port, wish] : closed) choice.left_closed.push_back(std::move(wish));
  return choice;
}

}  // namespace drpf::client
