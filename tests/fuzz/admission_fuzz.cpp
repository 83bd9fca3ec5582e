// Any text as a rule set: each answer has its reason, and judging ends.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "firewall/admission.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  using Who = firewall::Admission::Who;
  const firewall::InputRules rules(std::string_view(reinterpret_cast<const char*>(data), size));
  for (const auto protocol : {Protocol::tcp, Protocol::udp})
    for (const auto family : {Family::v4, Family::v6}) {
      const auto answer = rules.admission({protocol, family, std::nullopt, Port{22}, "eth0"});
      if ((answer.who == Who::everybody) != answer.because.empty()) std::abort();
    }
  return 0;
}
