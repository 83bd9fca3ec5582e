// The thread that reads the TUN device: splits, finds the peer, numbers, encrypts, and sends in runs. The only one that assigns counters.
#pragma once

#include <vector>

#include "protocol/ip/offload_header.h"
#include "tunnel/wireguard/datagram_sender.h"
#include "tunnel/wireguard/engine_state.h"

namespace drpf::tunnel::wireguard {

class Sender {
 public:
  static constexpr std::size_t reads_per_turn_max = 64;   // then commands are looked at again
  static constexpr std::size_t staged_total_max = 16384;  // packets of all peers together
  static constexpr Duration staged_report_interval = std::chrono::milliseconds(100);
  // What can stand between the kernel's rules and this thread: the device's own queue, and the queueing discipline before it (fq_codel's
  // default limit).
  static constexpr std::size_t queued_packets_max = system::Tun::transmit_queue_length + 10240;

  explicit Sender(EngineState& state);
  void run();  // until state.stopping

 private:
  static constexpr std::size_t read_size = 65536 + 64;
  static constexpr std::size_t slab_size = 2 * 65536;
  static constexpr std::size_t quote_size = 128;

  // The run being filled: all to one peer by one session.
  struct Batch {
    PeerState* peer = nullptr;
    Session* session = nullptr;
    Endpoint to;
    system::LocalSource source;
    std::size_t size = 0;
    std::size_t stride = 0;
    std::size_t count = 0;
    std::uint64_t plain_bytes = 0;
    bool closed = false;  // a shorter datagram ended it
    bool data = false;
    std::array<std::uint8_t, quote_size> quote;  // of the first packet, for an answer when it is too long
    std::size_t quote_bytes = 0;
  };

  bool read_packets();
  void perform_commands();
  void begin_drain();
  void end_drain();
  void on_tun_packet(ByteView bytes);
  // The session to send with now; null if there is none that may.
  Session* usable_session(PeerState& peer, std::optional<std::uint32_t>* refused = nullptr) const;
  void stage(PeerState& peer, Bytes packet, std::optional<std::uint32_t> refused);
  void flush_staged(PeerState& peer);
  void drop_staged(PeerState& peer);
  bool begin(PeerState& peer, Session& session);
  // Room for a packet of `size` bytes to be written by the caller, then sealed by commit().
  MutableByteView reserve(PeerState& peer, Session& session, std::size_t size);
  void commit(std::size_t size);
  void flush();
  void answer_too_long(const SendOutcome& outcome);

  EngineState& state_;
  DatagramSender datagrams_;
  std::vector<std::uint8_t> read_buffer_;
  std::vector<std::uint8_t> slab_;
  std::vector<SenderCommand> commands_;
  Batch batch_;
  const ClosedFlows* closed_ = nullptr;  // of this turn
  std::uint64_t drain_begun_ = 0;
  std::size_t drain_reads_left_ = 0;  // 0: no drain is under way
  Time now_{};
  bool failed_ = false;
};

}  // namespace drpf::tunnel::wireguard
