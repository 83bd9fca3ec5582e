// Any text as the view of the last time: refused, or kept as it is by writing and reading it again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "scan/own/own_view.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  const auto ports = scan::parse_own_ports(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!ports) {
    if (ports.error().message.empty()) std::abort();
    return 0;
  }
  const auto again = scan::parse_own_ports(scan::to_text(*ports));
  if (!again || *again != *ports) std::abort();
  static const registry::PortRegistry names;
  if (scan::risks(*ports, names).size() > ports->size()) std::abort();
  if (ports->size() < 1000) (void)scan::differences(*ports, {}, names);
  return 0;
}
