// One WireGuard peer: handshake, session slots and all timers, without sockets, clock or threads. It never sees packets: the packet
// threads report facts about batches, and what has to be done comes back as a list of actions, to be carried out in order.
//
// Usage, in the handshake thread, for a message that HandshakeGate let pass:
//   initiation    auto received = ReceivedInitiation::open(identity, datagram); peer = by_key[received->remote_static()];
//                 perform(peer.on_initiation(*received, from, moment, random));
//   response      id = indices.find(decode_response(datagram)->receiver); perform(peers[id].on_response(datagram, from, moment, random));
//   cookie reply  id = indices.find(decode_cookie_reply(datagram)->receiver); perform(peers[id].on_cookie_reply(datagram, moment));
// After every call next_timeout() may have changed; call on_timeout() when it is reached (early and late calls do no harm).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "core/address.h"
#include "core/bytes.h"
#include "core/random.h"
#include "core/time.h"
#include "crypto/secret_key.h"
#include "protocol/wireguard/cookie.h"
#include "protocol/wireguard/handshake_gate.h"
#include "protocol/wireguard/index_table.h"
#include "protocol/wireguard/noise_handshake.h"
#include "protocol/wireguard/received_initiation.h"
#include "protocol/wireguard/session_rules.h"
#include "protocol/wireguard/tai64n.h"

namespace drpf::protocol::wireguard {

struct Moment {
  Time now;       // what timers run on
  WallTime wall;  // what stamps and displays are made of
};

// -- What has to be done ------------------------------------------------------------------------------------------------------------
struct SendDatagram {  // a handshake message
  Endpoint to;
  Bytes bytes;
};
struct SetEndpoint {  // proven by an authentic message
  Endpoint endpoint;
};
struct ClearSource {};  // forget the remembered own address (sticky source): the path may be broken
struct NewSession {     // from now on packets with this local index are decrypted with it; not yet used for sending
  std::uint32_t local_index = 0;
  std::uint32_t remote_index = 0;
  crypto::SecretKey send_key;
  crypto::SecretKey receive_key;
  SessionFacts facts;
};
struct SendWith {  // this session is the one to send with; the one used before only receives
  std::uint32_t local_index = 0;
};
struct RetireSession {  // free the index and erase the keys
  std::uint32_t local_index = 0;
};
struct SendKeepalive {};  // flush the staged packets; if there are none, send one empty packet; then report it by on_batch_sent
struct FlushStaged {};    // send what waits
struct DropStaged {};     // nobody answers: drop what waits
struct Drop {             // the message was refused; for counting, and to say why
  DropReason reason;
  std::optional<Timestamp> stamp{};  // an authentic one's that was not new
};
using Action =
    std::variant<SendDatagram, SetEndpoint, ClearSource, NewSession, SendWith, RetireSession, SendKeepalive, FlushStaged, DropStaged, Drop>;
using Actions = std::vector<Action>;

// -- What the packet threads report, once per batch ---------------------------------------------------------------------------------
struct BatchSent {
  std::uint32_t local_index = 0;
  std::uint64_t next_counter = 0;  // after the batch
  bool data = false;               // at least one packet was not empty
};
struct BatchReceived {  // at least one packet authenticated and passed the replay window
  std::uint32_t local_index = 0;
  bool data = false;             // at least one packet was not empty
  std::optional<Endpoint> from;  // source of the last of them
};

struct PeerSettings {
  crypto::Key32 public_key{};
  crypto::SecretKey preshared_key;  // zeros = none
  std::optional<Endpoint> endpoint;
  Duration persistent_keepalive{0};  // 0 = off
  Timestamp last_timestamp{};        // greatest stamp accepted from this peer before a restart
  Timestamp sent_timestamp{};        // greatest stamp sent to it before a restart, if known
};

class Peer {
 public:
  // `id` is what the peer's indices are filed under in `indices`, which must outlive the peer.
  Peer(const Identity& own, const PeerSettings& settings, PeerId id, IndexTable& indices);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Messages.
  Actions on_initiation(ReceivedInitiation& received, const Endpoint& from, const Moment& moment, Random& random);
  Actions on_response(ByteView datagram, const Endpoint& from, const Moment& moment, Random& random);
  Actions on_cookie_reply(ByteView datagram, const Moment& moment);

