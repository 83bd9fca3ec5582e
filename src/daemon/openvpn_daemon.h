// Keeps OpenVPN's daemon running and carries its management stream to the way in: accepts its connection, reads, writes, and starts it
// again, slower each time it dies at once. Decides nothing about devices.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <spdlog/fwd.h>

#include "core/time.h"
#include "net/byte_stream.h"
#include "net/event_loop.h"
#include "system/openvpn_program.h"
#include "tunnel/openvpn/openvpn_way_in.h"

namespace drpf::daemon {

class OpenVpnDaemon {
 public:
  static constexpr Duration restart_first = std::chrono::milliseconds(100);
  static constexpr Duration restart_last = std::chrono::seconds(30);
  static constexpr Duration steady_after = std::chrono::seconds(60);  // one that lived so long has not died at once
  static constexpr Duration well_after = std::chrono::seconds(10);    // and one that lived so long is no trouble any more
  static constexpr Duration poll_interval = std::chrono::seconds(2);
  static constexpr Duration answer_max = std::chrono::seconds(20);    // without a word on its management stream it hangs
  static constexpr std::size_t commands_bytes_max = 4 * 1024 * 1024;  // waiting for it to read them

  struct Parts {
    system::OpenVpnProgram& program;
    tunnel::openvpn::OpenVpnWayIn& way_in;
    net::EventLoop& loop;
    const Clock& clock;
    std::shared_ptr<spdlog::logger> log;
    std::function<void(std::optional<std::string>)> on_trouble;  // what the operator should know, or that it is over
  };
  explicit OpenVpnDaemon(Parts parts);

  void restart();  // its interface is another one

 private:
  void start();
  void start_later();
  void accept();
  void read();
  void write();
  void send(const std::string& command);
  void hear();  // its last words
  void look_after_child();
  void ended(const std::string& why);
  void poll();

  Parts parts_;
  std::unique_ptr<net::ByteStream> stream_;
  std::string unsent_;
  bool writing_ = false;
  bool told_trouble_ = false;
  Duration pause_ = restart_first;
  Time started_{};
  Time heard_{};
  net::Watch accepting_;
  net::Watch words_;
  net::Watch news_;
  net::Timer restarting_;
  net::Timer polling_;
};

}  // namespace drpf::daemon
