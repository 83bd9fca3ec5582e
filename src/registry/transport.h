// The transport protocols that have port numbers in IANA's registry. The rest of the program leases and probes two of them (core's
// Protocol).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/port.h"

namespace drpf::registry {

enum class Transport : std::uint8_t { tcp = 6, udp = 17, dccp = 33, sctp = 132 };  // IANA protocol numbers

inline constexpr std::array all_transports = {Transport::tcp, Transport::udp, Transport::dccp, Transport::sctp};

std::string_view to_string(Transport transport);
std::optional<Transport> find_transport(std::string_view text);  // "tcp", any case
constexpr Transport transport_of(Protocol protocol) { return static_cast<Transport>(protocol); }

class TransportSet {
 public:
  constexpr TransportSet() = default;
  constexpr explicit TransportSet(unsigned bits) : bits_(static_cast<std::uint8_t>(bits)) {}
  template <class... Rest>
  constexpr explicit TransportSet(Transport first, Rest... rest) : bits_(bit(first)) {
    ((bits_ |= bit(rest)), ...);
  }
  constexpr bool contains(Transport transport) const { return (bits_ & bit(transport)) != 0; }
  constexpr bool overlaps(TransportSet other) const { return (bits_ & other.bits_) != 0; }
  constexpr void add(Transport transport) { bits_ |= bit(transport); }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool operator==(const TransportSet&) const = default;

 private:
  static constexpr std::uint8_t bit(Transport transport) {
    switch (transport) {
      case Transport::tcp:
        return 1;
      case Transport::udp:
        return 2;
      case Transport::dccp:
        return 4;
      case Transport::sctp:
        break;
    }
    return 8;
  }
  std::uint8_t bits_ = 0;
};

}  // namespace drpf::registry
