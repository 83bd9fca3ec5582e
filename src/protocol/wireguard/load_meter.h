// When handshakes are too many to be worked on unseen: too long a queue, or too high a rate, and for a second after either.
#pragma once

#include <cstddef>
#include <optional>

#include "core/time.h"
#include "protocol/wireguard/constants.h"

namespace drpf::protocol::wireguard {

class LoadMeter {
 public:
  // Nobody asked for it, as for an initiation; or it answers a message of ours, whose number is not the sender's to choose: only a long
  // queue is load then, or else a gateway that calls all its devices back would keep them waiting.
  enum class Kind { unasked, answer };
  // One more message has come and `queued` others wait behind it. True under load.
  bool note(Kind kind, std::size_t queued, Time now);

 private:
  // The work that would wait if it were done at unproved_handshakes_per_second. A queue that is looked through faster than it fills is
  // never long, but what it lets pass costs public-key work all the same.
  Duration waiting_work_{0};
  std::optional<Time> last_;
  std::optional<Time> queue_long_;
  std::optional<Time> rate_high_;
};

}  // namespace drpf::protocol::wireguard
