// Which ports a scanner looks at when it is not told: our own rule, in docs/ports.md. No measured frequencies, no data of other scanners.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/port.h"
#include "registry/category.h"

namespace drpf::registry {

inline constexpr std::size_t default_scan_count = 1000;
inline constexpr std::size_t scan_count_max = 65535;  // port 0 is none

enum class ScanTier : std::uint8_t {
  system = 1,      // system ports whose protocol is in living use
  category = 2,    // written list: what people run today
  family = 3,      // software that takes the next number when its port is taken
  registered = 4,  // what IANA's registry has, ascending
  rest = 5,        // all others, ascending
};

struct ScanPort {
  Port port;
  ScanTier tier{};
  Category category{};      // none from tier 4 on
  std::string_view reason;  // why it is in the list
};

// The first `count` of the walk through the tiers; no port twice, none 0.
std::vector<ScanPort> scan_list(std::size_t count, Protocol protocol);
// The same, only the numbers, in the same order.
std::vector<Port> default_scan_ports(std::size_t count, Protocol protocol);

// What is found at a port by habit, whatever it is registered for: the reasons of tiers 1 to 3. Lists of names: "Redis, Valkey".
struct Habit {
  Port port;
  std::string_view names;
};
std::span<const Habit> habits(Protocol protocol);         // ascending by port, each port once
std::string_view habit_of(Port port, Protocol protocol);  // empty for most

}  // namespace drpf::registry
