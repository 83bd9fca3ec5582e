#include "tunnel/wireguard/sender.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "protocol/ip/packet.h"
#include "protocol/ip/splitter.h"
#include "protocol/ip/too_big.h"
#include "protocol/ip/wire.h"
#include "protocol/wireguard/constants.h"
#include "protocol/wireguard/messages.h"
#include "protocol/wireguard/session_rules.h"
#include "tunnel/wireguard/closed_flows.h"

namespace drpf::tunnel::wireguard {

using namespace protocol::wireguard;
using protocol::ip::OffloadHeader;

namespace {

bool tun_is_gone(int error) { return error == EBADFD || error == EFAULT || error == ENODEV || error == ENXIO || error == EBADF; }

}  // namespace

Sender::Sender(EngineState& state) : state_(state), datagrams_(state), read_buffer_(read_size) {
  const auto runs = state.crypto_workers == 0 ? 1 : runs_per_worker * (state.crypto_workers + 1);
  for (std::size_t i = 0; i < runs; ++i) runs_.emplace_back(slab_size);
  for (std::size_t i = 0; i <= state.crypto_workers; ++i) ciphers_.emplace_back(crypto::Key32{}, crypto::TransportCipher::Direction::seal);
}

void Sender::run() {
  workers_.emplace(state_.crypto_workers, "wg-seal");
  while (!state_.stopping.load()) {
    // poll() passes a negative descriptor over; one whose device is gone it would report again and again.
    pollfd waiting[2] = {{tun_gone_ ? -1 : state_.tun.fd(), POLLIN, 0}, {state_.sender_wake.fd(), POLLIN, 0}};
    ::poll(waiting, 2, -1);
    if (waiting[1].revents != 0) state_.sender_wake.clear();
    state_.quiescence.enter(Quiescence::sender);
    now_ = state_.clock.now();
    datagrams_.begin_turn();
    closed_ = state_.closed_flows.load();
    if (waiting[1].revents != 0) {
      if (state_.tun_replaced.exchange(false)) tun_gone_ = false;
      perform_commands();
      begin_drain();
    }
    if (waiting[0].revents != 0 || drain_reads_left_ > 0) read_packets();
    close_run();
    send_runs();
    state_.quiescence.leave(Quiescence::sender);
  }
}

void Sender::read_packets() {
  for (std::size_t i = 0; i < reads_per_turn_max && !tun_gone_ && !state_.fence_waits.load(std::memory_order_relaxed); ++i) {
    const auto size = state_.io.read_tun(state_.tun.fd(), read_buffer_);
    if (size > 0) {
      on_tun_packet(ByteView(read_buffer_).first(static_cast<std::size_t>(size)));
      if (drain_reads_left_ > 0 && --drain_reads_left_ == 0) end_drain();
      continue;
    }
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && tun_is_gone(errno)) {
      tun_gone_ = true;
      state_.tell(InterfaceGone{failure("tun_gone", "the TUN device '" + state_.tun.name() + "' is gone: " + std::strerror(errno),
                                        "start again; do not delete the device")});
      break;
    }
    if (drain_reads_left_ > 0) end_drain();
    return;  // EAGAIN: empty; anything else passes, such as EIO while the device is down
  }
  if (tun_gone_ && drain_reads_left_ > 0) end_drain();  // its queue has gone with it
}

void Sender::on_tun_packet(ByteView bytes) {
  OffloadHeader header;
  if (state_.tun.offload_header()) {
    if (bytes.size() < sizeof header) return Counters::add(state_.counters.tun_malformed);
    std::memcpy(&header, bytes.data(), sizeof header);
    bytes = bytes.subspan(sizeof header);
  }
  if (closed_ != nullptr && closed_->holds(bytes)) return Counters::add(state_.counters.lease_ended);
  auto splitter = protocol::ip::Splitter::start(header, bytes);
  if (!splitter) return Counters::add(state_.counters.tun_malformed);
  const auto& routes = *state_.routes.load();
  const auto id = routes.addresses.lookup_destination(bytes);
  if (!id) return Counters::add(state_.counters.no_route);
  auto& peer = *routes.peers[*id];
  if (!peer.path.refresh(peer.sender.path).endpoint) return Counters::add(state_.counters.no_endpoint, splitter->count());

  if (!peer.sender.staged.empty()) flush_staged(peer);
  while (!splitter->done()) {
    std::optional<std::uint32_t> refused;
    auto* const session = usable_session(peer, &refused);
    const auto size = splitter->next_size();
    if (session == nullptr) {
      Bytes packet(size);
      splitter->next(packet);
      stage(peer, std::move(packet), refused);
      continue;
    }
    splitter->next(reserve(peer, *session, size));
    commit(size);
  }
}

