// What the engine's three threads share: descriptors, tables behind atomic pointers, and the queues between them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <spdlog/fwd.h>

#include "core/time.h"
#include "protocol/wireguard/allowed_ips.h"
#include "protocol/wireguard/constants.h"
#include "protocol/wireguard/messages.h"
#include "system/tun.h"
#include "system/udp_socket.h"
#include "tunnel/offload.h"
#include "tunnel/tunnel.h"
#include "tunnel/wireguard/counters.h"
#include "tunnel/wireguard/packet_io.h"
#include "tunnel/wireguard/peer_state.h"
#include "tunnel/wireguard/quiescence.h"
#include "tunnel/wireguard/session_table.h"

namespace drpf::tunnel::wireguard {

class ClosedFlows;

// Wakes a thread that waits in poll().
class WakeUp {
 public:
  WakeUp();
  void wake() const;
  void clear() const;
  int fd() const { return fd_.get(); }

 private:
  system::Fd fd_;
};

struct Routes {
  protocol::wireguard::AllowedIps addresses;
  std::vector<PeerState*> peers;  // by PeerId
};

struct HandshakeDatagram {
  std::array<std::uint8_t, protocol::wireguard::initiation_size> bytes{};
  std::size_t size = 0;
  Endpoint from;
  system::LocalSource source;
  ByteView view() const { return ByteView(bytes).first(size); }
};

// A ring of handshake_queue_max messages from the receiver to the handshake thread.
class HandshakeQueue {
 public:
  HandshakeQueue() : ring_(protocol::wireguard::handshake_queue_max) {}
  bool push(ByteView datagram, const Endpoint& from, const system::LocalSource& source);
  // The oldest messages, as many as there are and fit; also says how many wait behind them.
  std::size_t take(std::span<HandshakeDatagram> into, std::size_t& waiting);
  bool empty() const;

 private:
  mutable std::mutex mutex_;
  std::vector<HandshakeDatagram> ring_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

// What the handshake thread asks of the sender.
struct SenderCommand {
  enum class What : std::uint8_t { flush_staged, keepalive, drop_staged };
  What what;
  PeerState* peer;
};

// Offloads that the probes allowed and that no error has switched off since.
struct Switches {
  std::atomic<bool> gso_v4{false};
  std::atomic<bool> gso_v6{false};
  std::atomic<bool> merge_tcp{false};
  std::atomic<bool> merge_udp{false};
  std::atomic<bool>& gso(Family family) { return family == Family::v4 ? gso_v4 : gso_v6; }
};

struct EngineState {
  EngineState(system::Tun tun_device, system::UdpSockets udp_sockets, PacketIo& packet_io, const Clock& engine_clock,
              std::shared_ptr<spdlog::logger> engine_log, std::uint16_t tunnel_mtu, bool admission, std::size_t worker_count)
      : tun(std::move(tun_device)),
        sockets(std::move(udp_sockets)),
        io(packet_io),
        clock(engine_clock),
        log(std::move(engine_log)),
        mtu(tunnel_mtu),
        require_admission(admission),
        crypto_workers(worker_count) {}

  system::Tun tun;
  system::UdpSockets sockets;
  PacketIo& io;
  const Clock& clock;
  std::shared_ptr<spdlog::logger> log;  // shared with whoever made the engine
  const std::uint16_t mtu;
  const bool require_admission;
  const std::size_t crypto_workers;  // in each direction

  Switches switches;
  Counters counters;
  Quiescence quiescence;
  SessionTable sessions;
  std::atomic<const Routes*> routes{nullptr};
  std::atomic<bool> stopping{false};
  std::atomic<std::size_t> staged_total{0};  // packets that wait in all peers

  // -> handshake thread
  HandshakeQueue handshakes;
  WakeUp handshaker_wake;
  void report(PeerState& peer, bool urgent);  // the peer's report has news
  std::vector<PeerState*> take_reports();
  void forget_reports(PeerState& peer);
  void tell(Event event);  // of no peer: to be handed on
  std::vector<Event> take_told();
  // The handshake thread says how it waits: until somebody is active, or anyway for a short while.
  bool may_sleep_long();

  // -> sender
  WakeUp sender_wake;
  std::atomic<bool> tun_replaced{false};  // `tun` is another device since
  void command(const SenderCommand& command);
  void take_commands(std::vector<SenderCommand>& into);
  void forget_commands(const PeerState& peer);

  WakeUp receiver_wake;

  // fence -> sender; looked at inside enter() and leave()
  std::atomic<const ClosedFlows*> closed_flows{nullptr};
  std::atomic<bool> fence_waits{false};  // somebody waits for the sender to end its turn
  // The sender answers `drain_wanted` in `drained` once it has seen the device's queue empty, or read more than it can hold, since.
  std::atomic<std::uint64_t> drain_wanted{0};
  std::atomic<std::uint64_t> drained{0};

 private:
  std::mutex report_mutex_;
  std::vector<PeerState*> reported_;
  bool sleeping_long_ = false;
  bool active_ = false;
  std::vector<Event> told_;

  std::mutex command_mutex_;
  std::vector<SenderCommand> commands_;
};

}  // namespace drpf::tunnel::wireguard
