// The thread that is in no hurry: handshakes, timers, commands, admission, events. It owns the peers; the packet threads see of them what
// it publishes (routes, sessions, paths) and it frees nothing that they may still hold.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

#include "core/random.h"
#include "protocol/wireguard/handshake_gate.h"
#include "protocol/wireguard/peer.h"
#include "tunnel/tunnel.h"
#include "tunnel/wireguard/engine_state.h"
#include "tunnel/wireguard/reply_batch.h"

namespace drpf::tunnel::wireguard {

struct HandshakerConfig {
  protocol::wireguard::Identity identity;
  protocol::wireguard::Timestamp timestamp_floor{};  // greatest stamp that an earlier run sent to anybody
  Duration disconnect_after = std::chrono::seconds(180);
  Duration wait_max = std::chrono::hours(1);  // tests with a fast clock shorten it
  bool ask_for_proof = true;                  // false shows what it is for; only for that test
};

// What the control socket needs to know of a peer beside its status.
struct PeerDetails {
  PeerStatus status;
  Key preshared_key{};
  std::vector<Prefix> allowed_ips;
  std::uint16_t keepalive_s = 0;
};

// A partial change of a peer, as the control socket asks for it.
struct PeerChange {
  Key public_key{};
  bool update_only = false;
  std::optional<Key> preshared_key;
  std::optional<Endpoint> endpoint;
  std::optional<std::uint16_t> keepalive_s;
  bool replace_allowed_ips = false;
  std::vector<Prefix> allowed_ips_add;
  std::vector<Prefix> allowed_ips_remove;
  std::optional<protocol::wireguard::Timestamp> last_timestamp;
};

class Handshaker {
 public:
  // Of a turn, in which reports, timers and commands wait: messages looked at (some microseconds each), and handshakes worked on
  // (public-key work, a tenth of a millisecond and more). What may be worked on waits for it in a queue of its own.
  static constexpr std::size_t screened_per_turn_max = 512;
  static constexpr std::size_t screened_at_once = 64;
  static constexpr std::size_t handshakes_per_turn_max = 16;
  static constexpr std::size_t proven_max = 1024;
  static constexpr Duration tick = std::chrono::milliseconds(100);  // how late the facts of the packet threads may be heard
  static constexpr Duration event_repeat_min = std::chrono::seconds(1);
  static constexpr Duration challenge_interval_min = std::chrono::seconds(1);  // of one peer
  // A single one may be what the network sent twice, or somebody who recorded it.
  static constexpr std::uint32_t refusals_told_from = 3;
  static constexpr Duration quiescence_wait_max = std::chrono::seconds(1);

  Handshaker(EngineState& state, HandshakerConfig config, Random& random, std::function<void(Event)> on_event);
  ~Handshaker();

  void run();  // until state.stopping
  // Another descriptor to wait for in this thread; its handler runs there too.
  struct Watched {
    int fd;
    short events;
  };
  void serve(std::function<std::vector<Watched>()> watched, std::function<void()> on_ready);

  // Any thread: runs `work` in this thread, soon.
  void post(std::function<void()> work);

  // This thread only, from what serve() calls: when it returns, no packet passes any more by what was before `work`.
  void change(const std::function<void()>& work);

  // This thread only, from such work.
  void change_peer(const PeerChange& change);
  void remove_peer(const Key& public_key);
  void remove_all_peers();
  void admit(const Key& public_key, const Address& endpoint_address);
  void depart(const Key& public_key);
  void initiate(const Key& public_key);

  // Any thread.
  std::vector<PeerDetails> details() const;
  std::optional<PeerDetails> details(const Key& public_key) const;
  std::vector<StrangerRefusal> strangers() const;
  protocol::wireguard::Timestamp timestamp_floor() const;
  const protocol::wireguard::Identity& identity() const { return config_.identity; }

