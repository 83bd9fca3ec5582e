// Runs the user's commands when the ports change: one at a time, in the order of the news, with a time limit, and always once more for the
// last state. Lives on the loop; decides nothing about when; reads nothing from the command but its exit code.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/port.h"
#include "core/result.h"
#include "net/event_loop.h"
#include "system/fd.h"

namespace drpf::client {

inline constexpr std::chrono::seconds hook_time_max{30};       // then SIGTERM to its process group
inline constexpr std::chrono::seconds hook_term_time_max{2};   // then SIGKILL
inline constexpr std::chrono::seconds hook_exit_time_max{10};  // how long stop() waits for the last run

// Why the command is run.
enum class HookEvent : std::uint8_t {
  up,      // all ports together: they are known
  change,  // all ports together, or one: something about it is another than before
  down,    // all ports together: they are gone
  lease,   // one port: it is ours now
  end,     // one port: it is not any more
};
std::string_view to_string(HookEvent event);

// What the command is told. Numbers come as numbers and names are checked before they get here, so no text of the gateway reaches a shell.
struct HookState {
  HookEvent event = HookEvent::change;
  std::vector<Port> ports;
  std::string interface;       // check_interface_name() holds
  std::string public_address;  // an address literal, or empty
  struct Lease {
    Port port;
    std::string_view protocol;  // "tcp", "udp", "tcp+udp"
    Port local_port;
    std::string program = {};  // that is followed and listens there; a name of plain characters that the user gave
    bool operator==(const Lease&) const = default;
  };
  std::optional<Lease> lease = std::nullopt;  // of events about one port
  bool operator==(const HookState&) const = default;
};

// Puts the values in the place of {{PORTS}}, {{PORT}}, {{VPN_INTERFACE}}, {{EVENT}}, {{PROTOCOL}}, {{LOCAL_PORT}} and {{PROGRAM}}.
std::string expand_hook_command(std::string_view command, const HookState& state);
// DRPF_EVENT=up, DRPF_PORTS=20000,20001, DRPF_PORT=20000, DRPF_INTERFACE=home, DRPF_PUBLIC_ADDRESS=198.51.100.1; about one port also
// DRPF_PROTOCOL=tcp+udp, DRPF_LOCAL_PORT=25565 and DRPF_PROGRAM=java.
std::vector<std::string> hook_environment(const HookState& state);

struct HookCall {
  std::string option;   // what the user calls it: "--on-change"
  std::string command;  // with templates
  std::string subject;  // a call that waits is replaced by a newer one about the same
  HookState state;
};

class ChangeHook {
 public:
  // `complain` is called when the command failed, was killed, or could not start.
  ChangeHook(net::EventLoop& loop, std::function<void(std::string)> complain, std::chrono::milliseconds time_max = hook_time_max);
  ~ChangeHook();  // stop()
  ChangeHook(const ChangeHook&) = delete;
  ChangeHook& operator=(const ChangeHook&) = delete;

  // Returns at once. A call about the same subject that waits is replaced by this one, and waits its turn anew: the last wins.
  void tell(HookCall call);
  // Runs the loop until what was told has been run, at most hook_exit_time_max, then kills what still runs. Nothing is run afterwards.
  void stop();

 private:
  struct Run {
    std::string option;
    pid_t pid = -1;
    bool too_long = false;
    bool told_to_end = false;
    system::Fd pidfd;  // ready to read when the process has ended
    net::Watch ended;
    net::Timer limit;
  };

  void go_on();
  Status start(const HookCall& call);
  void end_run();
  void on_run_ended();

  net::EventLoop& loop_;
  std::function<void(std::string)> complain_;
  std::chrono::milliseconds time_max_;
  std::deque<HookCall> waiting_;  // no two of one subject: at most published_ports_max, and a few
  std::optional<Run> run_;
  bool stopping_ = false;
};

}  // namespace drpf::client
