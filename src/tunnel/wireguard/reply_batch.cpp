#include "tunnel/wireguard/reply_batch.h"

#include <cerrno>

namespace drpf::tunnel::wireguard {

void ReplyBatch::add(const Endpoint& to, const system::LocalSource& source, Bytes bytes) {
  auto& replies = to.address.is_v4() ? v4_ : v6_;
  replies.push_back({to, source, std::move(bytes)});
  if (replies.size() == replies_max) flush();
}

void ReplyBatch::flush() {
  flush(v4_, Family::v4);
  flush(v6_, Family::v6);
}

void ReplyBatch::flush(std::vector<Reply>& replies, Family family) {
  if (replies.empty()) return;
  std::array<mmsghdr, replies_max> messages{};
  std::array<iovec, replies_max> parts{};
  std::array<system::SendControl, replies_max> controls;
  std::vector<system::SocketAddress> addresses;
  addresses.reserve(replies.size());
  for (std::size_t i = 0; i < replies.size(); ++i) {
    auto& reply = replies[i];
    auto& address = addresses.emplace_back(system::to_socket_address(reply.to, reply.source.interface_index));
    parts[i] = {reply.bytes.data(), reply.bytes.size()};
    auto& message = messages[i].msg_hdr;
    message.msg_name = &address.storage;
    message.msg_namelen = address.size;
    message.msg_iov = &parts[i];
    message.msg_iovlen = 1;
    controls[i].attach(message, family, reply.source, 0);
  }
  const int fd = state_.sockets.of(family).fd.get();
  for (std::size_t next = 0; next < replies.size();) {
    const int taken = state_.io.send_many(fd, std::span(messages).subspan(next, replies.size() - next));
    if (taken > 0) {
      next += static_cast<std::size_t>(taken);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      Counters::add(state_.counters.send_failed, replies.size() - next);
      break;
    } else if (errno != EINTR) {
      Counters::add(state_.counters.send_failed);  // a place that cannot be reached; the next may be another
      ++next;
    }
  }
  replies.clear();
}

}  // namespace drpf::tunnel::wireguard
