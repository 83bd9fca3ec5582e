// Port lists as people write them (-p): numbers, ranges, service names, T: and U:. What a name stands for comes in as an argument.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/port.h"
#include "core/result.h"

namespace drpf::scan {

inline constexpr std::size_t port_list_text_max = 500'000;  // all 65,536 numbers with commas fit

struct ServiceNames {
  std::function<std::vector<Port>(std::string_view name, Protocol protocol)> ports;
  std::function<std::vector<std::string>(std::string_view name)> nearest;  // that may have been meant
  std::function<std::vector<std::string_view>(Port port, Protocol protocol)> names_of;
};

// Ascending, each once.
struct PortList {
  std::vector<std::uint16_t> tcp;
  std::vector<std::uint16_t> udp;
  bool names_tcp = false;  // T: was written
  bool names_udp = false;  // U: was written
  bool operator==(const PortList&) const = default;
};

// "22,80,8000-8100", "-1024", "60000-", "-" (1-65535), "ssh,http", "T:22,80,U:53"; T: and U: hold until the next one. Without one, a
// number is meant for both protocols and a name for those that have it. "53/udp" is of one protocol, "http*" every name that begins so,
// "[1-1024]" the ports of a range that have a name.
Result<PortList> parse_port_list(std::string_view text, const ServiceNames& names);

// For the IP protocol scan: "1,6,17", "0-255", "-" (all), "icmp,gre".
Result<std::vector<std::uint16_t>> parse_protocol_list(std::string_view text);
std::string_view ip_protocol_name(std::uint16_t number);  // "gre"; empty for most

// "22,80,8000-8100"; after so many ranges "and 12 more".
std::string as_ranges(const std::vector<std::uint16_t>& ascending, std::size_t ranges_max = 65'536);

}  // namespace drpf::scan
