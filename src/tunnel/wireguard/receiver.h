// The thread that reads the UDP sockets: finds the session, decrypts in place, checks replay and source, merges, and writes to the TUN
// device. Handshake messages go on to the handshake thread unread.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "crypto/transport_cipher.h"
#include "protocol/ip/merger.h"
#include "tunnel/wireguard/crypto_workers.h"
#include "tunnel/wireguard/engine_state.h"
#include "tunnel/wireguard/tun_writer.h"

namespace drpf::tunnel::wireguard {

class Receiver {
 public:
  static constexpr std::size_t messages_max = 16;  // per system call, each up to 64 KiB of datagrams
  static constexpr std::size_t calls_per_turn_max = 8;
  // So much is handed on before more is worked on: who is behind a stream waits for this, not for all that one call has read.
  static constexpr std::size_t delivered_at_once = 65536;
  // What comes first from another address waits here, for as long as it takes to learn that the peer is there and to admit it.
  static constexpr std::size_t waiting_max = 256;
  static constexpr std::size_t waiting_per_peer_max = 16;
  static constexpr Duration waiting_time_max = std::chrono::seconds(5);

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

  // What became of a datagram when it was opened; nothing that others could see has been changed by that.
  enum class Opening : std::uint8_t { opened, handshake, malformed, unknown_session, session_expired, not_authentic };
  struct Datagram {
    MutableByteView bytes;
    Session* session = nullptr;
    std::uint64_t counter = 0;
    Opening opening = Opening::malformed;
  };
  // What one message of the batch brought: as many datagrams of one sender as the kernel joined.
  struct Message {
    MutableByteView bytes;
    std::size_t segment_size = 0;
    Endpoint from;
    system::LocalSource source;
    std::vector<Datagram> datagrams;
  };

  struct Waiting {
    PeerId peer;
    Key public_key;  // the number may be another's by then
    Address from;
    Time since;
    Bytes packet;
  };

  bool receive(const system::UdpSocket& socket);
  void open(Message& message, crypto::TransportCipher& cipher) const;
  Datagram open(MutableByteView bytes, crypto::TransportCipher& cipher, const Session*& keyed) const;  // `keyed`: whose key the cipher has
  void take(const Message& message);
  void take(const Datagram& datagram);
  void deliver(MutableByteView plain, const Session& session);
  bool may_wait(const PeerState& peer) const;
  void deliver_waiting();
  void look_at_arrival(PeerState& peer);
  void finish_batch();

  EngineState& state_;
  TunWriter writer_;
  protocol::ip::Merger merger_;
  std::vector<std::uint8_t> buffer_;
  std::vector<std::uint8_t> control_;
  std::vector<Session*> touched_;
  std::array<Message, messages_max> messages_;
  std::size_t undelivered_ = 0;  // bytes in the merger
  std::optional<CryptoWorkers> workers_;
  std::vector<crypto::TransportCipher> ciphers_;  // of each worker
  Arrival arrival_;
  std::vector<Waiting> waiting_;
  Time now_{};
  bool handshakes_arrived_ = false;
  bool failed_ = false;
};

}  // namespace drpf::tunnel::wireguard
