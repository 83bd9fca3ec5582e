// The thread that reads the UDP sockets: finds the session, decrypts in place, checks replay and source, merges, and writes to the TUN
// device. Handshake messages go on to the handshake thread unread.
#pragma once

#include <memory>
#include <vector>

#include "protocol/ip/merger.h"
#include "tunnel/wireguard/engine_state.h"
#include "tunnel/wireguard/tun_writer.h"

namespace drpf::tunnel::wireguard {

class Receiver {
 public:
  static constexpr std::size_t messages_max = 16;  // per system call, each up to 64 KiB of datagrams
  static constexpr std::size_t calls_per_turn_max = 8;

  explicit Receiver(EngineState& state);
  void run();  // until state.stopping

 private:
  static constexpr std::size_t message_size = 65536;

  // Where the message under way came from, and what is known about it.
  struct Arrival {
    Endpoint from;
    system::LocalSource source;
    PeerState* peer = nullptr;  // the peer that the next two are about
    bool known = false;         // it is the peer's endpoint
    bool admitted = false;
  };

  bool receive(const system::UdpSocket& socket);
  void on_message(MutableByteView bytes, std::size_t segment_size);
  void on_datagram(MutableByteView datagram);
  void on_data(MutableByteView datagram);
  void deliver(MutableByteView plain, const Session& session);
  void look_at_arrival(PeerState& peer);
  void finish_batch();

  EngineState& state_;
  TunWriter writer_;
  protocol::ip::Merger merger_;
  std::vector<std::uint8_t> buffer_;
  std::vector<std::uint8_t> control_;
  std::vector<Session*> touched_;
  Arrival arrival_;
  Time now_{};
  bool handshakes_arrived_ = false;
  bool failed_ = false;
};

}  // namespace drpf::tunnel::wireguard
