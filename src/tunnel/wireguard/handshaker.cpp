#include "tunnel/wireguard/handshaker.h"

#include <spdlog/logger.h>

#include <poll.h>

#include <algorithm>
#include <thread>

#include "protocol/wireguard/messages.h"
#include "tunnel/wireguard/datagram_sender.h"

namespace drpf::tunnel::wireguard {

using namespace protocol::wireguard;

Handshaker::Handshaker(EngineState& state, HandshakerConfig config, Random& random, std::function<void(Event)> on_event)
    : state_(state),
      config_(std::move(config)),
      random_(random),
      on_event_(std::move(on_event)),
      gate_(config_.identity.public_key),
      screened_(screened_at_once),
      cookies_(state),
      graveyard_(state.quiescence) {
  publish_routes();
}

// The packet threads have ended by now.
Handshaker::~Handshaker() { state_.routes.store(nullptr); }

void Handshaker::serve(std::function<std::vector<Watched>()> watched, std::function<void()> on_ready) {
  watched_ = std::move(watched);
  on_ready_ = std::move(on_ready);
}

void Handshaker::post(std::function<void()> work) {
  {
    const std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(work));
  }
  state_.handshaker_wake.wake();
}

void Handshaker::change(const std::function<void()>& work) {
  const std::lock_guard lock(mutex_);
  work();
  state_.handshaker_wake.wake();  // for the events that it may have caused
  if (!routes_changed_) return;
  publish_routes();
  wait_for_packet_threads();  // a batch that is being worked on still goes by the old ones
}

void Handshaker::run() {
  while (!state_.stopping.load()) {
    std::deque<std::function<void()>> work;
    {
      const std::lock_guard lock(posted_mutex_);
      work.swap(posted_);
    }
    std::vector<Event> events;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& one : work) one();
      if (routes_changed_) publish_routes();
      screen_handshakes();
      handle_handshakes();
      handle_reports();
      handle_timers();
      graveyard_.collect();
      for (auto& event : state_.take_told()) events_.push_back(std::move(event));
      events.swap(events_);
    }
    for (auto& event : events) on_event_(std::move(event));
    if (std::exchange(watched_ready_, false)) on_ready_();
    wait();
  }
}

void Handshaker::wait() {
  auto longest = config_.wait_max;
  if (!state_.may_sleep_long() || !graveyard_.empty()) longest = std::min(longest, tick);
  if (!timers_.empty()) longest = std::min(longest, std::max(Duration{0}, timers_.begin()->first - state_.clock.now()));
  if (!state_.handshakes.empty() || !proven_.empty()) longest = Duration{0};
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(longest).count();

  std::vector<pollfd> waiting{{state_.handshaker_wake.fd(), POLLIN, 0}};
  if (watched_)
    for (const auto& watched : watched_()) waiting.push_back({watched.fd, watched.events, 0});
  ::poll(waiting.data(), waiting.size(), static_cast<int>(std::min<long long>(milliseconds, INT_MAX)));
  if (waiting[0].revents != 0) state_.handshaker_wake.clear();
  watched_ready_ = std::any_of(waiting.begin() + 1, waiting.end(), [](const auto& one) { return one.revents != 0; });
}

// -- Messages -----------------------------------------------------------------------------------------------------------------------

// Faster than they can be sent to us, so that none is lost for want of room: an honest one among them could be.
void Handshaker::screen_handshakes() {
  for (std::size_t looked_at = 0; looked_at < screened_per_turn_max;) {
    std::size_t waiting = 0;
    const auto taken = state_.handshakes.take(screened_, waiting);
    for (std::size_t i = 0; i < taken; ++i) screen(screened_[i], taken - 1 - i + waiting + proven_.size());
    cookies_.flush();
    looked_at += taken;
    if (taken < screened_.size()) return;
  }
}

