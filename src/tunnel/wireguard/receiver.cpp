#include "tunnel/wireguard/receiver.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "protocol/ip/packet.h"
#include "protocol/wireguard/messages.h"
#include "protocol/wireguard/session_rules.h"

namespace drpf::tunnel::wireguard {

using namespace protocol::wireguard;

Receiver::Receiver(EngineState& state)
    : state_(state), writer_(state), buffer_(messages_max * message_size), control_(messages_max * system::ReceiveControl::size) {
  touched_.reserve(protocol::ip::Merger::packets_max);
  merger_.set_features({state.switches.merge_tcp.load(), state.switches.merge_udp.load()});
  for (std::size_t i = 0; i <= state.crypto_workers; ++i) ciphers_.emplace_back(crypto::Key32{}, crypto::TransportCipher::Direction::open);
}

void Receiver::run() {
  workers_.emplace(state_.crypto_workers, "wg-open");
  const std::array sockets{&state_.sockets.of(Family::v4), &state_.sockets.of(Family::v6)};
  while (!state_.stopping.load() && !failed_) {
    // A negative descriptor is passed over by poll(): a machine without IPv6.
    pollfd waiting[3] = {{sockets[0]->fd.get(), POLLIN, 0}, {sockets[1]->fd.get(), POLLIN, 0}, {state_.receiver_wake.fd(), POLLIN, 0}};
    ::poll(waiting, 3, -1);
    if (waiting[2].revents != 0) {
      state_.receiver_wake.clear();
      if (!waiting_.empty()) {
        state_.quiescence.enter(Quiescence::receiver);
        now_ = state_.clock.now();
        deliver_waiting();
        state_.quiescence.leave(Quiescence::receiver);
      }
    }
    for (std::size_t turn = 0; turn < calls_per_turn_max; ++turn) {
      bool more = false;
      for (std::size_t i = 0; i < sockets.size(); ++i) {
        if (waiting[i].revents == 0 || failed_) continue;
        if (receive(*sockets[i]))
          more = true;
        else
          waiting[i].revents = 0;
      }
      if (!more) break;
    }
  }
}

// True if it may have left something.
bool Receiver::receive(const system::UdpSocket& socket) {
  std::array<mmsghdr, messages_max> messages{};
  std::array<sockaddr_storage, messages_max> names;
  std::array<iovec, messages_max> parts;
  for (std::size_t i = 0; i < messages_max; ++i) {
    parts[i] = {buffer_.data() + i * message_size, message_size};
    auto& message = messages[i].msg_hdr;
    message.msg_name = &names[i];
    message.msg_namelen = sizeof names[i];
    message.msg_iov = &parts[i];
    message.msg_iovlen = 1;
    message.msg_control = control_.data() + i * system::ReceiveControl::size;
    message.msg_controllen = system::ReceiveControl::size;
  }
  const int count = state_.io.receive_many(socket.fd.get(), messages);
  if (count < 0) {
    if (errno == EBADF || errno == ENOTSOCK) {
      state_.tell(EngineFailed{failure("udp_socket_gone", std::string("receiving on the UDP socket failed: ") + std::strerror(errno))});
      failed_ = true;
    }
    return errno == EINTR;  // EAGAIN: empty; others tell of an earlier datagram and pass
  }
  state_.quiescence.enter(Quiescence::receiver);
  now_ = state_.clock.now();
  if (!waiting_.empty()) deliver_waiting();
  std::size_t arrived = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const auto& header = messages[i].msg_hdr;
    const auto from = system::from_socket_address(names[i]);
    if (!from || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
      Counters::add(state_.counters.datagram_malformed);
      continue;
    }
    const auto control = system::ReceiveControl::read(header);
    auto& message = messages_[arrived++];
    message.bytes = MutableByteView(buffer_).subspan(i * message_size, messages[i].msg_len);
    message.segment_size = control.segment_size;
    message.from = *from;
    message.source = control.source;
  }
  // Alone, each message is handed on before the next is worked on; with help, all are opened at once.
  const auto at_once = workers_->count() == 0 ? 1 : arrived;
  for (std::size_t first = 0; first < arrived; first += at_once) {
    workers_->share(at_once, [&](std::size_t job, std::size_t worker) { open(messages_[first + job], ciphers_[worker]); });
    for (std::size_t i = first; i < first + at_once; ++i) take(messages_[i]);
  }
  finish_batch();
  state_.quiescence.leave(Quiescence::receiver);
  return static_cast<std::size_t>(count) == messages_max;
}

