// One rule of the personal firewall as a value, and as the line that a person writes. Pure; which names stand for which ports is
// ServiceNames' affair.
//
//   allow in on eth0 ssh,80/tcp from 192.168.0.0/16 to 192.168.1.2 comment "from home"
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "firewall/host/service_ports.h"

namespace drpf::firewall {

class ServiceNames;

enum class Treatment : std::uint8_t {
  allow,
  deny,    // without an answer
  reject,  // with one: a TCP reset, or an ICMP error
  limit,   // allowed up to limit_connections in limit_period from one source (IPv6: one /64)
};
std::string_view to_string(Treatment treatment);

enum class Direction : std::uint8_t { in, out };
std::string_view to_string(Direction direction);

inline constexpr unsigned limit_connections = 6;
inline constexpr unsigned limit_period_s = 30;

struct HostRule {
  Treatment treatment{};
  Direction direction = Direction::in;
  std::string interface;              // empty: every one; "wg*": those that begin so
  std::vector<std::string> services;  // as they were written; none, and not leased: whatever it is, ports or not
  std::vector<ServicePorts> ports;    // what the services stand for, merged
  bool leased = false;                // also the ports that this device holds by a lease, as they change
  std::vector<Prefix> from;           // none: anybody
  std::vector<Prefix> to;
  std::string comment;

  bool has_ports() const { return leased || !ports.empty(); }
  bool operator==(const HostRule&) const = default;
};

inline constexpr std::size_t rule_words_max = 64;
inline constexpr std::size_t rule_services_max = 64;  // of one rule
inline constexpr std::size_t rule_prefixes_max = 256;
inline constexpr std::size_t rule_comment_max = 100;  // bytes

// As the words of a command line: what stands behind "comment" is one comment, whatever its blanks.
Result<HostRule> parse_host_rule(std::span<const std::string> words, const ServiceNames& names);
// As a line: words in double quotes are one.
Result<HostRule> parse_host_rule(std::string_view line, const ServiceNames& names);
// The line from which parse_host_rule() reads the same rule.
std::string to_string(const HostRule& rule);

}  // namespace drpf::firewall
