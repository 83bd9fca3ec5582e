// IP addresses, prefixes and endpoints of both families as plain values.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "core/port.h"
#include "core/result.h"

namespace drpf {

enum class Family : std::uint8_t { v4, v6 };

class Address {
 public:
  constexpr Address() = default;  // 0.0.0.0
  static constexpr Address v4(std::uint32_t host_order) {
    Address address;
    for (int i = 0; i < 4; ++i) address.bytes_[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
    return address;
  }
  // 4 or 16 bytes, network order; anything else is a bug of the caller.
  static Address from_bytes(std::span<const std::uint8_t> network_order);

  constexpr Family family() const { return family_; }
  constexpr bool is_v4() const { return family_ == Family::v4; }
  constexpr bool is_v6() const { return family_ == Family::v6; }
  constexpr unsigned bits() const { return is_v4() ? 32 : 128; }
  // Network order; 4 or 16 bytes.
  constexpr std::span<const std::uint8_t> bytes() const { return {bytes_.data(), is_v4() ? std::size_t{4} : std::size_t{16}}; }
  std::uint32_t v4_host_order() const;
  bool is_unspecified() const;
  bool is_loopback() const;
  bool is_multicast() const;
  bool is_link_local() const;

  constexpr auto operator<=>(const Address&) const = default;

 private:
  Family family_ = Family::v4;
  std::array<std::uint8_t, 16> bytes_{};
};

std::string to_string(const Address& address);
Result<Address> parse_address(std::string_view text);

// An address and a prefix length; host bits are cleared by construction.
class Prefix {
 public:
  constexpr Prefix() = default;  // 0.0.0.0/0
  Prefix(const Address& address, unsigned length);
  static Prefix host(const Address& address) { return Prefix(address, address.bits()); }

  const Address& address() const { return address_; }
  unsigned length() const { return length_; }
  Family family() const { return address_.family(); }
  bool contains(const Address& address) const;
  bool contains(const Prefix& other) const;
  bool overlaps(const Prefix& other) const;
  // The n-th address of the prefix (0 = the network address itself); n must be inside.
  Address nth(std::uint64_t n) const;

  constexpr auto operator<=>(const Prefix&) const = default;

 private:
  Address address_;
  unsigned length_ = 0;
};

std::string to_string(const Prefix& prefix);
// "10.77.0.0/16", "fd00::/64"; a bare address is a host prefix.
Result<Prefix> parse_prefix(std::string_view text);

struct Endpoint {
  Address address;
  Port port;
  constexpr auto operator<=>(const Endpoint&) const = default;
};

// "198.51.100.1:51820", "[2001:db8::1]:51820".
std::string to_string(const Endpoint& endpoint);
Result<Endpoint> parse_endpoint(std::string_view text);

}  // namespace drpf

template <>
struct std::hash<drpf::Address> {
  std::size_t operator()(const drpf::Address& address) const noexcept;
};
template <>
struct std::hash<drpf::Endpoint> {
  std::size_t operator()(const drpf::Endpoint& endpoint) const noexcept;
};
