#include "protocol/wireguard/peer.h"

#include <algorithm>

namespace drpf::protocol::wireguard {

Peer::Peer(const Identity& own, const PeerSettings& settings, PeerId id, IndexTable& indices)
    : own_(own),
      public_key_(settings.public_key),
      preshared_key_(settings.preshared_key),
      id_(id),
      indices_(indices),
      macs_(settings.public_key),
      endpoint_(settings.endpoint),
      persistent_keepalive_(settings.persistent_keepalive),
      stamps_(settings.sent_timestamp),
      last_timestamp_(settings.last_timestamp) {
  share_secret();
}

Peer::~Peer() { stop(); }

void Peer::share_secret() {
  static_static_.reset();
  if (public_key_ == own_.public_key) return;
  if (auto secret = crypto::x25519(own_.private_key.bytes(), public_key_)) {
    static_static_.emplace(*secret);
    crypto::cleanse(*secret);
  }
}

// -- Messages -----------------------------------------------------------------------------------------------------------------------

// Who sends it may have recorded it, and this side may have forgotten that it was answered. So it is answered and nothing else: where the
// peer is, is believed when a packet of the session says it, which only who has the keys can make. A peer of whom nothing is known is asked
// for there.
Actions Peer::on_initiation(ReceivedInitiation& received, const Endpoint& from, const Moment& moment, Random& random) {
  if (!static_static_) return {Drop{DropReason::low_order_key}};
  if (received.remote_static() != public_key_) return {Drop{DropReason::unknown_key}};
  const auto stamp = received.prove(*static_static_);
  if (!stamp) return {Drop{DropReason::not_authentic}};
  if (*stamp <= last_timestamp_) return {Drop{DropReason::replayed_timestamp, stamp}};
  if (initiation_accepted_ && moment.now - *initiation_accepted_ < initiation_interval_min) return {Drop{DropReason::too_many_initiations}};
  const crypto::SecretKey ephemeral(crypto::generate_private_key(random));
  const auto noise = received.noise().write_second(ephemeral, preshared_key_, {});
  if (!noise) return {Drop{DropReason::low_order_key}};

  last_timestamp_ = *stamp;
  initiation_accepted_ = moment.now;
  Actions actions;
  if (!endpoint_) learn_endpoint(from, actions);  // where else should what waits for it go
  any_packet_received();

  Session session;
  session.local_index = indices_.allocate(id_, random);
  session.remote_index = received.sender_index();
  session.facts = {moment.now, false};
  begin_as_responder(session, received.noise().keys(), actions);
  timers_[erase_keys] = moment.now + erase_keys_after;

  Response response;
  response.sender = session.local_index;
  response.receiver = session.remote_index;
  std::copy(noise->begin(), noise->end(), response.noise.begin());
  auto datagram = encode(response);
  macs_.sign(datagram, moment.now);
  handshake_sent_ = moment.now;
  any_packet_sent();
  any_packet_traversed(moment.now);
  actions.push_back(SendDatagram{from, std::move(datagram)});
  return actions;
}

Actions Peer::on_response(ByteView datagram, const Endpoint& from, const Moment& moment, Random& random) {
  const auto response = decode_response(datagram);
  if (!response) return {Drop{DropReason::malformed}};
  if (!pending_ || pending_->local_index != response->receiver) return {Drop{DropReason::unknown_index}};
  if (!pending_->noise.read_second(response->noise, preshared_key_)) return {Drop{DropReason::not_authentic}};

  Actions actions;
  learn_endpoint(from, actions);
  any_packet_received();
  any_packet_traversed(moment.now);
  Session session;
  session.local_index = pending_->local_index;
  session.remote_index = response->sender;
  session.facts = {moment.now, true};
  auto keys = pending_->noise.keys();
  pending_.reset();  // its index lives on as the session's; a second response finds nothing to answer
  begin_as_initiator(session, std::move(keys), actions);
  timers_[erase_keys] = moment.now + erase_keys_after;
  handshake_completed(moment.wall);
  send_keepalive(moment, random, actions);  // the responder must not send before it has heard from us
  return actions;
}

// A reply proves nothing about where the peer is: the endpoint stays.
Actions Peer::on_cookie_reply(ByteView datagram, const Moment& moment) {
  const auto reply = decode_cookie_reply(datagram);
  if (!reply) return {Drop{DropReason::malformed}};
  if (!macs_.accept_reply(*reply, moment.now)) return {Drop{DropReason::unexpected_cookie}};
  return {};
}

// -- Facts --------------------------------------------------------------------------------------------------------------------------

Actions Peer::on_batch_sent(const BatchSent& batch, const Moment& moment, Random& random) {
  auto* session = find_session(batch.local_index);
  if (session == nullptr) return {};  // the report and the session's end crossed
  session->next_counter = std::max(session->next_counter, batch.next_counter);
  any_packet_sent();
  any_packet_traversed(moment.now);
  if (batch.data) data_sent(moment.now, random);
  Actions actions;
  if (current_ && rekey_due_on_send(current_->facts, current_->next_counter, moment.now))
    send_initiation(Attempt::first, moment, random, actions);
  return actions;
}

Actions Peer::on_batch_received(const BatchReceived& batch, const Moment& moment, Random& random) {
  if (find_session(batch.local_index) == nullptr) return {};
  Actions actions;
  if (batch.from) learn_endpoint(*batch.from, actions);
  if (next_ && next_->local_index == batch.local_index) {
    promote_next(actions);
    forget_pending();  // a handshake of our own that was under way is not needed any more
    handshake_completed(moment.wall);
    actions.push_back(FlushStaged{});
  }
  any_packet_received();
  any_packet_traversed(moment.now);
  if (batch.data) data_received(moment.now);
  if (!last_minute_rekeyed_ && current_ && rekey_due_on_receive(current_->facts, moment.now)) {
    last_minute_rekeyed_ = true;
    send_initiation(Attempt::first, moment, random, actions);
  }
  return actions;
}

Actions Peer::on_data_staged(std::optional<std::uint32_t> refused, const Moment& moment, Random& random) {
  Actions actions;
  if (current_usable(moment.now) && refused != current_->local_index)
    actions.push_back(FlushStaged{});  // the sender had not heard of this session yet
  else
    send_initiation(Attempt::first, moment, random, actions);
  return actions;
}

// -- Timers -------------------------------------------------------------------------------------------------------------------------

std::optional<Time> Peer::next_timeout() const {
  std::optional<Time> earliest;
  for (const auto& timer : timers_)
    if (timer && (!earliest || *timer < *earliest)) earliest = timer;
  return earliest;
}

Actions Peer::on_timeout(const Moment& moment, Random& random) {
  Actions actions;
  for (std::size_t timer = 0; timer < timer_count; ++timer) {
    if (!timers_[timer] || *timers_[timer] > moment.now) continue;
    timers_[timer].reset();
    handle_timer(static_cast<Timer>(timer), moment, random, actions);
  }
  return actions;
}

void Peer::handle_timer(Timer timer, const Moment& moment, Random& random, Actions& actions) {
  switch (timer) {
    case retransmit:
      handle_retransmit(moment, random, actions);
      break;
    case new_handshake:
      actions.push_back(ClearSource{});
      send_initiation(Attempt::first, moment, random, actions);
      break;
    case passive_keepalive:
      send_keepalive(moment, random, actions);
      break;
    case persistent:
      // Set again here and not only by the report of the keepalive, which may fail to be sent.
      timers_[persistent] = moment.now + persistent_keepalive_;
      send_keepalive(moment, random, actions);
      break;
    case erase_keys:
      forget_pending();
      forget_sessions(actions);
      actions.push_back(DropStaged{});
      break;
    case timer_count:
      break;
  }
}

void Peer::handle_retransmit(const Moment& moment, Random& random, Actions& actions) {
  if (attempts_ > handshake_attempts_max) {
    forget_pending();
    timers_[passive_keepalive].reset();
    actions.push_back(DropStaged{});
    return;
  }
  ++attempts_;
  actions.push_back(ClearSource{});
  send_initiation(Attempt::retry, moment, random, actions);
}

void Peer::any_packet_sent() { timers_[passive_keepalive].reset(); }

void Peer::any_packet_received() { timers_[new_handshake].reset(); }

void Peer::any_packet_traversed(Time now) {
  if (persistent_keepalive_ > Duration{0}) timers_[persistent] = now + persistent_keepalive_;
}

void Peer::data_sent(Time now, Random& random) {
  if (!timers_[new_handshake]) timers_[new_handshake] = now + new_handshake_after + jitter(random);
}

void Peer::data_received(Time now) {
  if (!timers_[passive_keepalive]) timers_[passive_keepalive] = now + keepalive_timeout;
}

void Peer::handshake_completed(WallTime wall) {
  timers_[retransmit].reset();
  attempts_ = 0;
  last_minute_rekeyed_ = false;
  last_handshake_ = wall;
}

Duration Peer::jitter(Random& random) { return std::chrono::milliseconds(random.u32() % (jitter_max_ms + 1)); }

// -- Commands -----------------------------------------------------------------------------------------------------------------------

Actions Peer::start(const Moment& moment, Random& random) {
  Actions actions;
  if (persistent_keepalive_ > Duration{0}) {
    timers_[persistent] = moment.now + persistent_keepalive_;
    send_keepalive(moment, random, actions);
  }
  return actions;
}

Actions Peer::initiate(const Moment& moment, Random& random) {
  Actions actions;
  send_initiation(Attempt::first, moment, random, actions);
  return actions;
}

std::optional<Bytes> Peer::challenge(const Moment& moment, Random& random) {
  return static_static_ ? new_initiation(moment, random) : std::nullopt;
}

Actions Peer::stop() {
  Actions actions;
  forget_pending();
  forget_sessions(actions);
  timers_ = {};
  attempts_ = 0;
  last_minute_rekeyed_ = false;
  return actions;
}

Actions Peer::set_persistent_keepalive(Duration interval, const Moment& moment, Random& random) {
  const bool turned_on = persistent_keepalive_ == Duration{0} && interval > Duration{0};
  persistent_keepalive_ = interval;
  timers_[persistent].reset();
  if (turned_on) return start(moment, random);
  any_packet_traversed(moment.now);
  return {};
}

// -- Sending ------------------------------------------------------------------------------------------------------------------------

void Peer::send_initiation(Attempt attempt, const Moment& moment, Random& random, Actions& actions) {
  if (!static_static_ || !endpoint_) {
    actions.push_back(DropStaged{});
    return;
  }
  if (attempt == Attempt::first) attempts_ = 0;
  if (handshake_sent_ && moment.now - *handshake_sent_ < rekey_timeout) {
    // Too soon after the last handshake message. Without a session somebody waits for this one, so it is only put off.
    if (!timers_[retransmit] && (attempt == Attempt::retry || !current_usable(moment.now)))
      timers_[retransmit] = *handshake_sent_ + rekey_timeout + jitter(random);
    return;
  }
  auto datagram = new_initiation(moment, random);
  if (!datagram) return;
  handshake_sent_ = moment.now;
  any_packet_sent();
  any_packet_traversed(moment.now);
  timers_[retransmit] = moment.now + rekey_timeout + jitter(random);
  actions.push_back(SendDatagram{*endpoint_, std::move(*datagram)});
}

// It takes the place of the one that was sent before.
std::optional<Bytes> Peer::new_initiation(const Moment& moment, Random& random) {
  NoiseInitiator noise(own_, public_key_, wireguard_prologue());
  const crypto::SecretKey ephemeral(crypto::generate_private_key(random));
  const auto stamp = stamps_.next(moment.wall);
  const auto message = noise.write_first(ephemeral, *static_static_, stamp);
  if (!message) return std::nullopt;
  forget_pending();
  Initiation initiation;
  initiation.sender = indices_.allocate(id_, random);
  std::copy(message->begin(), message->end(), initiation.noise.begin());
  auto datagram = encode(initiation);
  macs_.sign(datagram, moment.now);
  pending_.emplace(PendingInitiation{initiation.sender, std::move(noise)});
  return datagram;
}

void Peer::send_keepalive(const Moment& moment, Random& random, Actions& actions) {
  if (current_usable(moment.now))
    actions.push_back(SendKeepalive{});
  else
    send_initiation(Attempt::first, moment, random, actions);
}

void Peer::learn_endpoint(const Endpoint& from, Actions& actions) {
  if (endpoint_ == from) return;
  endpoint_ = from;
  actions.push_back(SetEndpoint{from});
}

// -- Sessions -----------------------------------------------------------------------------------------------------------------------

void Peer::begin_as_initiator(const Session& session, TransportKeys keys, Actions& actions) {
  actions.push_back(NewSession{session.local_index, session.remote_index, std::move(keys.send), std::move(keys.receive), session.facts});
  actions.push_back(SendWith{session.local_index});
  retire(previous_, actions);
  if (next_) {
    // Both sides initiated at once: the peer may already send with its own session, so that one is kept for receiving.
    retire(current_, actions);
    previous_ = next_;
    next_.reset();
  } else {
    previous_ = current_;
  }
  current_ = session;
}

void Peer::begin_as_responder(const Session& session, TransportKeys keys, Actions& actions) {
  actions.push_back(NewSession{session.local_index, session.remote_index, std::move(keys.send), std::move(keys.receive), session.facts});
  retire(next_, actions);
  retire(previous_, actions);
  next_ = session;
}

void Peer::promote_next(Actions& actions) {
  actions.push_back(SendWith{next_->local_index});
  retire(previous_, actions);
  previous_ = current_;
  current_ = next_;
  next_.reset();
}

void Peer::retire(std::optional<Session>& slot, Actions& actions) {
  if (!slot) return;
  indices_.release(slot->local_index);
  actions.push_back(RetireSession{slot->local_index});
  slot.reset();
}

void Peer::forget_sessions(Actions& actions) {
  for (auto* slot : {&previous_, &current_, &next_}) retire(*slot, actions);
}

void Peer::forget_pending() {
  if (!pending_) return;
  indices_.release(pending_->local_index);
  pending_.reset();
}

Peer::Session* Peer::find_session(std::uint32_t local_index) {
  for (auto* slot : {&current_, &next_, &previous_})
    if (*slot && (*slot)->local_index == local_index) return &**slot;
  return nullptr;
}

bool Peer::current_usable(Time now) const { return current_ && may_send(current_->facts, current_->next_counter, now); }

std::optional<std::uint32_t> Peer::sending_session() const { return current_ ? std::optional(current_->local_index) : std::nullopt; }

}  // namespace drpf::protocol::wireguard
