#include "firewall/host/host_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace drpf::firewall {
namespace {

constexpr std::uint8_t icmp = 1, icmpv6 = 58, tcp_number = 6, udp_number = 17;
constexpr std::uint8_t hop_limit_of_the_link = 255;

bool one_of(std::uint8_t value, std::initializer_list<int> values) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool fits_interface(std::string_view wanted, std::string_view interface) {
  if (wanted.empty() || wanted == interface) return true;
  return wanted.ends_with('*') && interface.starts_with(wanted.substr(0, wanted.size() - 1));
}

bool fits_prefixes(const std::vector<Prefix>& prefixes, const Address& address) {
  return prefixes.empty() || std::any_of(prefixes.begin(), prefixes.end(), [&](const Prefix& one) { return one.contains(address); });
}

bool fits_ports(const std::vector<ServicePorts>& ports, const HostPacket& packet) {
  return std::any_of(ports.begin(), ports.end(), [&](const ServicePorts& one) {
    return static_cast<std::uint8_t>(one.protocol) == packet.protocol && one.ports.contains(packet.destination_port);
  });
}

// Without these a machine loses its neighbours and its addresses.
bool keeps_the_link(const HostPacket& packet) {
  if (packet.source.is_v6() && packet.protocol == icmpv6)
    return (one_of(packet.icmp_type, {133, 134, 135, 136, 137}) && packet.hop_limit == hop_limit_of_the_link) ||
           (one_of(packet.icmp_type, {130, 131, 132, 143}) && packet.source.is_link_local());
  return false;
}

bool asks_for_an_address(const HostPacket& packet) {
  if (packet.protocol != udp_number) return false;
  const bool in = packet.direction == Direction::in;
  const auto server = (in ? packet.source_port : packet.destination_port).value();
  const auto client = (in ? packet.destination_port : packet.source_port).value();
  if (packet.source.is_v4()) return server == 67 && client == 68;
  return server == 547 && client == 546 && packet.source.is_link_local();
}

bool is_echo(const HostPacket& packet) {
  return (packet.source.is_v4() && packet.protocol == icmp && packet.icmp_type == 8) ||
         (packet.source.is_v6() && packet.protocol == icmpv6 && packet.icmp_type == 128);
}

bool of_the_session(const HostSession& session, const HostPacket& packet) {
  return packet.protocol == tcp_number && packet.direction == Direction::in && packet.source == session.remote.address &&
         packet.source_port == session.remote.port && packet.destination == session.local.address &&
         packet.destination_port == session.local.port;
}

}  // namespace

bool fits(const HostRule& rule, const HostPacket& packet, const std::vector<ServicePorts>& leased) {
  if (rule.direction != packet.direction || !fits_interface(rule.interface, packet.interface)) return false;
  if (!fits_prefixes(rule.from, packet.source) || !fits_prefixes(rule.to, packet.destination)) return false;
  return !rule.has_ports() || fits_ports(rule.ports, packet) || (rule.leased && fits_ports(leased, packet));
}

Judgement judge(const HostRuleset& ruleset, const HostPacket& packet) {
  if (!ruleset.on && !ruleset.panic) return {Treatment::allow, {}, "the firewall is off"};
  if (packet.interface == "lo") return {Treatment::allow, {}, "this machine speaks with itself"};
  if (keeps_the_link(packet)) return {Treatment::allow, {}, "neighbours of the link find each other by it"};
  if (ruleset.panic) {
    if (ruleset.session && of_the_session(*ruleset.session, packet)) return {Treatment::allow, {}, "it is the session that said panic"};
    return {Treatment::deny, {}, "panic: nothing passes"};
  }
  if (asks_for_an_address(packet)) return {Treatment::allow, {}, "machines get their addresses by it (DHCP)"};
  for (std::size_t i = 0; i < ruleset.rules.size(); ++i)
    if (fits(ruleset.rules[i], packet, ruleset.leased)) return {ruleset.rules[i].treatment, i, {}};
  if (packet.direction == Direction::out) return {Treatment::allow, {}, "what is not denied may go out"};
  if (is_echo(packet)) return {Treatment::allow, {}, "ping is answered"};
  return {Treatment::deny, {}, "what is not allowed does not come in"};
}

std::string to_string(const Judgement& judgement, const HostRuleset& ruleset) {
  if (!judgement.rule) return fmt::format("{}: {}", to_string(judgement.treatment), judgement.because);
  return fmt::format("{}, by rule {}: {}", to_string(judgement.treatment), *judgement.rule + 1, to_string(ruleset.rules[*judgement.rule]));
}

}  // namespace drpf::firewall