void Handshaker::screen(const HandshakeDatagram& datagram, std::size_t waiting) {
  // An answer to nothing, which is cheaper to see than anything else.
  if (const auto response = decode_response(datagram.view()); response && !indices_.find(response->receiver))
    return drop(DropReason::unknown_index);
  auto verdict = gate_.check(datagram.view(), datagram.from, waiting, state_.clock.now(), random_);
  if (const auto* dropped = std::get_if<GateDrop>(&verdict)) {
    if (dropped->reason == DropReason::bad_mac1 && classify(datagram.view()) == MessageType::initiation)
      note_stranger(StrangerRefusal::Why::other_identity, datagram.from);
    return drop(dropped->reason);
  }
  if (auto* const reply = std::get_if<GateReply>(&verdict)) {
    Counters::add(state_.counters.cookies_sent);
    return cookies_.add(datagram.from, datagram.source, std::move(reply->cookie_reply));
  }
  if (std::get<GatePass>(verdict).type == MessageType::cookie_reply) return on_cookie_reply(datagram);  // costs no public-key work
  if (proven_.size() == proven_max) return Counters::add(state_.counters.handshake_queue_full);
  proven_.push_back(datagram);
}

void Handshaker::handle_handshakes() {
  for (std::size_t i = 0; i < handshakes_per_turn_max && !proven_.empty(); ++i) {
    const auto& datagram = proven_.front();
    if (classify(datagram.view()) == MessageType::initiation)
      on_initiation(datagram);
    else
      on_response(datagram);
    proven_.pop_front();
  }
}

void Handshaker::on_cookie_reply(const HandshakeDatagram& datagram) {
  const auto id = indices_.find(decode_cookie_reply(datagram.view())->receiver);
  if (!id) return drop(DropReason::unknown_index);
  perform(*records_[*id], records_[*id]->machine->on_cookie_reply(datagram.view(), moment()));
}

void Handshaker::on_initiation(const HandshakeDatagram& datagram) {
  auto received = ReceivedInitiation::open(config_.identity, datagram.view());
  if (!received) return drop(DropReason::not_authentic);
  auto* const record = find(received->remote_static());
  if (record == nullptr) {
    note_stranger(StrangerRefusal::Why::unknown_key, datagram.from, received->remote_static());
    return drop(DropReason::unknown_key);
  }
  record->arrival_source = datagram.source;
  perform(*record, record->machine->on_initiation(*received, datagram.from, moment(), random_), &datagram);
}

void Handshaker::on_response(const HandshakeDatagram& datagram) {
  const auto id = indices_.find(decode_response(datagram.view())->receiver);
  if (!id) return drop(DropReason::unknown_index);
  auto& record = *records_[*id];
  record.arrival_source = datagram.source;
  perform(record, record.machine->on_response(datagram.view(), datagram.from, moment(), random_), &datagram);
}

void Handshaker::drop(DropReason reason) {
  Counters::add(state_.counters.handshake_dropped);
  Counters::add(state_.counters.handshake_dropped_for[static_cast<std::size_t>(reason)]);
}

void Handshaker::note_stranger(StrangerRefusal::Why why, const Endpoint& from, const Key& public_key) {
  auto& noted = strangers_[static_cast<std::size_t>(why)];
  noted = {why, noted.times + 1, state_.clock.wall_now(), from, public_key};
}

void Handshaker::note_refusal(Record& record, PeerRefusal::Why why, const Timestamp& stamp) {
  auto& refusal = record.refusal;
  if (refusal.why != why) refusal = {};
  // The same one again, or an older one, is not the peer's: its own stamps grow.
  if (refusal.times > 0 && stamp <= refusal.stamp) return;
  refusal = {why, refusal.times + 1, state_.clock.wall_now(), stamp};
}

std::vector<StrangerRefusal> Handshaker::strangers() const {
  const std::lock_guard lock(mutex_);
  std::vector<StrangerRefusal> all;
  for (const auto& one : strangers_)
    if (one.times > 0) all.push_back(one);
  return all;
}

// -- Reports of the packet threads ----------------------------------------------------------------------------------------------------

void Handshaker::handle_reports() {
  for (auto* const peer : state_.take_reports()) {
    PeerReport report;
    {
      const std::lock_guard lock(peer->report_mutex);
      report = std::exchange(peer->report, {});
    }
    on_report(*records_[peer->id], report);
  }
}

