// Where the gateway's API is, seen from this device, and the limits of speaking to it. Values and one client; no conversation.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/address.h"
#include "core/time.h"
#include "net/http_client.h"

namespace drpf::client {

inline constexpr std::uint16_t gateway_api_port = 5351;
inline constexpr std::chrono::seconds gateway_request_time_max{3};
inline constexpr std::chrono::seconds gateway_goodbye_time_max{1};
inline constexpr std::chrono::seconds gateway_silence_max{20};  // its heartbeat comes every 15 s

struct GatewayDoor {
  Address gateway;        // its address inside the tunnel
  Address own;            // ours
  std::string interface;  // requests leave by this interface and no other
};

// For requests to the gateway's API, through the tunnel.
net::HttpClient gateway_client(const GatewayDoor& door, Duration timeout);

// One empty datagram through the tunnel: whoever carries it learns from it, authenticated, where this device is now.
void send_sign_of_life(const GatewayDoor& door);

// Tells the gateway that this device leaves, so that its ports close now. Blocks, at most gateway_goodbye_time_max.
Status say_goodbye(const GatewayDoor& door);

}  // namespace drpf::client
