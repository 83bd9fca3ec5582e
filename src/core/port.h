// Port numbers, port ranges and the transport protocols that have them.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace drpf {

enum class Protocol : std::uint8_t { tcp = 6, udp = 17 };  // IANA protocol numbers

std::string_view to_string(Protocol protocol);
Result<Protocol> parse_protocol(std::string_view text);

// A port number, 0..65535. Port 0 is no port: it can be carried (requests use it for "any") but never leased.
class Port {
 public:
  constexpr Port() = default;
  constexpr explicit Port(std::uint16_t value) : value_(value) {}
  constexpr std::uint16_t value() const { return value_; }
  constexpr bool is_zero() const { return value_ == 0; }
  constexpr auto operator<=>(const Port&) const = default;

 private:
  std::uint16_t value_ = 0;
};

std::string to_string(Port port);
// The nth after it; that there is one is the caller's to see to.
constexpr Port plus(Port port, std::uint32_t n) { return Port{static_cast<std::uint16_t>(port.value() + n)}; }
// Decimal, 0..65535, no sign, no blanks.
Result<Port> parse_port(std::string_view text);

// first..last, both included; first <= last by construction.
class PortRange {
 public:
  constexpr PortRange(Port first, Port last) : first_(first < last ? first : last), last_(first < last ? last : first) {}
  constexpr explicit PortRange(Port only) : first_(only), last_(only) {}
  constexpr Port first() const { return first_; }
  constexpr Port last() const { return last_; }
  constexpr std::uint32_t size() const { return std::uint32_t{last_.value()} - first_.value() + 1; }
  constexpr bool contains(Port port) const { return first_ <= port && port <= last_; }
  constexpr bool overlaps(PortRange other) const { return first_ <= other.last_ && other.first_ <= last_; }
  constexpr auto operator<=>(const PortRange&) const = default;

 private:
  Port first_;
  Port last_;
};

std::string to_string(PortRange range);
// "20000-20004" or "20000".
Result<PortRange> parse_port_range(std::string_view text);

}  // namespace drpf

template <>
struct std::hash<drpf::Port> {
  std::size_t operator()(drpf::Port port) const noexcept { return port.value(); }
};
