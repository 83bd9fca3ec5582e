// Keeps one program's listening port at the number it is told: again when the program was not up yet, and again when it has forgotten.
// On a thread of its own; does not decide which port.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/follow/listening_port_door.h"
#include "client/ports/inform_wish.h"
#include "core/address.h"
#include "core/port.h"

namespace drpf::client {

inline constexpr std::chrono::seconds inform_check_period{15};  // a program that was restarted with an old configuration is told again

struct InformPauses {
  std::chrono::milliseconds retry_first{1'000};
  std::chrono::milliseconds retry_max{30'000};       // doubled up to this
  std::chrono::milliseconds after_refusal{900'000};  // qBittorrent bans an address after five wrong passwords
  std::chrono::milliseconds check = inform_check_period;
  std::chrono::milliseconds settle{2'000};  // how long a program may take to open its sockets
};

class Informer {
 public:
  // Called on the informer's thread.
  struct Listener {
    std::function<void(Port)> informed;  // the program listens there now, also when it did so before; once per change
    std::function<void(Error)> failed;   // once per run of failures
  };
  using OpenDoor = std::function<Result<std::unique_ptr<ListeningPortDoor>>()>;
  using IsListening = std::function<bool(Port)>;  // empty where that cannot be known

  Informer(OpenDoor open, IsListening is_listening, Listener listener, InformPauses pauses = {});
  ~Informer();  // ends after the exchange that is under way
  Informer(const Informer&) = delete;
  Informer& operator=(const Informer&) = delete;

  // Returns at once; the last wins. None: there is no port, and the program is left as it is.
  void tell(std::optional<Port> port);

 private:
  void run_loop();
  Result<ListeningPortDoor::Outcome> carry_out(Port port);
  // Looks whether the program listens where it says, and has it try again once for each tell(). Complains if it does not help.
  Status see_that_it_listens(Port port);
  bool is_news_within(std::chrono::milliseconds pause);

  OpenDoor open_;
  IsListening is_listening_;
  std::unique_ptr<ListeningPortDoor> door_;  // of the thread
  bool seen_to_ = false;                     // of the thread
  Listener listener_;
  InformPauses pauses_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Port> port_;
  bool news_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

// Whether the program of the wish is on this machine, where it can be looked at.
bool is_here(const InformWish& wish);
// Whether somebody in this network namespace listens on this TCP port and is reached by the tunnel: at all of the machine's addresses or at
// one of these, and bound to no other interface.
bool somebody_listens(const std::string& interface, const std::vector<Address>& own, Port port);

// The door of the wish's program. Looks the name of its host up, each time anew.
Result<std::unique_ptr<ListeningPortDoor>> open_door(const InformWish& wish);

}  // namespace drpf::client
