// Asks the gateway, through the tunnel, which ports this device has, and goes on listening for changes. Reconnects by itself; lives on the
// loop; draws no conclusions from what it hears.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "client/connect/gateway_door.h"
#include "client/ports/published_ports.h"
#include "core/result.h"
#include "net/event_loop.h"

namespace drpf::client {

inline constexpr std::chrono::milliseconds gateway_retry_first{250};
inline constexpr std::chrono::seconds gateway_retry_max{10};

class GatewayWatch {
 public:
  // Neither may destroy the watch. `lost` comes once per loss, with the reason.
  struct Listener {
    std::function<void(Report)> report;
    std::function<void(Error)> lost;
  };
  GatewayWatch(net::EventLoop& loop, GatewayDoor door, Listener listener);

  // Something happened that makes another try worth while: do not wait for the next one.
  void hurry();
  // The stream may be dead without having said so (after a suspend): open it again.
  void restart();

 private:
  void open();
  void on_line(const std::string& line);
  void ask();
  void on_report(Result<Report> report);
  void on_end(Error why);  // a copy: what is cancelled there may hold the original

  net::EventLoop& loop_;
  GatewayDoor door_;
  Listener listener_;
  std::chrono::milliseconds delay_{gateway_retry_first};
  bool hurried_ = false;    // not to wait after the stream that is open now
  bool heard_ = false;      // on this stream
  bool lost_told_ = false;  // since something was heard
  bool answered_ = false;   // the stream is open
  bool ask_again_ = false;  // there was a change after the question that is out
  net::Watch stream_;
  net::Watch question_;
  net::Timer retry_;
};

}  // namespace drpf::client
