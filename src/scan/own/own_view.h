// The outside view of one's own leased ports: what each visit found, what that means beside what was found the last time, and what should
// not be open. A value; the visits are the port doctor's. Pure.
#pragma once

#include <compare>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "registry/port_registry.h"
#include "scan/own/lease_diagnosis.h"

namespace drpf::scan {

inline constexpr std::size_t own_ports_max = 65'536;
inline constexpr std::size_t own_device_name_length_max = 256;

struct OwnPort {
  Endpoint public_side;
  Protocol protocol = Protocol::tcp;
  Port local;          // of the program on the device
  std::string device;  // no blanks in it
  Finding finding = Finding::no_statement;
  auto operator<=>(const OwnPort&) const = default;
};

// "open", "closed", "filtered", "open|filtered", "undecided": the words of a scan.
std::string_view state_word(Finding finding);
// "198.51.100.1:24550/tcp"
std::string name_of(const OwnPort& port);
// What a program at this local port usually is; empty where nobody knows. A guess by the number, no more.
std::string service_guess(const OwnPort& port, const registry::PortRegistry& names);

// One sentence for each port that is open now and was not, was and is not, or is not leased any more. What could not be looked at is no
// change.
std::vector<std::string> differences(const std::vector<OwnPort>& before, const std::vector<OwnPort>& now,
                                     const registry::PortRegistry& names);
// One sentence for each port that answers and leads to what the Internet should not reach.
std::vector<std::string> risks(const std::vector<OwnPort>& now, const registry::PortRegistry& names);

// For the file that is compared with the next time. Read whole or refused.
std::string to_text(const std::vector<OwnPort>& ports);
Result<std::vector<OwnPort>> parse_own_ports(std::string_view text);

}  // namespace drpf::scan
