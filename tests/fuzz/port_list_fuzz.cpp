// Any text as a list of ports, of IP protocols and as a rate: refused with a message, or a list whose own text means the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "scan/ask/scope.h"
#include "scan/port_list.h"

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

void look_at(const std::vector<std::uint16_t>& numbers) {
  must(std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal<>()) == numbers.end());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  using namespace drpf::scan;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const ServiceNames names{[](std::string_view name, Protocol) { return name == "ssh" ? std::vector{Port{22}} : std::vector<Port>{}; },
                           [](std::string_view) { return std::vector<std::string>{}; },
                           [](Port port, Protocol) {
                             return port == Port{80} ? std::vector<std::string_view>{"http", "www"} : std::vector<std::string_view>{};
                           }};
  if (const auto list = parse_port_list(text, names)) {
    look_at(list->tcp);
    look_at(list->udp);
    must(!list->tcp.empty() || !list->udp.empty());
    if (!list->tcp.empty()) must(parse_port_list(as_ranges(list->tcp), names)->tcp == list->tcp);
  } else {
    must(!list.error().message.empty());
  }
  if (const auto protocols = parse_protocol_list(text)) {
    look_at(*protocols);
    must(!protocols->empty() && protocols->back() <= 255);
  } else {
    must(!protocols.error().message.empty());
  }
  if (const auto rate = parse_rate(text)) {
    const auto pace = admit_pace({.start = {}, .ceiling = *rate, .probes_max = {}});
    if (pace) must(pace->ceiling >= rate_floor && pace->ceiling <= rate_ceiling);
  }
  return 0;
}
