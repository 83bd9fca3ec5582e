// Targets as people write them: addresses, prefixes, ranges, host names. Resolves no name, and decides nothing about who may be asked.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "scan/ask/address_set.h"

namespace drpf::scan {

inline constexpr std::size_t target_text_max = 300;       // characters of one target
inline constexpr std::size_t target_ranges_max = 65'536;  // ranges that one target may mean: "10.0-255.0-255.1" has so many
inline constexpr std::size_t target_list_max = 100'000;   // targets in one file

struct Target {
  std::string text;                  // as it was written
  std::vector<AddressRange> ranges;  // empty: a name
  std::string interface;             // after %, for link-local addresses

  bool is_name() const { return ranges.empty(); }
};

// "10.0.0.1", "10.0.0.0/24", "10.0.0.1-20", "10.0.0.1-10.0.1.20", "10.0.0-3.1-20", "fd00::1-ff", "fe80::1%eth0", "nas.home.arpa".
Result<Target> parse_target(std::string_view text);

// A file of targets: divided by blanks, commas and lines; what follows # is a remark. Errors name the line.
Result<std::vector<Target>> parse_target_list(std::string_view text);

}  // namespace drpf::scan