  // Facts. `moment` is when it happened, or when it is told.
  Actions on_batch_sent(const BatchSent& batch, const Moment& moment, Random& random);
  Actions on_batch_received(const BatchReceived& batch, const Moment& moment, Random& random);
  // Packets wait because there is no session, or because `refused` is too old or used up.
  Actions on_data_staged(std::optional<std::uint32_t> refused, const Moment& moment, Random& random);

  // Timers.
  std::optional<Time> next_timeout() const;
  Actions on_timeout(const Moment& moment, Random& random);

  // Commands.
  Actions start(const Moment& moment, Random& random);     // sends the first persistent keepalive, if that is on
  Actions initiate(const Moment& moment, Random& random);  // handshake now, but still at most one initiation per rekey_timeout
  // An initiation to another place than the endpoint, which stays: only who receives it there can answer it. None: no handshake is
  // possible.
  std::optional<Bytes> challenge(const Moment& moment, Random& random);
  Actions stop();  // forgets all sessions and timers; last call before destruction
  void set_preshared_key(const crypto::SecretKey& key) { preshared_key_ = key; }  // for the next handshake; sessions go on
  void set_endpoint(const Endpoint& endpoint) { endpoint_ = endpoint; }
  // Turning it on sends a keepalive at once.
  Actions set_persistent_keepalive(Duration interval, const Moment& moment, Random& random);

  // State.
  PeerId id() const { return id_; }
  const crypto::Key32& public_key() const { return public_key_; }
  const std::optional<Endpoint>& endpoint() const { return endpoint_; }
  const std::optional<WallTime>& last_handshake() const { return last_handshake_; }
  const Timestamp& last_timestamp() const { return last_timestamp_; }
  const Timestamp& sent_timestamp() const { return stamps_.last(); }
  Duration persistent_keepalive() const { return persistent_keepalive_; }
  // False for low-order keys and for our own key: such a peer never emits and never accepts anything.
  bool can_handshake() const { return static_static_.has_value(); }
  std::optional<std::uint32_t> sending_session() const;

 private:
  struct Session {
    std::uint32_t local_index = 0;
    std::uint32_t remote_index = 0;
    SessionFacts facts;
    std::uint64_t next_counter = 0;
  };
  struct PendingInitiation {
    std::uint32_t local_index = 0;
    NoiseInitiator noise;
  };
  enum Timer : std::size_t { retransmit, new_handshake, passive_keepalive, persistent, erase_keys, timer_count };

  void share_secret();
  // Timer events, named after what happened.
  void any_packet_sent();
  void any_packet_received();
  void any_packet_traversed(Time now);
  void data_sent(Time now, Random& random);
  void data_received(Time now);
  void handshake_completed(WallTime wall);
  void handle_timer(Timer timer, const Moment& moment, Random& random, Actions& actions);
  void handle_retransmit(const Moment& moment, Random& random, Actions& actions);

  enum class Attempt { first, retry };
  std::optional<Bytes> new_initiation(const Moment& moment, Random& random);
  void send_initiation(Attempt attempt, const Moment& moment, Random& random, Actions& actions);
  void send_keepalive(const Moment& moment, Random& random, Actions& actions);
  void learn_endpoint(const Endpoint& from, Actions& actions);

  void begin_as_initiator(const Session& session, TransportKeys keys, Actions& actions);
  void begin_as_responder(const Session& session, TransportKeys keys, Actions& actions);
  void promote_next(Actions& actions);
  void retire(std::optional<Session>& slot, Actions& actions);
  void forget_sessions(Actions& actions);
  void forget_pending();
  Session* find_session(std::uint32_t local_index);
  bool current_usable(Time now) const;
  static Duration jitter(Random& random);

  Identity own_;
  crypto::Key32 public_key_;
  crypto::SecretKey preshared_key_;
  std::optional<crypto::SecretKey> static_static_;
  PeerId id_;
  IndexTable& indices_;
  MacSigner macs_;
  std::optional<Endpoint> endpoint_;
  Duration persistent_keepalive_;

  std::optional<PendingInitiation> pending_;
  std::optional<Session> previous_;
  std::optional<Session> current_;
  std::optional<Session> next_;

  TimestampSource stamps_;
  Timestamp last_timestamp_;
  std::optional<Time> initiation_accepted_;
  std::optional<Time> handshake_sent_;
  std::optional<WallTime> last_handshake_;

  std::array<std::optional<Time>, timer_count> timers_;
  unsigned attempts_ = 0;
  bool last_minute_rekeyed_ = false;  // the one rekey on receive has been asked for
};

}  // namespace drpf::protocol::wireguard
