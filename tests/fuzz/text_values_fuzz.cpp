// Any text as an address, prefix, endpoint, port or range of ports: refused with a message, or a value whose own text means the same.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "cli/port_argument.h"
#include "core/address.h"
#include "core/encoding.h"
#include "core/port.h"

namespace {

template <class T, class Parse>
void round_trip(std::string_view text, Parse parse) {
  const drpf::Result<T> value = parse(text);
  if (!value) {
    if (value.error().message.empty()) std::abort();
    return;
  }
  const auto again = parse(to_string(*value));
  if (!again || !(*again == *value)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  round_trip<Address>(text, parse_address);
  round_trip<Prefix>(text, parse_prefix);
  round_trip<Endpoint>(text, parse_endpoint);
  round_trip<Port>(text, parse_port);
  round_trip<PortRange>(text, parse_port_range);
  round_trip<Protocol>(text, parse_protocol);
  if (const auto argument = cli::parse_port_argument(text); !argument && argument.error().message.empty()) std::abort();
  return 0;
}