void Handshaker::on_report(Record& record, const PeerReport& report) {
  auto& machine = *record.machine;
  const auto wall = state_.clock.wall_now();
  if (report.source_unusable) {
    record.path.source = {};
    publish_path(record);
  }

  const auto tell_sent = [&] {
    const BatchSent batch{report.sent->local_index, report.sent->next_counter, report.sent->data};
    perform(record, machine.on_batch_sent(batch, {report.sent->when, wall}, random_));
  };
  bool sent_told = !report.sent;
  // In the order in which it happened, as far as one report per session can say.
  auto received = report.received;
  std::sort(received.begin(), received.end(), [](const auto& a, const auto& b) { return a && (!b || a->when < b->when); });
  for (const auto& one : received) {
    if (!one) break;
    if (!sent_told && report.sent->when < one->when) {
      tell_sent();
      sent_told = true;
    }
    bool here = true;
    const auto from = one->from ? one->from : record.path.endpoint;
    if (from && !record.departed) {
      const auto source = one->from ? one->source : record.path.source;
      const bool proven = takes_proof(record, *from, one->local_index);
      here = on_authenticated(record, *from, source, one->when, proven);
      if (!here && !proven) challenge(record, *from, source);
    }
    const BatchReceived batch{one->local_index, one->data, here ? one->from : std::nullopt};
    if (one->from) record.arrival_source = one->source;
    perform(record, machine.on_batch_received(batch, {one->when, wall}, random_), nullptr, !here);
    if (here && one->from && record.path.endpoint == one->from && record.path.source != one->source) {
      record.path.source = one->source;
      publish_path(record);
    }
  }
  if (!sent_told) tell_sent();
  if (report.staged) perform(record, machine.on_data_staged(report.refused, moment(), random_));
}

// -- Timers -------------------------------------------------------------------------------------------------------------------------

void Handshaker::handle_timers() {
  const auto now = state_.clock.now();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    auto& record = *records_[timers_.begin()->second];
    timers_.erase(timers_.begin());
    record.scheduled.reset();
    check_disconnected(record);
    perform(record, record.machine->on_timeout(moment(), random_));
  }
}

// Only an earlier time is written down; waking up too early does no harm, and then the right time is known.
void Handshaker::schedule(Record& record) {
  auto next = record.machine->next_timeout();
  if (record.connected) {
    const auto disconnect = *record.last_authenticated + config_.disconnect_after;
    if (!next || disconnect < *next) next = disconnect;
  }
  if (!next || (record.scheduled && *record.scheduled <= *next)) return;
  if (record.scheduled) timers_.erase({*record.scheduled, record.state->id});
  record.scheduled = next;
  timers_.emplace(*next, record.state->id);
}

// -- Actions ------------------------------------------------------------------------------------------------------------------------

// `answered`: the handshake message that the actions follow from, if any. `hold`: they follow from what came from where the peer is not
// admitted yet; what goes to where it was is lost.
void Handshaker::perform(Record& record, Actions actions, const HandshakeDatagram* answered, bool hold) {
  const bool authentic =
      std::none_of(actions.begin(), actions.end(), [](const Action& action) { return std::holds_alternative<Drop>(action); });
  if (answered != nullptr && authentic) {
    record.handshake_bytes_received += answered->size;
    if (std::exchange(record.departed, false)) {
      record.path.admitted.reset();
      publish_path(record);  // before the answer, after which the peer may send
    }
    const auto type = classify(answered->view());
    const bool is_response = type == MessageType::response;
    const bool is_initiation = type == MessageType::initiation;
    if (is_initiation) note_refusal(record, PeerRefusal::Why::never_proven, record.machine->last_timestamp());
    const bool proven = !config_.ask_for_proof || (is_response && record.asked == answered->from.address);
    // An initiation may have been recorded: by itself it brings nobody here, and moves nothing.
    const bool tells = state_.require_admission || !is_initiation;
    hold = tells && !on_authenticated(record, answered->from, answered->source, state_.clock.now(), proven);
    if (hold && !proven && is_response) challenge(record, answered->from, answered->source);  // what it answered went elsewhere
    if (!hold && record.path.endpoint == answered->from && record.path.source != record.arrival_source) {
      record.path.source = record.arrival_source;
      publish_path(record);
    }
  }
  for (auto& action : actions) perform_one(record, action, hold, answered);
  schedule(record);
}