void Receiver::open(Message& message, crypto::TransportCipher& cipher) const {
  message.datagrams.clear();
  const Session* keyed = nullptr;
  const auto step = message.segment_size == 0 ? message.bytes.size() : message.segment_size;
  for (auto rest = message.bytes;;) {
    const auto datagram = rest.first(std::min(step, rest.size()));
    message.datagrams.push_back(open(datagram, cipher, keyed));
    rest = rest.subspan(datagram.size());
    if (rest.empty()) return;
  }
}

Receiver::Datagram Receiver::open(MutableByteView bytes, crypto::TransportCipher& cipher, const Session*& keyed) const {
  const auto type = classify(bytes);
  if (!type) return {bytes, nullptr, 0, Opening::malformed};
  if (*type != MessageType::data) return {bytes, nullptr, 0, Opening::handshake};
  const auto header = read_data_header(bytes);
  auto* const session = state_.sessions.find(header.receiver);
  if (session == nullptr) return {bytes, nullptr, 0, Opening::unknown_session};
  if (!may_receive(session->facts, now_)) return {bytes, session, 0, Opening::session_expired};
  if (keyed != session) cipher.set_key(session->open_key.bytes());
  keyed = session;
  const bool authentic = cipher.open(header.counter, bytes.subspan(data_header_size));
  return {bytes, session, header.counter, authentic ? Opening::opened : Opening::not_authentic};
}

void Receiver::take(const Message& message) {
  arrival_ = {message.from, message.source, nullptr, false, false};
  for (const auto& datagram : message.datagrams) take(datagram);
  if (undelivered_ < delivered_at_once) return;
  writer_.write(merger_);
  undelivered_ = 0;
}

void Receiver::take(const Datagram& datagram) {
  switch (datagram.opening) {
    case Opening::opened:
      break;
    case Opening::handshake:
      if (state_.handshakes.push(datagram.bytes, arrival_.from, arrival_.source))
        handshakes_arrived_ = true;
      else
        Counters::add(state_.counters.handshake_queue_full);
      return;
    case Opening::malformed:
      return Counters::add(state_.counters.datagram_malformed);
    case Opening::unknown_session:
      return Counters::add(state_.counters.unknown_session);
    case Opening::session_expired:
      return Counters::add(state_.counters.session_expired);
    case Opening::not_authentic:
      return Counters::add(state_.counters.not_authentic);
  }
  auto* const session = datagram.session;
  if (!session->window.accept(datagram.counter)) return Counters::add(state_.counters.replayed);

  const auto plain = datagram.bytes.subspan(data_header_size, datagram.bytes.size() - data_overhead);
  auto& peer = session->peer;
  if (arrival_.peer != &peer) look_at_arrival(peer);
  if (!session->in_batch) {
    session->in_batch = true;
    touched_.push_back(session);
  }
  if (!session->heard.load(std::memory_order_relaxed)) {
    session->heard.store(true, std::memory_order_release);
    session->batch_first = true;
  }
  session->batch_bytes += datagram.bytes.size();
  session->batch_data = session->batch_data || !plain.empty();
  if (arrival_.known) {
    session->batch_from.reset();
  } else {
    session->batch_from = arrival_.from;
    session->batch_source = arrival_.source;
  }
  if (!plain.empty()) deliver(plain, *session);
}