Session* Sender::usable_session(PeerState& peer, std::optional<std::uint32_t>* refused) const {
  auto* session = peer.next.load();
  if (session == nullptr || !session->heard.load(std::memory_order_acquire)) session = peer.sending.load();
  if (session == nullptr) return nullptr;
  if (may_send(session->facts, session->next_counter, now_)) return session;
  if (refused != nullptr) *refused = session->local_index;
  return nullptr;
}

void Sender::stage(PeerState& peer, Bytes packet, std::optional<std::uint32_t> refused) {
  auto& staged = peer.sender.staged;
  if (staged.size() >= staged_packets_max) {  // the oldest is worth least
    staged.pop_front();
    --state_.staged_total;
    Counters::add(state_.counters.staged_dropped);
  }
  if (state_.staged_total >= staged_total_max) return Counters::add(state_.counters.staged_dropped);
  staged.push_back(std::move(packet));
  ++state_.staged_total;
  if (peer.sender.staged_reported && now_ - *peer.sender.staged_reported < staged_report_interval) return;
  peer.sender.staged_reported = now_;
  {
    const std::lock_guard lock(peer.report_mutex);
    peer.report.staged = true;
    peer.report.refused = refused;
  }
  state_.report(peer, true);
}

void Sender::flush_staged(PeerState& peer) {
  auto& staged = peer.sender.staged;
  while (!staged.empty()) {
    auto* const session = usable_session(peer);
    if (session == nullptr || !peer.path.refresh(peer.sender.path).endpoint) return;
    const auto& packet = staged.front();
    if (closed_ != nullptr && closed_->holds(packet)) {
      Counters::add(state_.counters.lease_ended);
    } else {
      const auto room = reserve(peer, *session, packet.size());
      std::copy(packet.begin(), packet.end(), room.begin());
      commit(packet.size());
    }
    staged.pop_front();
    --state_.staged_total;
  }
  peer.sender.staged_reported.reset();
}

void Sender::drop_staged(PeerState& peer) {
  Counters::add(state_.counters.staged_dropped, peer.sender.staged.size());
  state_.staged_total -= peer.sender.staged.size();
  peer.sender.staged.clear();
  peer.sender.staged_reported.reset();
}

void Sender::begin_drain() {
  const auto wanted = state_.drain_wanted.load();
  if (wanted == drain_begun_) return;
  drain_begun_ = wanted;
  drain_reads_left_ = queued_packets_max;
}

// The queue holds nothing of before the drain. What waits for a handshake came out of it earlier.
void Sender::end_drain() {
  drain_reads_left_ = 0;
  if (closed_ != nullptr) {
    const auto& routes = *state_.routes.load();
    for (const auto& flow : closed_->flows()) {
      const auto id = routes.addresses.lookup(flow.device_address);
      if (!id) continue;
      auto& staged = routes.peers[*id]->sender.staged;
      if (staged.empty()) continue;
      const auto before = staged.size();
      std::erase_if(staged, [&](const Bytes& packet) { return closed_->holds(packet); });
      state_.staged_total -= before - staged.size();
      Counters::add(state_.counters.lease_ended, before - staged.size());
    }
  }
  state_.drained.store(drain_begun_);
  state_.drained.notify_all();
}

void Sender::perform_commands() {
  state_.take_commands(commands_);
  for (const auto& [what, peer] : commands_) {
    if (what == SenderCommand::What::drop_staged) {
      drop_staged(*peer);
      continue;
    }
    const bool nothing_waits = peer->sender.staged.empty();
    flush_staged(*peer);
    auto* const session = usable_session(*peer);
    if (what != SenderCommand::What::keepalive || !nothing_waits || session == nullptr) continue;
    if (!peer->path.refresh(peer->sender.path).endpoint) continue;
    reserve(*peer, *session, 0);
    commit(0);
  }
}

