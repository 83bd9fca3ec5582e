// Whether the gateway knows where this device is and answers it, and so when to show oneself and when to try another way to it. Pure: times
// go in, what is due comes out.
#pragma once

#include <optional>

#include "core/time.h"

namespace drpf::client {

class GatewayContact {
 public:
  static constexpr Duration silence_before_retry = std::chrono::seconds(20);  // nothing authenticated for so long, and something was asked
  static constexpr Duration retry_pause = std::chrono::seconds(15);     // between two attempts of ours; the engine has its own in between
  static constexpr Duration handshake_pause = std::chrono::seconds(5);  // the engine starts no two within this time

  struct Due {
    bool sign_of_life = false;
    bool handshake = false;
    bool other_way = false;  // the name may have another address by now, and of several the next may be the one that answers
    bool operator==(const Due&) const = default;
  };

  void tried(Time now) { last_attempt_ = now; }
  // We were shown from another place than before: again and again, until the gateway was heard since.
  void moved(Time now) { unheard_since_ = last_shown_ = last_attempt_ = now; }
  void answers(bool it_does) { answers_ = it_does; }  // its API
  bool answers() const { return answers_; }

  // About once a second. `last_authenticated`: the gateway's last packet.
  Due tick(Time now, std::optional<Time> last_authenticated);

 private:
  Time last_attempt_{};
  std::optional<Time> unheard_since_;  // we moved, and the gateway has not been heard since
  Time last_shown_{};
  bool answers_ = false;
};

}  // namespace drpf::client
