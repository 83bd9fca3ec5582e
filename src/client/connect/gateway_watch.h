// Asks the gateway, through the tunnel, which ports this device has, and goes on listening for changes. Reconnects by itself, on a thread
// of its own; draws no conclusions from what it hears.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "client/ports/published_ports.h"
#include "core/address.h"
#include "core/result.h"
#include "net/http_client.h"

namespace drpf::client {

inline constexpr std::uint16_t gateway_api_port = 5351;
inline constexpr std::chrono::seconds gateway_request_time_max{3};
inline constexpr std::chrono::seconds gateway_goodbye_time_max{1};
inline constexpr std::chrono::seconds gateway_silence_max{20};  // its heartbeat comes every 15 s
inline constexpr std::chrono::milliseconds gateway_retry_first{250};
inline constexpr std::chrono::seconds gateway_retry_max{10};

struct GatewayDoor {
  Address gateway;        // its address inside the tunnel
  Address own;            // ours
  std::string interface;  // requests leave by this interface and no other
};

class GatewayWatch {
 public:
  // Both are called on the watch's thread. `lost` comes once per loss, with the reason.
  struct Listener {
    std::function<void(Report)> report;
    std::function<void(Error)> lost;
  };
  GatewayWatch(GatewayDoor door, Listener listener);
  ~GatewayWatch();
  GatewayWatch(const GatewayWatch&) = delete;
  GatewayWatch& operator=(const GatewayWatch&) = delete;

  // Something happened that makes another try worth while: do not wait for the next one.
  void hurry();
  // The stream may be dead without having said so (after a suspend): open it again.
  void restart();

 private:
  void run_loop();
  Status follow();
  bool wait(std::chrono::milliseconds delay);  // false when stopping

  GatewayDoor door_;
  Listener listener_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool hurried_ = false;
  bool stopping_ = false;
  bool heard_ = false;               // in this follow()
  net::LineStream* open_ = nullptr;  // while follow() reads it
  std::thread thread_;
};

// For requests to the gateway's API, through the tunnel.
net::HttpClient gateway_client(const GatewayDoor& door, Duration timeout);

// One empty datagram through the tunnel: whoever carries it learns from it, authenticated, where this device is now.
void send_sign_of_life(const GatewayDoor& door);

// Tells the gateway that this device leaves, so that its ports close now. Gives up after gateway_goodbye_time_max.
Status say_goodbye(const GatewayDoor& door);

}  // namespace drpf::client
