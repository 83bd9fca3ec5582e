// IANA's registry as built in: numbers, transports and names, nothing else. Made from iana_ports.tsv by tools/iana_table.cpp. No judgement,
// no overlay: that is PortRegistry's.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "registry/transport.h"

namespace drpf::registry {

// 8 bytes, no pointers, so that the whole table is read-only data without relocations.
struct IanaRow {
  std::uint16_t first_port;
  std::uint16_t last_port;
  std::uint32_t name_offset : 20;
  std::uint32_t name_length : 6;
  std::uint32_t transport_bits : 6;

  constexpr PortRange ports() const { return {Port{first_port}, Port{last_port}}; }
  constexpr TransportSet transports() const { return TransportSet(transport_bits); }
  std::string_view name() const;
};

inline constexpr std::string_view iana_state = "mid-2024";

// All, ascending by port; ranges do not overlap, but several rows may have the same one.
std::span<const IanaRow> iana_rows_all();
// Those that have this port, any transport; the registry's first entry first.
std::span<const IanaRow> iana_rows_at(Port port);
const IanaRow* find_iana_row(Port port, Transport transport);

}  // namespace drpf::registry
