#include "tunnel/wireguard/datagram_sender.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace drpf::tunnel::wireguard {

SendOutcome DatagramSender::send(const Endpoint& to, const system::LocalSource& source, const DatagramRun& run) {
  SendOutcome outcome;
  const auto family = to.address.family();
  Attempt attempt{to, source, state_.sockets.of(family).fd.get()};
  if (attempt.fd < 0 || run.bytes.empty()) {
    Counters::add(state_.counters.send_failed, run.count());
    return outcome;
  }
  if (run.count() > 1 && state_.switches.gso(family).load(std::memory_order_relaxed) && send_segmented(attempt, run, outcome))
    return outcome;
  const bool was_segmented = outcome.sent == 0 && run.count() > 1 && state_.switches.gso(family).load(std::memory_order_relaxed);
  send_singly(attempt, run, outcome);
  // Refused as one, taken one by one: the fault is the segmentation's.
  if (was_segmented && outcome.sent == run.count() && !outcome.too_long) give_up_gso(family, EINVAL);
  if (outcome.sent < run.count()) Counters::add(state_.counters.send_failed, run.count() - outcome.sent);
  return outcome;
}

// True when the run is dealt with, sent or not; false to try it singly.
bool DatagramSender::send_segmented(Attempt& attempt, const DatagramRun& run, SendOutcome& outcome) {
  const auto family = attempt.to.address.family();
  auto address = system::to_socket_address(attempt.to, attempt.source.interface_index);
  iovec part{run.bytes.data(), run.bytes.size()};
  msghdr message{};
  message.msg_name = &address.storage;
  message.msg_namelen = address.size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  for (;;) {
    system::SendControl control;
    control.attach(message, family, attempt.source, static_cast<std::uint16_t>(run.stride));
    if (state_.io.send(attempt.fd, message) >= 0) {
      outcome.sent = run.count();
      return true;
    }
    const int error = errno;
    if (error == EIO) {  // the way out cannot compute checksums, so it cannot segment either
      give_up_gso(family, error);
      return false;
    }
    if (error == EMSGSIZE) return send_segmented_fragmented(attempt, message, run, outcome);
    if (error == EINVAL && !attempt.source.address) return false;
    switch (after_error(error, attempt, outcome)) {
      case Step::again:
        continue;
      case Step::done:
      case Step::give_up:
        Counters::add(state_.counters.send_failed, run.count());
        return true;
    }
  }
}

// Where fragments are cut by routers, a whole run still goes at once.
bool DatagramSender::send_segmented_fragmented(const Attempt& attempt, msghdr& message, const DatagramRun& run, SendOutcome& outcome) {
  if (state_.io.send_fragmented(attempt.fd, attempt.to.address.family(), message) < 0) return false;
  outcome.sent = run.count();
  system::SendControl control;
  control.attach(message, attempt.to.address.family(), attempt.source, 0);
  message.msg_iov->iov_len = run.stride;
  note_too_long(attempt, message, outcome);
  return true;
}

void DatagramSender::send_singly(Attempt& attempt, const DatagramRun& run, SendOutcome& outcome) {
  const auto count = run.count();
  std::array<mmsghdr, run_max> messages{};
  std::array<iovec, run_max> parts{};
  auto address = system::to_socket_address(attempt.to, attempt.source.interface_index);
  system::SendControl control;
  const auto prepare = [&] {
    for (std::size_t i = 0; i < count; ++i) {
      const auto one = run.bytes.subspan(i * run.stride, std::min(run.stride, run.bytes.size() - i * run.stride));
      parts[i] = {one.data(), one.size()};
      auto& message = messages[i].msg_hdr;
      message.msg_name = &address.storage;
      message.msg_namelen = address.size;
      message.msg_iov = &parts[i];
      message.msg_iovlen = 1;
      control.attach(message, attempt.to.address.family(), attempt.source, 0);
    }
  };
  prepare();
  for (std::size_t next = 0; next < count;) {
    const int taken = state_.io.send_many(attempt.fd, std::span(messages).subspan(next, count - next));
    if (taken > 0) {
      next += static_cast<std::size_t>(taken);
      outcome.sent += static_cast<std::size_t>(taken);
      continue;
    }
    const int error = errno;
    if (error == EMSGSIZE) {
      const auto& message = messages[next++].msg_hdr;  // a shorter one may still pass
      if (!outcome.too_long) note_too_long(attempt, message, outcome);
      if (state_.io.send_fragmented(attempt.fd, attempt.to.address.family(), message) >= 0) ++outcome.sent;
      continue;
    }
    if (after_error(error, attempt, outcome) != Step::again) return;
    prepare();
  }
}

DatagramSender::Step DatagramSender::after_error(int error, Attempt& attempt, SendOutcome& outcome) {
  if (error == EINTR) return Step::again;
  if (error == EAGAIN || error == EWOULDBLOCK) {
    if (waits_left_ == 0) return Step::give_up;
    --waits_left_;
    state_.io.wait_writable(attempt.fd, full_wait_ms);
    return Step::again;
  }
  // An ICMP error about an earlier datagram, told by the first call after it.
  if ((error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH) && !std::exchange(attempt.pending_error_seen, true))
    return Step::again;
  // The own address may be gone, or the way out may not go by it any more.
  if (attempt.source.address &&
      (error == EINVAL || error == EADDRNOTAVAIL || error == ENETUNREACH || error == EHOSTUNREACH || error == ENODEV)) {
    attempt.source = {};
    outcome.source_unusable = true;
    return Step::again;
  }
  return Step::give_up;
}

void DatagramSender::note_too_long(const Attempt& attempt, const msghdr& message, SendOutcome& outcome) {
  outcome.too_long = true;
  outcome.path_mtu = state_.io.path_mtu(attempt.fd, attempt.to.address.family(), message);
  Counters::add(state_.counters.too_long);
}

void DatagramSender::give_up_gso(Family family, int error) {
  if (!state_.switches.gso(family).exchange(false)) return;
  Counters::add(state_.counters.udp_gso_given_up);
  state_.log->warn("UDP segmentation offload does not work on {} here ({}); datagrams are sent singly from now on",
                   family == Family::v4 ? "IPv4" : "IPv6", std::strerror(error));
}

}  // namespace drpf::tunnel::wireguard