void Handshaker::perform_one(Record& record, Action& action, bool hold, const HandshakeDatagram* answered) {
  auto& peer = *record.state;
  if (auto* const send = std::get_if<SendDatagram>(&action)) {
    if (answered == nullptr) record.asked = send->to.address;
    const auto is_endpoint = record.path.endpoint == send->to;
    const auto source = is_endpoint ? record.path.source : answered != nullptr ? answered->source : system::LocalSource{};
    send_datagram(record, send->to, source, send->bytes);
  } else if (const auto* const set = std::get_if<SetEndpoint>(&action)) {
    if (hold) return;
    record.path.endpoint = set->endpoint;
    record.path.source = record.arrival_source;
    publish_path(record);
  } else if (std::holds_alternative<ClearSource>(action)) {
    record.path.source = {};
    publish_path(record);
  } else if (auto* const fresh = std::get_if<NewSession>(&action)) {
    auto session = std::make_unique<Session>(fresh->local_index, fresh->remote_index, fresh->facts, peer, fresh->send_key.bytes(),
                                             fresh->receive_key.bytes());
    if (!fresh->facts.initiator && answered != nullptr) session->answered_to = answered->from.address;
    state_.sessions.insert(*session, graveyard_);
    if (!fresh->facts.initiator) peer.next.store(session.get());
    record.sessions[fresh->local_index] = std::move(session);
  } else if (const auto* const use = std::get_if<SendWith>(&action)) {
    const auto found = record.sessions.find(use->local_index);
    if (found == record.sessions.end()) return;
    peer.sending.store(found->second.get());
    if (peer.next.load() == found->second.get()) peer.next.store(nullptr);
    record.refusal = {};
  } else if (const auto* const retire = std::get_if<RetireSession>(&action)) {
    const auto found = record.sessions.find(retire->local_index);
    if (found == record.sessions.end()) return;
    state_.sessions.erase(retire->local_index, graveyard_);
    if (peer.next.load() == found->second.get()) peer.next.store(nullptr);
    if (peer.sending.load() == found->second.get()) peer.sending.store(nullptr);
    graveyard_.bury(std::move(found->second));
    record.sessions.erase(found);
  } else if (std::holds_alternative<SendKeepalive>(action)) {
    if (!hold) state_.command({SenderCommand::What::keepalive, &peer});
  } else if (std::holds_alternative<FlushStaged>(action)) {
    if (!hold) state_.command({SenderCommand::What::flush_staged, &peer});
  } else if (std::holds_alternative<DropStaged>(action)) {
    state_.command({SenderCommand::What::drop_staged, &peer});
  } else if (const auto* const dropped = std::get_if<Drop>(&action)) {
    if (dropped->stamp) note_refusal(record, PeerRefusal::Why::old_stamp, *dropped->stamp);
    drop(dropped->reason);
  }
}

void Handshaker::send_datagram(Record& record, const Endpoint& to, const system::LocalSource& source, ByteView bytes) {
  record.handshake_bytes_sent += bytes.size();
  Bytes copy(bytes.begin(), bytes.end());
  DatagramSender(state_).send(to, source, {copy, copy.size()});
}

// -- Presence and admission ---------------------------------------------------------------------------------------------------------

bool Handshaker::on_authenticated(Record& record, const Endpoint& from, const system::LocalSource& source, Time when, bool proven) {
  record.last_authenticated = std::max(record.last_authenticated.value_or(when), when);
  const bool admitted = !state_.require_admission || record.path.admitted == from.address;
  if (!admitted && !proven) return false;
  const bool was_connected = std::exchange(record.connected, true);
  if (admitted) {
    const bool moved = !state_.require_admission && record.path.endpoint && record.path.endpoint->address != from.address;
    if (!was_connected)
      events_.push_back(PeerConnected{record.state->public_key, from});
    else if (moved)
      events_.push_back(PeerRoamed{record.state->public_key, from});
    return true;
  }
  const auto now = state_.clock.now();
  const bool told =
      record.waiting && record.waiting->address == from.address && record.announced && now - *record.announced < event_repeat_min;
  record.waiting = from;
  record.waiting_source = source;
  if (told && was_connected) return false;
  record.announced = now;
  const bool first = !was_connected || !record.path.admitted;
  if (first)
    events_.push_back(PeerConnected{record.state->public_key, from});
  else
    events_.push_back(PeerRoamed{record.state->public_key, from});
  return false;
}