MutableByteView Sender::reserve(PeerState& peer, Session& session, std::size_t size) {
  const auto wire = padded_size(size, state_.mtu) + data_overhead;
  const auto& filling = runs_[full_runs_];
  const auto family_max = filling.to.address.is_v4() ? DatagramSender::bytes_max_v4 : DatagramSender::bytes_max_v6;
  const bool fits = filling.count > 0 && filling.peer == &peer && filling.session == &session && !filling.closed &&
                    wire <= filling.stride && filling.count < DatagramSender::run_max && filling.size + wire <= family_max;
  if (!fits) close_run();
  auto& run = runs_[full_runs_];
  if (run.count == 0) {
    run.peer = &peer;
    run.session = &session;
    const auto& path = peer.path.refresh(peer.sender.path);
    run.to = *path.endpoint;
    run.source = path.source;
    run.stride = wire;
  }
  return MutableByteView(run.slab).subspan(run.size + data_header_size, size);
}

void Sender::commit(std::size_t size) {
  auto& run = runs_[full_runs_];
  const auto plain = padded_size(size, state_.mtu);
  const auto slot = MutableByteView(run.slab).subspan(run.size + data_header_size, plain);
  const auto counter = run.session->next_counter++;
  if (run.count == 0) {
    run.first_counter = counter;
    run.quote_bytes = std::min(size, quote_size);
    std::copy_n(slot.begin(), run.quote_bytes, run.quote.begin());
  }
  std::memset(slot.data() + size, 0, plain - size);
  const auto wire = plain + data_overhead;
  run.closed = wire < run.stride;
  run.size += wire;
  run.data = run.data || size > 0;
  ++run.count;
}

void Sender::close_run() {
  if (runs_[full_runs_].count == 0) return;
  if (++full_runs_ == runs_.size()) send_runs();
}

void Sender::send_runs() {
  workers_->share(full_runs_, [this](std::size_t job, std::size_t worker) { seal(runs_[job], ciphers_[worker]); });
  for (std::size_t i = 0; i < full_runs_; ++i) send(runs_[i]);
  full_runs_ = 0;
}

void Sender::seal(Run& run, crypto::TransportCipher& cipher) {
  cipher.set_key(run.session->seal_key.bytes());
  auto rest = MutableByteView(run.slab).first(run.size);
  for (auto counter = run.first_counter; !rest.empty(); ++counter) {
    const auto datagram = rest.first(std::min(run.stride, rest.size()));
    write_data_header(datagram, run.session->remote_index, counter);
    cipher.seal(counter, datagram.subspan(data_header_size));
    rest = rest.subspan(datagram.size());
  }
}

void Sender::send(Run& run) {
  const auto outcome = datagrams_.send(run.to, run.source, {MutableByteView(run.slab).first(run.size), run.stride});
  auto& peer = *run.peer;
  auto& bytes = peer.sender.bytes;
  bytes.store(bytes.load(std::memory_order_relaxed) + run.size, std::memory_order_relaxed);
  if (outcome.too_long) answer_too_long(run, outcome);
  {
    const std::lock_guard lock(peer.report_mutex);
    const bool data = run.data || (peer.report.sent && peer.report.sent->data);
    peer.report.sent = PeerReport::Sent{run.session->local_index, run.first_counter + run.count, data, now_};
    peer.report.source_unusable = peer.report.source_unusable || outcome.source_unusable;
  }
  if (outcome.source_unusable) peer.sender.path.path.source = {};
  state_.report(peer, outcome.source_unusable);
  run.clear();
}

void Sender::answer_too_long(const Run& run, const SendOutcome& outcome) {
  const std::size_t outer = run.to.address.is_v4() ? 20 + 8 : 40 + 8;
  const auto path = outcome.path_mtu.value_or(static_cast<std::uint32_t>(run.stride + outer - padding_multiple));
  const auto overhead = outer + data_overhead;
  // Inside, padding may fill up to the tunnel's MTU: only a multiple of 16 is sure to fit.
  const auto inner = path > overhead ? (path - overhead) / padding_multiple * padding_multiple : 0;
  if (inner < told_mtu_min) return;
  const auto answer = protocol::ip::too_big_answer(ByteView(run.quote).first(run.quote_bytes), static_cast<std::uint32_t>(inner));
  if (!answer) return;
  OffloadHeader header;
  std::array<iovec, 2> parts{iovec{&header, sizeof header}, iovec{const_cast<std::uint8_t*>(answer->data()), answer->size()}};
  const auto used = state_.tun.offload_header() ? std::span<const iovec>(parts) : std::span<const iovec>(parts).subspan(1);
  if (state_.io.write_tun(state_.tun.fd(), used) < 0) Counters::add(state_.counters.tun_write_failed);
}

}  // namespace drpf::tunnel::wireguard
