// Two WireGuard peers on a fake clock with a lossy link between them. Each side has a stand-in for the packet threads that carries out
// the peer's actions with real ciphers and windows and reports what it did.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "crypto/transport_cipher.h"
#include "crypto/wireguard_primitives.h"
#include "protocol/wireguard/handshake_gate.h"
#include "protocol/wireguard/messages.h"
#include "protocol/wireguard/peer.h"
#include "protocol/wireguard/replay_window.h"

namespace drpf::protocol::wireguard::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(engine_());
  }

 private:
  std::mt19937_64 engine_;
};

struct Datagram {
  Time at;
  Endpoint from;
  Endpoint to;
  Bytes bytes;
  MessageType type() const { return *classify(bytes); }
  bool is_keepalive() const { return type() == MessageType::data && bytes.size() == keepalive_size; }
};

struct FakeClock {
  Time now{seconds(10'000)};
  WallTime wall{seconds(1'700'000'000)};
  Moment moment() const { return {now, wall}; }
  void advance(Duration by) {
    now += by;
    wall += by;
  }
};

// One end: a Peer and its packet threads.
class Side {
 public:
  Side(FakeClock& clock, const Identity& identity, const PeerSettings& settings, const Endpoint& address, std::uint64_t seed)
      : clock_(clock), identity_(identity), address_(address), random_(seed), gate_(identity.public_key) {
    restart(settings);
  }

  // A new process: everything but the settings is forgotten.
  void restart(const PeerSettings& settings) {
    sessions_.clear();
    sending_.reset();
    staged_ = 0;
    peer_.reset();
    peer_ = std::make_unique<Peer>(identity_, settings, 7, indices_);
    EXPECT_EQ(indices_.size(), 0U);
  }

  Peer& peer() { return *peer_; }
  IndexTable& indices() { return indices_; }
  SeededRandom& random() { return random_; }
  const Endpoint& address() const { return address_; }
  void move_to(const Endpoint& address) { address_ = address; }
  const Identity& identity() const { return identity_; }

  void start() { perform(peer_->start(clock_.moment(), random_)); }
  void initiate() { perform(peer_->initiate(clock_.moment(), random_)); }

  // One packet from the inside.
  void send_data() {
    if (!emit(true)) {
      ++staged_;
      perform(peer_->on_data_staged(sending_, clock_.moment(), random_));
    }
  }

  void timeout() { perform(peer_->on_timeout(clock_.moment(), random_)); }

  void receive(const Datagram& datagram) {
    const auto type = classify(datagram.bytes);
    if (type == MessageType::data)
      receive_data(datagram);
    else
      receive_handshake(datagram);
  }

  void perform(const Actions& actions) {
    for (const auto& action : actions) std::visit([this](const auto& one) { carry_out(one); }, action);
  }

  struct Session {
    NewSession facts;
    std::uint64_t counter = 0;
    ReplayWindow window;
  };
  std::map<std::uint32_t, Session>& sessions() { return sessions_; }
  std::optional<std::uint32_t> sending() const { return sending_; }
  Session& sending_session() { return sessions_.at(*sending_); }

  std::vector<Datagram> outbox;  // to be taken by the link
  std::vector<DropReason> drops;
  std::size_t data_received = 0;
  std::size_t keepalives_received = 0;
  std::size_t new_sessions = 0;
  std::size_t sources_cleared = 0;
  std::size_t staged_dropped = 0;
  std::size_t drop_staged_actions = 0;
  std::size_t staged() const { return staged_; }
  std::size_t handshake_queue = 0;  // how loaded the gate is made to believe it is
  bool reports = true;              // whether sending is reported to the peer

 private:
  bool emit(bool data) {
    if (!sending_) return false;
    auto& session = sessions_.at(*sending_);
    if (!may_send(session.facts.facts, session.counter, clock_.now)) return false;
    Bytes bytes(data ? data_overhead + 32 : keepalive_size);
    write_data_header(bytes, session.facts.remote_index, session.counter);
    crypto::TransportCipher cipher(session.facts.send_key.bytes(), crypto::TransportCipher::Direction::seal);
    cipher.seal(session.counter, MutableByteView(bytes).subspan(data_header_size));
    ++session.counter;
    outbox.push_back({clock_.now, address_, *peer_->endpoint(), std::move(bytes)});
    BatchSent batch;
    batch.local_index = *sending_;
    batch.next_counter = session.counter;
    batch.data = data;
    if (reports) perform(peer_->on_batch_sent(batch, clock_.moment(), random_));
    return true;
  }

  void receive_data(const Datagram& datagram) {
    const auto header = read_data_header(datagram.bytes);
    const auto at = sessions_.find(header.receiver);
    if (at == sessions_.end() || !may_receive(at->second.facts.facts, clock_.now)) return;
    Bytes sealed(datagram.bytes.begin() + data_header_size, datagram.bytes.end());
    crypto::TransportCipher cipher(at->second.facts.receive_key.bytes(), crypto::TransportCipher::Direction::open);
    if (!cipher.open(header.counter, sealed) || !at->second.window.accept(header.counter)) return;
    const bool data = sealed.size() > tag_size;
    ++(data ? data_received : keepalives_received);
    BatchReceived batch;
    batch.local_index = header.receiver;
    batch.data = data;
    batch.from = datagram.from;
    perform(peer_->on_batch_received(batch, clock_.moment(), random_));
  }

  void receive_handshake(const Datagram& datagram) {
    const auto verdict = gate_.check(datagram.bytes, datagram.from, handshake_queue, clock_.now, random_);
    if (const auto* drop = std::get_if<GateDrop>(&verdict)) {
      drops.push_back(drop->reason);
      return;
    }
    if (const auto* reply = std::get_if<GateReply>(&verdict)) {
      outbox.push_back({clock_.now, address_, datagram.from, reply->cookie_reply});
      return;
    }
    switch (std::get<GatePass>(verdict).type) {
      case MessageType::initiation: {
        auto received = ReceivedInitiation::open(identity_, datagram.bytes);
        if (!received)
          drops.push_back(DropReason::not_authentic);
        else
          perform(peer_->on_initiation(*received, datagram.from, clock_.moment(), random_));
        break;
      }
      case MessageType::response:
        if (!indices_.find(decode_response(datagram.bytes)->receiver))
          drops.push_back(DropReason::unknown_index);
        else
          perform(peer_->on_response(datagram.bytes, datagram.from, clock_.moment(), random_));
        break;
      case MessageType::cookie_reply:
        if (!indices_.find(decode_cookie_reply(datagram.bytes)->receiver))
          drops.push_back(DropReason::unknown_index);
        else
          perform(peer_->on_cookie_reply(datagram.bytes, clock_.moment()));
        break;
      case MessageType::data:
        break;
    }
  }

  void flush() {
    for (auto count = std::exchange(staged_, 0); count > 0; --count) send_data();
  }

  void carry_out(const SendDatagram& action) { outbox.push_back({clock_.now, address_, action.to, action.bytes}); }
  void carry_out(const SetEndpoint& action) { EXPECT_EQ(peer_->endpoint(), action.endpoint); }
  void carry_out(const ClearSource&) { ++sources_cleared; }
  void carry_out(const NewSession& action) {
    EXPECT_FALSE(sessions_.contains(action.local_index));
    sessions_[action.local_index].facts = action;
    ++new_sessions;
  }
  void carry_out(const SendWith& action) {
    EXPECT_TRUE(sessions_.contains(action.local_index));
    sending_ = action.local_index;
  }
  void carry_out(const RetireSession& action) {
    EXPECT_EQ(sessions_.erase(action.local_index), 1U);
    EXPECT_FALSE(indices_.find(action.local_index));
    if (sending_ == action.local_index) sending_.reset();
  }
  void carry_out(const SendKeepalive&) {
    if (staged_ > 0)
      flush();
    else
      emit(false);
  }
  void carry_out(const FlushStaged&) { flush(); }
  void carry_out(const DropStaged&) {
    ++drop_staged_actions;
    staged_dropped += std::exchange(staged_, 0);
  }
  void carry_out(const Drop& action) { drops.push_back(action.reason); }

  FakeClock& clock_;
  Identity identity_;
  Endpoint address_;
  SeededRandom random_;
  HandshakeGate gate_;
  IndexTable indices_;
  std::unique_ptr<Peer> peer_;
  std::map<std::uint32_t, Session> sessions_;
  std::optional<std::uint32_t> sending_;
  std::size_t staged_ = 0;
};

inline Endpoint endpoint(const char* text) { return *parse_endpoint(text); }

// a knows where b is; b learns where a is.
class Pair {
 public:
  explicit Pair(std::uint64_t seed = 1) : Pair(seed, {}, {}) {}
  Pair(std::uint64_t seed, PeerSettings of_a, PeerSettings of_b)
      : seed_random(seed),
        identity_a(Identity::from_private(crypto::generate_private_key(seed_random))),
        identity_b(Identity::from_private(crypto::generate_private_key(seed_random))),
        settings_of_a(settings_for(std::move(of_a), identity_b.public_key, endpoint("192.0.2.2:51820"))),
        settings_of_b(settings_for(std::move(of_b), identity_a.public_key, std::nullopt)),
        a(clock, identity_a, settings_of_a, endpoint("192.0.2.1:51820"), seed + 1),
        b(clock, identity_b, settings_of_b, endpoint("192.0.2.2:51820"), seed + 2) {}

  // Everything that is due until then, in order.
  void run(Duration duration) {
    const auto end = clock.now + duration;
    take_outboxes();
    while (true) {
      auto next = end;
      for (auto* side : {&a, &b})
        if (const auto timeout = side->peer().next_timeout()) next = std::min(next, *timeout);
      for (const auto& datagram : in_flight) next = std::min(next, datagram.at + latency);
      clock.advance(std::max(Duration{0}, next - clock.now));
      bool anything = false;
      for (auto* side : {&a, &b})
        if (const auto timeout = side->peer().next_timeout(); timeout && *timeout <= clock.now) {
          side->timeout();
          anything = true;
        }
      take_outboxes();
      while (!in_flight.empty() && in_flight.front().at + latency <= clock.now) {
        const auto datagram = in_flight.front();
        in_flight.pop_front();
        if (datagram.to == a.address()) a.receive(datagram);
        if (datagram.to == b.address()) b.receive(datagram);
        take_outboxes();
        anything = true;
      }
      if (!anything && clock.now >= end) return;
    }
  }
  // Until the link is empty.
  void settle() { run(4 * latency); }

  // a's handshake with b, with both sides ready to send.
  void connect() {
    a.initiate();
    settle();
    ASSERT_TRUE(a.sending());
    ASSERT_TRUE(b.sending());
  }

  std::vector<Datagram> sent_by(const Side& side, std::optional<MessageType> type = std::nullopt) const {
    std::vector<Datagram> out;
    for (const auto& datagram : log)
      if (datagram.from == side.address() && (!type || datagram.type() == *type)) out.push_back(datagram);
    return out;
  }
  std::size_t count(const Side& side, MessageType type) const { return sent_by(side, type).size(); }
  Datagram last(const Side& side, MessageType type) const {
    const auto all = sent_by(side, type);
    EXPECT_FALSE(all.empty());
    return all.empty() ? Datagram{} : all.back();
  }

  static PeerSettings settings_for(PeerSettings settings, const crypto::Key32& public_key, std::optional<Endpoint> at) {
    settings.public_key = public_key;
    if (!settings.endpoint) settings.endpoint = std::move(at);
    return settings;
  }

  FakeClock clock;
  SeededRandom seed_random;
  Identity identity_a;
  Identity identity_b;
  PeerSettings settings_of_a;
  PeerSettings settings_of_b;
  Side a;
  Side b;
  Duration latency = milliseconds(10);
  std::function<bool(const Datagram&)> loses = [](const Datagram&) { return false; };
  std::vector<Datagram> log;  // all that was sent, lost or not
  std::deque<Datagram> in_flight;

 private:
  void take_outboxes() {
    for (auto* side : {&a, &b}) {
      for (auto& datagram : side->outbox) {
        log.push_back(datagram);
        if (!loses(datagram)) in_flight.push_back(datagram);
      }
      side->outbox.clear();
    }
    std::stable_sort(in_flight.begin(), in_flight.end(), [](const auto& x, const auto& y) { return x.at < y.at; });
  }
};

}  // namespace drpf::protocol::wireguard::testing