// Once for each handshake: the session may be older than a later move.
bool Handshaker::takes_proof(Record& record, const Endpoint& from, std::uint32_t session) {
  if (!config_.ask_for_proof || (record.waiting && record.waiting->address == from.address)) return true;
  const auto found = record.sessions.find(session);
  if (found == record.sessions.end() || found->second->answered_to != from.address) return false;
  found->second->answered_to.reset();
  return true;
}

void Handshaker::challenge(Record& record, const Endpoint& at, const system::LocalSource& source) {
  const auto now = state_.clock.now();
  if (record.challenged && now - *record.challenged < challenge_interval_min) return;
  record.challenged = now;
  const auto initiation = record.machine->challenge(moment(), random_);
  if (!initiation) return;
  record.asked = at.address;
  send_datagram(record, at, source, *initiation);
}

void Handshaker::admit(const Key& public_key, const Address& endpoint_address) {
  auto* const record = find(public_key);
  if (record == nullptr) return;
  record->path.admitted = endpoint_address;
  if (record->waiting && record->waiting->address == endpoint_address) {
    record->path.endpoint = record->waiting;
    record->path.source = record->waiting_source;
    record->machine->set_endpoint(*record->waiting);
    record->waiting.reset();
    record->announced.reset();
    // What has waited goes there now; and where we began the session, the peer must not use it before it has heard from us.
    if (record->machine->sending_session()) state_.command({SenderCommand::What::keepalive, record->state.get()});
  }
  publish_path(*record);
  state_.receiver_wake.wake();  // packets may wait for this
}

void Handshaker::check_disconnected(Record& record) {
  if (!record.connected) return;
  const Time heard(Duration(record.state->receiver.last_authenticated.load(std::memory_order_relaxed)));
  record.last_authenticated = std::max(*record.last_authenticated, heard);
  if (state_.clock.now() - *record.last_authenticated < config_.disconnect_after) return;
  record.connected = false;
  record.waiting.reset();
  record.announced.reset();
  record.path.admitted.reset();
  publish_path(record);
  events_.push_back(PeerDisconnected{record.state->public_key});
}

void Handshaker::publish_path(Record& record) { record.state->path.set(record.path); }

void Handshaker::publish_routes() {
  auto fresh = std::make_unique<Routes>();
  fresh->addresses = AllowedIps(allowed_ips_);
  fresh->peers.resize(records_.size());
  for (std::size_t id = 0; id < records_.size(); ++id)
    if (records_[id]) fresh->peers[id] = records_[id]->state.get();
  state_.routes.store(fresh.get());
  if (auto old = std::exchange(routes_, std::move(fresh))) graveyard_.bury(std::move(old));
  routes_changed_ = false;
}

// -- Commands -----------------------------------------------------------------------------------------------------------------------

Handshaker::Record* Handshaker::find(const Key& public_key) {
  const auto found = by_key_.find(public_key);
  return found == by_key_.end() ? nullptr : records_[found->second].get();
}

void Handshaker::change_peer(const PeerChange& change) {
  auto* record = find(change.public_key);
  if (record == nullptr) {
    if (change.update_only) return;
    PeerId id = static_cast<PeerId>(records_.size());
    if (free_ids_.empty()) {
      records_.emplace_back();
    } else {
      id = free_ids_.back();
      free_ids_.pop_back();
    }
    records_[id] = std::make_unique<Record>(id, change.public_key);
    record = records_[id].get();
    by_key_[change.public_key] = id;
    PeerSettings settings;
    settings.public_key = change.public_key;
    settings.sent_timestamp = config_.timestamp_floor;
    if (change.last_timestamp) settings.last_timestamp = *change.last_timestamp;
    record->machine = std::make_unique<Peer>(config_.identity, settings, id, indices_);
    routes_changed_ = true;
  }
  const auto id = record->state->id;
  if (change.preshared_key) {
    record->preshared_key = *change.preshared_key;
    record->machine->set_preshared_key(crypto::SecretKey(*change.preshared_key));
  }
  if (change.endpoint) {
    record->machine->set_endpoint(*change.endpoint);
    record->path.endpoint = change.endpoint;
    record->path.source = {};
    publish_path(*record);
  }
  if (change.replace_allowed_ips) allowed_ips_.remove_peer(id);
  for (const auto& prefix : change.allowed_ips_remove) allowed_ips_.remove(prefix, id);
  for (const auto& prefix : change.allowed_ips_add) allowed_ips_.insert(prefix, id);
  if (change.replace_allowed_ips || !change.allowed_ips_add.empty() || !change.allowed_ips_remove.empty()) routes_changed_ = true;
  if (change.keepalive_s) {
    record->keepalive_s = *change.keepalive_s;
    perform(*record, record->machine->set_persistent_keepalive(std::chrono::seconds(*change.keepalive_s), moment(), random_));
  }
  schedule(*record);
}

