// Keeps one program's listening port at the number it is told: again when the program was not up yet, and again when it has forgotten.
// Lives on the loop; does not decide which port.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/follow/listening_port_door.h"
#include "client/ports/inform_wish.h"
#include "core/address.h"
#include "core/port.h"
#include "net/event_loop.h"

namespace drpf::client {

inline constexpr std::chrono::seconds inform_check_period{15};  // a program that was restarted with an old configuration is told again

struct InformPauses {
  std::chrono::milliseconds retry_first{1'000};
  std::chrono::milliseconds retry_max{30'000};       // doubled up to this
  std::chrono::milliseconds after_refusal{900'000};  // qBittorrent bans an address after five wrong passwords
  std::chrono::milliseconds check = inform_check_period;
  std::chrono::milliseconds settle{2'000};  // how long a program may take to open its sockets
};

// The watch ends the opening.
using DoorOpened = std::function<void(Result<std::unique_ptr<ListeningPortDoor>>)>;
using OpenDoor = std::function<net::Watch(DoorOpened)>;

class Informer {
 public:
  // Neither may destroy the informer.
  struct Listener {
    std::function<void(Port)> informed;  // the program listens there now, also when it did so before; once per change
    std::function<void(Error)> failed;   // once per run of failures
  };
  using IsListening = std::function<bool(Port)>;  // empty where that cannot be known

  Informer(net::EventLoop& loop, OpenDoor open, IsListening is_listening, Listener listener, InformPauses pauses = {});
  Informer(const Informer&) = delete;
  Informer& operator=(const Informer&) = delete;

  // Returns at once; the last wins. None: there is no port, and the program is left as it is.
  void tell(std::optional<Port> port);

 private:
  enum class Doing : std::uint8_t { nothing, asking, waiting_for_it_to_listen };

  void rest();
  void go_on();
  void open(Port port);
  void set(Port port);
  void on_set(Port port, const Result<ListeningPortDoor::Outcome>& done);
  // Looks whether the program listens where it says, and has it try again once for each tell(). Complains if it does not help.
  void see_that_it_listens(Port port);
  void reopen(Port port);
  void settle(std::function<void()> then);

  net::EventLoop& loop_;
  OpenDoor open_;
  IsListening is_listening_;
  Listener listener_;
  InformPauses pauses_;
  std::optional<Port> port_;
  bool news_ = false;
  Doing doing_ = Doing::nothing;
  Port informed_;  // told to the listener; zero = none
  bool failed_told_ = false;
  bool seen_to_ = false;
  std::chrono::milliseconds pause_;
  std::chrono::milliseconds retry_;
  std::chrono::steady_clock::time_point not_before_;  // later after a refusal, whatever the news
  std::unique_ptr<ListeningPortDoor> door_;
  net::Watch opening_;
  net::Timer timer_;
};

// Whether the program of the wish is on this machine, where it can be looked at.
bool is_here(const InformWish& wish);
// Whether somebody in this network namespace listens on this TCP port and is reached by the tunnel: at all of the machine's addresses or at
// one of these, and bound to no other interface.
bool somebody_listens(const std::string& interface, const std::vector<Address>& own, Port port);
// The same of both protocols; an error where nobody may look.
Result<bool> is_served(const std::string& interface, const std::vector<Address>& own, Port port, bool udp_too = true);

// The door of the wish's program. Looks the name of its host up, each time anew.
net::Watch open_door(net::EventLoop& loop, const InformWish& wish, DoorOpened opened);

}  // namespace drpf::client
