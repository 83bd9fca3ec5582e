// Sends a run of equal datagrams (the last may be shorter) to one endpoint: by segmentation offload while that works, singly otherwise.
// A datagram is never encrypted twice: what failed in one way is sent again in the other, as it is; what is too long for the path in
// fragments.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tunnel/wireguard/engine_state.h"

namespace drpf::tunnel::wireguard {

struct DatagramRun {
  MutableByteView bytes;   // contiguous
  std::size_t stride = 0;  // size of every datagram but the last
  std::size_t count() const { return stride == 0 ? 0 : (bytes.size() + stride - 1) / stride; }
};

struct SendOutcome {
  std::size_t sent = 0;
  bool source_unusable = false;  // it went, or failed, without the wished own address
  bool too_long = false;
  std::optional<std::uint32_t> path_mtu;  // with too_long, when the kernel knows it
};

class DatagramSender {
 public:
  static constexpr std::size_t run_max = 64;  // datagrams in one message; older kernels take no more
  static constexpr std::size_t bytes_max_v4 = 65507;
  static constexpr std::size_t bytes_max_v6 = 65527;
  static constexpr int full_waits_max = 8;  // how often to wait for room in the socket, in one turn
  static constexpr int full_wait_ms = 5;

  explicit DatagramSender(EngineState& state) : state_(state) {}
  // A turn is what a packet thread does before it looks at commands again; it must not take long.
  void begin_turn() { waits_left_ = full_waits_max; }
  SendOutcome send(const Endpoint& to, const system::LocalSource& source, const DatagramRun& run);

 private:
  enum class Step { done, again, give_up };
  struct Attempt {
    const Endpoint& to;
    system::LocalSource source;
    int fd;
    bool pending_error_seen = false;
  };
  bool send_segmented(Attempt& attempt, const DatagramRun& run, SendOutcome& outcome);
  bool send_segmented_fragmented(const Attempt& attempt, msghdr& message, const DatagramRun& run, SendOutcome& outcome);
  void send_singly(Attempt& attempt, const DatagramRun& run, SendOutcome& outcome);
  Step after_error(int error, Attempt& attempt, SendOutcome& outcome);
  void note_too_long(const Attempt& attempt, const msghdr& message, SendOutcome& outcome);
  void give_up_gso(Family family, int error);

  EngineState& state_;
  int waits_left_ = full_waits_max;
};

}  // namespace drpf::tunnel::wireguard
