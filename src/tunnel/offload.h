// How much of the kernel's batching the tunnel may use. Every step down works, only slower.
#pragma once

#include <cstdint>

namespace drpf::tunnel {

enum class Offload : std::uint8_t {
  automatic,  // what the probes find working
  no_uso,     // no UDP segmentation at the TUN device
  no_gso,     // no segmentation at the UDP sockets
  none,       // one packet per read and write, one datagram per message
};

}  // namespace drpf::tunnel