void Receiver::deliver(MutableByteView plain, const Session& session) {
  if (!arrival_.admitted && !may_wait(session.peer)) return Counters::add(state_.counters.not_admitted);
  const auto layout = protocol::ip::walk(plain);
  if (!layout) return Counters::add(state_.counters.packet_malformed);
  if (state_.routes.load()->addresses.lookup_source(plain) != session.peer.id) return Counters::add(state_.counters.wrong_source);
  if (!arrival_.admitted)
    return waiting_.push_back(
        {session.peer.id, session.peer.public_key, arrival_.from.address, now_, Bytes(plain.begin(), plain.begin() + layout->length)});
  if (merger_.full()) writer_.write(merger_);
  merger_.add(plain.first(layout->length), *layout);
  undelivered_ += layout->length;
}

bool Receiver::may_wait(const PeerState& peer) const {
  return waiting_.size() < waiting_max && std::count_if(
                                              waiting_.begin(), waiting_.end(), [&](const auto& one) { return one.peer == peer.id; }) <
                                              static_cast<std::ptrdiff_t>(waiting_per_peer_max);
}

void Receiver::deliver_waiting() {
  const auto& routes = *state_.routes.load();
  auto all = std::exchange(waiting_, {});
  for (auto& one : all) {
    auto* const peer = one.peer < routes.peers.size() ? routes.peers[one.peer] : nullptr;
    if (peer == nullptr || peer->public_key != one.public_key || now_ - one.since > waiting_time_max) {
      Counters::add(state_.counters.not_admitted);
    } else if (peer->path.refresh(peer->receiver.path).admitted != one.from) {
      waiting_.push_back(std::move(one));
    } else if (routes.addresses.lookup_source(one.packet) != one.peer) {
      Counters::add(state_.counters.wrong_source);
    } else {
      if (merger_.full()) writer_.write(merger_);
      merger_.add(one.packet, *protocol::ip::walk(one.packet));
    }
  }
  if (!merger_.empty()) writer_.write(merger_);
}

void Receiver::look_at_arrival(PeerState& peer) {
  const auto& path = peer.path.refresh(peer.receiver.path);
  arrival_.peer = &peer;
  arrival_.known = path.endpoint == arrival_.from && path.source == arrival_.source;
  arrival_.admitted = !state_.require_admission || path.admitted == arrival_.from.address;
}

void Receiver::finish_batch() {
  if (!merger_.empty()) writer_.write(merger_);
  undelivered_ = 0;
  for (auto* const session : touched_) {
    auto& peer = session->peer;
    auto& bytes = peer.receiver.bytes;
    bytes.store(bytes.load(std::memory_order_relaxed) + session->batch_bytes, std::memory_order_relaxed);
    peer.receiver.last_authenticated.store(now_.time_since_epoch().count(), std::memory_order_relaxed);
    {
      const std::lock_guard lock(peer.report_mutex);
      auto& reports = peer.report.received;
      auto slot =
          std::find_if(reports.begin(), reports.end(), [&](const auto& one) { return one && one->local_index == session->local_index; });
      if (slot == reports.end()) slot = std::find(reports.begin(), reports.end(), std::nullopt);
      if (slot == reports.end()) slot = reports.begin();
      const bool data = session->batch_data || (*slot && (*slot)->local_index == session->local_index && (*slot)->data);
      *slot = PeerReport::Received{session->local_index, data, now_, session->batch_from, session->batch_source};
    }
    // The first packet of a session may be what the other side's staged packets wait for.
    const bool urgent = std::exchange(session->batch_first, false) || session->batch_from.has_value();
    session->in_batch = session->batch_data = false;
    session->batch_bytes = 0;
    session->batch_from.reset();
    state_.report(peer, urgent);
  }
  touched_.clear();
  if (std::exchange(handshakes_arrived_, false)) state_.handshaker_wake.wake();
}

}  // namespace drpf::tunnel::wireguard
