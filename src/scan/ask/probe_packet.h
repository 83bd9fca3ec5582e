// Builds the packets that ask: TCP, UDP and bare IP probes of both families, checksums and all. What is asked is in udp_payloads.h.
#pragma once

#include <cstdint>
#include <optional>

#include "core/address.h"
#include "core/bytes.h"
#include "scan/ask/probe_key.h"
#include "scan/kind.h"

namespace drpf::scan {

// An IPv6 header, a transport header and the longest payload.
inline constexpr std::size_t probe_size_max = 40 + 24 + 1280;

struct ProbeEnds {
  Address local;
  Address target;  // of the same family
  std::uint16_t source_port = 0;
  std::uint16_t number = 0;  // port or IP protocol
  // UDP: the port whose service is asked, where it is known to stand behind another one.
  std::optional<std::uint16_t> service = {};
};

// Writes the IP packet and returns its size; `out` holds at least probe_size_max bytes.
std::size_t write_probe(MutableByteView out, Kind kind, const ProbeEnds& ends, const ProbeKey& key);

// After the answer to a SYN probe: the RST that ends the connection before a program hears of it, where no kernel of ours sends it. Sizes
// as of write_probe().
std::size_t write_reset(MutableByteView out, const ProbeEnds& ends, const ProbeKey& key);

// The flags that a TCP probe of this kind carries.
std::uint8_t tcp_flags_of(Kind kind);

// Where the probe of the IP protocols TCP and UDP goes: a port that nobody is known to serve.
inline constexpr std::uint16_t protocol_probe_port = 40125;

// What an IPv6 probe of a protocol without ports carries: the sequence of its mark, its source port, a checksum. Extension headers do not:
// it would be taken for their fields.
inline constexpr std::size_t protocol_mark_size = 8;
inline constexpr bool is_ipv6_extension(std::uint16_t protocol) {
  return protocol == 0 || protocol == 43 || protocol == 44 || protocol == 51 || protocol == 60 || protocol == 135 || protocol == 139 ||
         protocol == 140;
}

}  // namespace drpf::scan
