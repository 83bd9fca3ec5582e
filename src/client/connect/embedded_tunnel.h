// Brings the TUN device and the embedded engine up for one wg-quick file. Sets no addresses and no routes.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/port.h"
#include "core/random.h"
#include "core/result.h"
#include "core/time.h"
#include "crypto/secret_key.h"
#include "tunnel/tunnel.h"

namespace drpf::client {

struct TunnelWish {
  std::string interface;
  std::uint16_t mtu = 0;
  std::uint32_t mark = 0;  // SO_MARK of the engine's sockets
  Port listen_port;        // zero = any
  crypto::SecretKey private_key;
};

struct StartedTunnel {
  std::unique_ptr<tunnel::Tunnel> tunnel;
  // The interface anew, when somebody has taken it away: sessions and counters go on. Not after the tunnel's end.
  std::function<Status(int index)> make_interface_again;
};

// `event` is called on the engine's threads. Random source and clock must outlive the tunnel.
Result<StartedTunnel> start_tunnel(const TunnelWish& wish, Random& random, const Clock& clock, std::function<void(tunnel::Event)> event);

}  // namespace drpf::client
