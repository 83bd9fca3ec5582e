// The thread that reads the TUN device: splits, finds the peer, numbers, encrypts, and sends in runs. The only one that assigns counters.
#pragma once

#include <vector>

#include "crypto/transport_cipher.h"
#include "protocol/ip/offload_header.h"
#include "tunnel/wireguard/crypto_workers.h"
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
  static constexpr std::size_t runs_per_worker = 2;
  // Nobody inside is told of less: IPv6 knows no smaller packet, and whoever claims a smaller path may be a stranger who wants the tunnel
  // stopped.
  static constexpr std::size_t told_mtu_min = 1280;

  // Consecutive datagrams to one peer by one session, to be sealed and sent together.
  struct Run {
    explicit Run(std::size_t bytes) : slab(bytes) {}
    void clear() { peer = nullptr, session = nullptr, size = stride = count = quote_bytes = 0, closed = data = false; }

    PeerState* peer = nullptr;
    Session* session = nullptr;
    Endpoint to;
    system::LocalSource source;
    std::vector<std::uint8_t> slab;
    std::uint64_t first_counter = 0;
    std::size_t size = 0;    // bytes of the slab that are used
    std::size_t stride = 0;  // of every datagram but the last
    std::size_t count = 0;
    bool closed = false;  // a shorter datagram ended it
    bool data = false;
    std::array<std::uint8_t, quote_size> quote{};  // of the first packet, for an answer when it is too long
    std::size_t quote_bytes = 0;
  };

  void read_packets();
  void perform_commands();
  void begin_drain();
  void end_drain();
  void on_tun_packet(ByteView bytes);
  // The session to send with now; null if there is none that may.
  Session* usable_session(PeerState& peer, std::optional<std::uint32_t>* refused = nullptr) const;
  void stage(PeerState& peer, Bytes packet, std::optional<std::uint32_t> refused);
  void flush_staged(PeerState& peer);
  void drop_staged(PeerState& peer);
  // Room for a packet of `size` bytes to be written by the caller, then numbered by commit().
  MutableByteView reserve(PeerState& peer, Session& session, std::size_t size);
  void commit(std::size_t size);
  void close_run();
  void send_runs();
  static void seal(Run& run, crypto::TransportCipher& cipher);
  void send(Run& run);
  void answer_too_long(const Run& run, const SendOutcome& outcome);

  EngineState& state_;
  DatagramSender datagrams_;
  std::vector<std::uint8_t> read_buffer_;
  std::vector<SenderCommand> commands_;
  std::vector<Run> runs_;  // full ones, and then the one being filled
  std::size_t full_runs_ = 0;
  std::optional<CryptoWorkers> workers_;
  std::vector<crypto::TransportCipher> ciphers_;  // of each worker
  const ClosedFlows* closed_ = nullptr;           // of this turn
  std::uint64_t drain_begun_ = 0;
  std::size_t drain_reads_left_ = 0;  // 0: no drain is under way
  Time now_{};
  bool tun_gone_ = false;  // told, and there is no other one yet
};

}  // namespace drpf::tunnel::wireguard