void Handshaker::remove_peer(const Key& public_key) {
  const auto found = by_key_.find(public_key);
  if (found != by_key_.end()) remove(found->second);
}

void Handshaker::remove_all_peers() {
  while (!by_key_.empty()) remove(by_key_.begin()->second);
}

// When this returns the packet threads have seen the last of the peer.
void Handshaker::remove(PeerId id) {
  auto& record = *records_[id];
  perform(record, record.machine->stop());
  // Should it come back, its new stamps must still be greater than the old ones.
  config_.timestamp_floor = std::max(config_.timestamp_floor, record.machine->sent_timestamp());
  allowed_ips_.remove_peer(id);
  by_key_.erase(record.state->public_key);
  if (record.scheduled) timers_.erase({*record.scheduled, id});
  auto gone = std::move(records_[id]);
  publish_routes();
  state_.forget_commands(*gone->state);
  wait_for_packet_threads();
  state_.forget_reports(*gone->state);
  state_.staged_total -= gone->state->sender.staged.size();
  free_ids_.push_back(id);
  graveyard_.bury(std::move(gone));
}

void Handshaker::wait_for_packet_threads() {
  const auto mark = state_.quiescence.mark();
  const auto give_up = std::chrono::steady_clock::now() + quiescence_wait_max;
  while (!state_.quiescence.passed(mark) && !state_.stopping.load()) {
    if (std::chrono::steady_clock::now() > give_up) {
      state_.log->error("a packet thread has been busy with one batch for {} ms",
                        std::chrono::duration_cast<std::chrono::milliseconds>(quiescence_wait_max).count());
      return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

void Handshaker::depart(const Key& public_key) {
  auto* const record = find(public_key);
  if (record == nullptr) return;
  record->connected = false;
  record->departed = true;
}

void Handshaker::initiate(const Key& public_key) {
  if (auto* const record = find(public_key)) perform(*record, record->machine->initiate(moment(), random_));
}

// -- Status -------------------------------------------------------------------------------------------------------------------------

std::vector<PeerDetails> Handshaker::details() const {
  std::vector<PeerDetails> all;
  std::vector<Key> keys;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, id] : by_key_) keys.push_back(key);
  }
  for (const auto& key : keys)
    if (auto one = details(key)) all.push_back(std::move(*one));
  return all;
}

std::optional<PeerDetails> Handshaker::details(const Key& public_key) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(public_key);
  if (found == by_key_.end()) return {};
  const auto& record = *records_[found->second];
  PeerDetails out;
  out.preshared_key = record.preshared_key;
  out.allowed_ips = allowed_ips_.of_peer(found->second);
  out.keepalive_s = record.keepalive_s;
  auto& status = out.status;
  status.public_key = public_key;
  status.endpoint = record.path.endpoint;
  status.last_handshake = record.machine->last_handshake();
  status.last_authenticated = record.last_authenticated;
  if (const auto heard = record.state->receiver.last_authenticated.load(std::memory_order_relaxed); heard != 0)
    status.last_authenticated = std::max(status.last_authenticated.value_or(Time(Duration(heard))), Time(Duration(heard)));
  status.bytes_received = record.handshake_bytes_received + record.state->receiver.bytes.load(std::memory_order_relaxed);
  status.bytes_sent = record.handshake_bytes_sent + record.state->sender.bytes.load(std::memory_order_relaxed);
  status.last_timestamp = record.machine->last_timestamp();
  if (record.refusal.times >= refusals_told_from) status.refused = record.refusal;
  return out;
}

Timestamp Handshaker::timestamp_floor() const {
  const std::lock_guard lock(mutex_);
  auto floor = config_.timestamp_floor;
  for (const auto& record : records_)
    if (record) floor = std::max(floor, record->machine->sent_timestamp());
  return floor;
}

}  // namespace drpf::tunnel::wireguard
