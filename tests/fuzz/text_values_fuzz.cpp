// Any text as an address, prefix, endpoint, port, range of ports, base64 or hexadecimal: refused with a message, or a value whose own text
// means the same.
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

void must(bool holds) {
  if (!holds) std::abort();
}

template <class Parse, class Write>
void bytes_round_trip(std::string_view text, Parse parse, Write write) {
  const drpf::Result<drpf::Bytes> bytes = parse(text);
  if (!bytes) return must(!bytes.error().message.empty());
  const auto again = parse(write(*bytes));
  must(again && *again == *bytes);
}

// An address is of one sort at most, and the prefix that it stands in is found by it.
void look_at(const drpf::Address& address) {
  must(address.is_unspecified() + address.is_loopback() + address.is_multicast() + address.is_link_local() <= 1);
  if (address.is_v4()) must(drpf::Address::v4(address.v4_host_order()) == address);
  must(std::hash<drpf::Address>()(address) == std::hash<drpf::Address>()(*drpf::parse_address(to_string(address))));
}

void look_at(const drpf::Prefix& prefix) {
  must(prefix.contains(prefix.address()) && prefix.contains(prefix) && prefix.overlaps(prefix) && prefix.nth(0) == prefix.address());
  if (prefix.length() < prefix.address().bits()) must(prefix.nth(1) != prefix.address() && prefix.contains(prefix.nth(1)));
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
  if (const auto address = parse_address(text)) look_at(*address);
  if (const auto prefix = parse_prefix(text)) look_at(*prefix);
  if (const auto endpoint = parse_endpoint(text))
    must(std::hash<Endpoint>()(*endpoint) == std::hash<Endpoint>()(*parse_endpoint(to_string(*endpoint))));
  bytes_round_trip(text, from_base64, to_base64);
  bytes_round_trip(text, from_hex, to_hex);
  if (const auto arguments = cli::parse_port_arguments({std::string(text)}); !arguments) {
    must(!arguments.error().message.empty());
  } else {
    for (const auto& argument : *arguments) must(cli::parse_port_argument(cli::to_string(argument)) == argument);
  }
  return 0;
}
