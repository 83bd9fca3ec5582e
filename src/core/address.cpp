#include "core/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cassert>
#include <charconv>

namespace drpf {

Address Address::from_bytes(std::span<const std::uint8_t> network_order) {
  assert(network_order.size() == 4 || network_order.size() == 16);
  Address address;
  address.family_ = network_order.size() == 4 ? Family::v4 : Family::v6;
  std::copy(network_order.begin(), network_order.end(), address.bytes_.begin());
  return address;
}

std::uint32_t Address::v4_host_order() const {
  assert(is_v4());
  return std::uint32_t{bytes_[0]} << 24 | std::uint32_t{bytes_[1]} << 16 | std::uint32_t{bytes_[2]} << 8 | bytes_[3];
}

bool Address::is_unspecified() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool Address::is_loopback() const {
  if (is_v4()) return bytes_[0] == 127;
  return bytes_[15] == 1 && std::all_of(bytes_.begin(), bytes_.end() - 1, [](std::uint8_t byte) { return byte == 0; });
}

bool Address::is_multicast() const { return is_v4() ? (bytes_[0] & 0xf0) == 0xe0 : bytes_[0] == 0xff; }

bool Address::is_link_local() const {
  return is_v4() ? bytes_[0] == 169 && bytes_[1] == 254 : bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

std::string to_string(const Address& address) {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(address.is_v4() ? AF_INET : AF_INET6, address.bytes().data(), text, sizeof text);
  return text;
}

Result<Address> parse_address(std::string_view text) {
  const std::string zero_ended(text);  // inet_pton stops at a zero, so one inside the text would hide what follows it
  std::array<std::uint8_t, 16> bytes{};
  if (text.find('\0') == std::string_view::npos) {
    if (inet_pton(AF_INET, zero_ended.c_str(), bytes.data()) == 1) return Address::from_bytes(std::span(bytes).first(4));
    if (inet_pton(AF_INET6, zero_ended.c_str(), bytes.data()) == 1) return Address::from_bytes(bytes);
  }
  return fail(invalid("address_invalid", "'" + zero_ended + "' is not an IP address", "write it like 198.51.100.7 or 2001:db8::7"));
}

Prefix::Prefix(const Address& address, unsigned length) : length_(length) {
  assert(length <= address.bits());
  std::array<std::uint8_t, 16> bytes{};
  std::copy(address.bytes().begin(), address.bytes().end(), bytes.begin());
  for (unsigned bit = length; bit < address.bits(); ++bit) bytes[bit / 8] &= static_cast<std::uint8_t>(~(0x80U >> (bit % 8)));
  address_ = Address::from_bytes(std::span(bytes).first(address.bytes().size()));
}

bool Prefix::contains(const Address& address) const {
  return address.family() == family() && Prefix(address, length_).address_ == address_;
}

bool Prefix::contains(const Prefix& other) const { return other.length_ >= length_ && contains(other.address_); }

bool Prefix::overlaps(const Prefix& other) const { return contains(other) || other.contains(*this); }

Address Prefix::nth(std::uint64_t n) const {
  std::array<std::uint8_t, 16> bytes{};
  const auto size = address_.bytes().size();
  std::copy(address_.bytes().begin(), address_.bytes().end(), bytes.begin());
  for (std::size_t i = size; i-- > 0 && n != 0; n >>= 8) {
    n += bytes[i];
    bytes[i] = static_cast<std::uint8_t>(n);
  }
  const auto address = Address::from_bytes(std::span(bytes).first(size));
  assert(contains(address));
  return address;
}

std::string to_string(const Prefix& prefix) { return to_string(prefix.address()) + "/" + std::to_string(prefix.length()); }

Result<Prefix> parse_prefix(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return fail(address.error());
  if (slash == std::string_view::npos) return Prefix::host(*address);
  unsigned length = 0;
  const auto digits = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (error != std::errc{} || end != digits.data() + digits.size() || length > address->bits())
    return fail(invalid("prefix_invalid", "'" + std::string(text) + "' has no valid prefix length",
                        "write a number from 0 to " + std::to_string(address->bits()) + " after the slash"));
  return Prefix(*address, length);
}

std::string to_string(const Endpoint& endpoint) {
  const auto address = to_string(endpoint.address);
  return (endpoint.address.is_v6() ? "[" + address + "]" : address) + ":" + to_string(endpoint.port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto bad = [&] {
    return fail(invalid("endpoint_invalid", "'" + std::string(text) + "' is not an address and a port",
                        "write it like 198.51.100.7:51820 or [2001:db8::7]:51820"));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad();
  auto host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = parse_address(host);
  const auto port = parse_port(text.substr(colon + 1));
  if (!address || !port || address->is_v6() != bracketed) return bad();
  return Endpoint{*address, *port};
}

}  // namespace drpf

namespace {
std::size_t fnv1a(std::span<const std::uint8_t> bytes, std::size_t hash) {
  for (const auto byte : bytes) hash = (hash ^ byte) * 0x100000001b3ULL;
  return hash;
}
constexpr std::size_t fnv_offset = 0xcbf29ce484222325ULL;
}  // namespace

std::size_t std::hash<drpf::Address>::operator()(const drpf::Address& address) const noexcept { return fnv1a(address.bytes(), fnv_offset); }

std::size_t std::hash<drpf::Endpoint>::operator()(const drpf::Endpoint& endpoint) const noexcept {
  const std::array port{static_cast<std::uint8_t>(endpoint.port.value() >> 8), static_cast<std::uint8_t>(endpoint.port.value())};
  return fnv1a(port, fnv1a(endpoint.address.bytes(), fnv_offset));
}
