// A process of its own that looks every second which of the named programs listen where, and tells. It is made before drpf connect gives
// its rights up, keeps only the two that looking into other users' processes takes, and speaks to nobody but its parent.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "client/follow/follow_rule.h"
#include "core/result.h"
#include "net/event_loop.h"
#include "system/fd.h"
#include "system/process.h"

namespace drpf::client {

inline constexpr std::chrono::seconds program_watch_period{1};

// What it tells, one line each: "socket java tcp 0.0.0.0 25565 0", and "end" after the last of one look.
std::string program_watch_text(const std::vector<FollowedSocket>& sockets);
Result<FollowedSocket> parse_program_watch_line(std::string_view line);

class ProgramWatch {
 public:
  struct Listener {
    std::function<void(std::vector<FollowedSocket>)> seen;  // all that listen now; at first, and when it is another than before
    std::function<void(std::string)> note;                  // once: what it cannot see, and why
    std::function<void(Error)> ended;                       // it is gone; the last that was seen may be wrong from now on
  };

  // While there is one thread.
  static Result<ProgramWatch> start(std::vector<std::string> programs);
  // What has been told is heard on the loop. This must outlive the loop's last turn, and stay where it is.
  void listen(net::EventLoop& loop, Listener listener);

 private:
  ProgramWatch(system::Process process, system::Fd pipe) : process_(std::move(process)), pipe_(std::move(pipe)) {}
  void read();
  void take(std::string_view line);

  system::Process process_;
  system::Fd pipe_;
  Listener listener_;
  std::string text_;
  std::vector<FollowedSocket> sockets_;
  net::Watch watch_;
};

}  // namespace drpf::client