 private:
  struct Record {
    Record(PeerId id, const Key& key) : state(std::make_unique<PeerState>(id, key)) {}
    std::unique_ptr<PeerState> state;
    std::unique_ptr<protocol::wireguard::Peer> machine;
    std::map<std::uint32_t, std::unique_ptr<Session>> sessions;
    Path path;
    Key preshared_key{};
    std::uint16_t keepalive_s = 0;
    // Presence and admission.
    bool connected = false;
    bool departed = false;  // said good-bye: only a handshake brings it back
    std::optional<Time> last_authenticated;
    std::optional<Endpoint> waiting;  // proven to be here, not admitted yet
    system::LocalSource waiting_source;
    std::optional<Time> announced;   // when `waiting` was last told
    std::optional<Address> asked;    // where our last initiation went
    std::optional<Time> challenged;  // when it last went where the peer may or may not be
    std::uint64_t handshake_bytes_sent = 0;
    std::uint64_t handshake_bytes_received = 0;
    system::LocalSource arrival_source;  // of the message being worked on
    std::optional<Time> scheduled;
    PeerRefusal refusal;  // since its last handshake that came to something
  };

  void screen_handshakes();
  void screen(const HandshakeDatagram& datagram, std::size_t waiting);
  void handle_handshakes();
  void on_cookie_reply(const HandshakeDatagram& datagram);
  void on_initiation(const HandshakeDatagram& datagram);
  void on_response(const HandshakeDatagram& datagram);
  void handle_reports();
  void on_report(Record& record, const PeerReport& report);
  void handle_timers();
  void perform(Record& record, protocol::wireguard::Actions actions, const HandshakeDatagram* answered = nullptr, bool hold = false);
  void perform_one(Record& record, protocol::wireguard::Action& action, bool hold, const HandshakeDatagram* answered);

  // Says whether the peer may be dealt with at this place now. Anybody with a key can send in the name of any address, so one that is not
  // admitted is asked for only once it is `proven`: by a packet that answers one of ours that went there.
  bool on_authenticated(Record& record, const Endpoint& from, const system::LocalSource& source, Time when, bool proven);
  bool takes_proof(Record& record, const Endpoint& from, std::uint32_t session);
  void challenge(Record& record, const Endpoint& at, const system::LocalSource& source);
  void check_disconnected(Record& record);
  void publish_path(Record& record);
  void publish_routes();
  void send_datagram(Record& record, const Endpoint& to, const system::LocalSource& source, ByteView bytes);
  void schedule(Record& record);
  void drop(protocol::wireguard::DropReason reason);
  void note_stranger(StrangerRefusal::Why why, const Endpoint& from, const Key& public_key = {});
  void note_refusal(Record& record, PeerRefusal::Why why, const protocol::wireguard::Timestamp& stamp);
  void remove(PeerId id);
  void wait_for_packet_threads();
  void wait();

  Record* find(const Key& public_key);
  protocol::wireguard::Moment moment() const { return {state_.clock.now(), state_.clock.wall_now()}; }

  EngineState& state_;
  HandshakerConfig config_;
  Random& random_;
  std::function<void(Event)> on_event_;
  std::function<std::vector<Watched>()> watched_;
  std::function<void()> on_ready_;
  bool watched_ready_ = false;

  std::mutex posted_mutex_;
  std::deque<std::function<void()>> posted_;

  mutable std::mutex mutex_;  // the peers; held by this thread while it works, by others while they read
  protocol::wireguard::HandshakeGate gate_;
  std::vector<HandshakeDatagram> screened_;  // being looked at
  ReplyBatch cookies_;                       // for them
  std::deque<HandshakeDatagram> proven_;     // the gate let them pass
  protocol::wireguard::IndexTable indices_;
  protocol::wireguard::AllowedIpsRoutes allowed_ips_;
  Graveyard graveyard_;
  std::vector<std::unique_ptr<Record>> records_;  // by PeerId
  std::vector<PeerId> free_ids_;
  std::map<Key, PeerId> by_key_;
  std::set<std::pair<Time, PeerId>> timers_;
  std::unique_ptr<const Routes> routes_;
  std::array<StrangerRefusal, 2> strangers_{};  // by why
  bool routes_changed_ = true;
  std::vector<Event> events_;
};

}  // namespace drpf::tunnel::wireguard
