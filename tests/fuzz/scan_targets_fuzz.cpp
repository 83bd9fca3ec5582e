// Any text as a target and as a file of targets: refused with a message, or ranges that the gate lets through only where they are in scope.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "scan/ask/scope.h"
#include "scan/ask/targets.h"

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  using namespace drpf::scan;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto listed = parse_target_list(text);
  if (!listed) must(!listed.error().message.empty());
  const auto target = parse_target(text);
  if (!target) {
    must(!target.error().message.empty());
    return 0;
  }
  for (const auto& range : target->ranges)
    must(range.first.family() == range.last.family() && range.first <= range.last && range.size() > 0);
  const auto admitted = admit({{target->text, target->ranges}}, {}, {});
  if (!admitted) {
    must(!admitted.error().message.empty());
    return 0;
  }
  must(admitted->vouched_for().empty() && admitted->addresses().size() <= targets_without_asking_max);
  for (const auto& range : admitted->addresses().ranges()) {
    bool inside = range.first.is_loopback() && range.last.is_loopback();
    for (const auto& prefix : private_prefixes()) inside = inside || (prefix.contains(range.first) && prefix.contains(range.last));
    // Two private prefixes may touch; then the range is looked at piece by piece.
    AddressSet rest;
    rest.add(range);
    for (const auto& prefix : private_prefixes()) rest.remove(range_of(prefix));
    must(inside || rest.empty());
  }
  return 0;
}
