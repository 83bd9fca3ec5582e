#include "system/netlink_socket.h"

#include <fmt/format.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace drpf::system {
namespace {

constexpr std::size_t datagram_max = std::size_t{1} << 20;  // the kernel never fills more than 32 KiB of a dump's buffer

std::string errno_name(int number) {
  const char* name = strerrorname_np(number);
  return name != nullptr ? name : std::to_string(number);
}

// The kernel doubles the value and limits it to net.core.[rw]mem_max, unless CAP_NET_ADMIN of the first user namespace is there.
std::size_t set_buffer(int fd, int forced_option, int option, std::size_t bytes) {
  const int wanted = static_cast<int>(bytes);
  if (setsockopt(fd, SOL_SOCKET, forced_option, &wanted, sizeof wanted) != 0) setsockopt(fd, SOL_SOCKET, option, &wanted, sizeof wanted);
  int actual = 0;
  socklen_t size = sizeof actual;
  getsockopt(fd, SOL_SOCKET, option, &actual, &size);
  return static_cast<std::size_t>(actual);
}

}  // namespace

bool is_errno(const Error& error, int number) { return error.code == errno_name(number); }

Error errno_failure(int number, std::string_view attempt, std::string_view explanation) {
  std::string message = fmt::format("could not {}: {} ({})", attempt, strerrordesc_np(number) ? strerrordesc_np(number) : "unknown error",
                                    errno_name(number));
  if (!explanation.empty()) message += fmt::format("; the kernel says: {}", explanation);
  if (number == EPERM || number == EACCES)
    return not_permitted(errno_name(number), std::move(message), "run as root or with the capability CAP_NET_ADMIN");
  if (number == EMFILE || number == ENFILE)
    return failure(errno_name(number), std::move(message),
                   number == EMFILE
                       ? "this process has as many files and connections open as it may: see ls /proc/PID/fd, and raise its limit "
                         "(LimitNOFILE= of the unit, or ulimit -n)"
                       : "this host has as many files open as it may: see what holds them, and raise fs.file-max");
  return failure(errno_name(number), std::move(message));
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  NetlinkSocket out;
  out.fd_ = Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!out.fd_.valid()) return fail(errno_failure(errno, fmt::format("open a netlink socket (protocol {})", protocol)));
  const int fd = out.fd_.get();
  const int on = 1;
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  const timeval limit{answer_timeout_s, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  constexpr std::size_t kernel_reserve = 64;  // sendmsg refuses a datagram of more than the buffer less 32 bytes
  out.send_limit_bytes_ = set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, send_buffer_bytes) - kernel_reserve;
  set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer_bytes);
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) return fail(errno_failure(errno, "bind a netlink socket"));
  socklen_t size = sizeof local;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size);
  out.port_id_ = local.nl_pid;
  out.buffer_.resize(datagram_max);
  return out;
}

Status NetlinkSocket::send(ByteView bytes, std::string_view attempt) {
  discard_pending();
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const auto sent = ::sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  if (sent < 0) return fail(errno_failure(errno, attempt));
  return {};
}

// Answers to an earlier request that was given up must not be read as answers to this one.
void NetlinkSocket::discard_pending() {
  while (::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT) >= 0 || errno == ENOBUFS || errno == EINTR) {}
}

Result<ByteView> NetlinkSocket::receive(bool wait, std::string_view attempt) {
  for (;;) {
    sockaddr_nl from{};
    socklen_t from_size = sizeof from;
    const auto size = ::recvfrom(fd_.get(), buffer_.data(), buffer_.size(), (wait ? 0 : MSG_DONTWAIT) | MSG_TRUNC,
                                 reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size < 0) {
      if (errno == EINTR) continue;
      if ((errno == EAGAIN || errno == EWOULDBLOCK) && !wait) return ByteView{};
      if (errno == EAGAIN) return fail(errno_failure(ETIMEDOUT, attempt, fmt::format("no answer within {} s", answer_timeout_s)));
      return fail(errno_failure(errno, attempt));
    }
    if (from.nl_pid != 0) continue;  // not from the kernel
    if (static_cast<std::size_t>(size) > buffer_.size()) return fail(errno_failure(EMSGSIZE, attempt));
    return ByteView(buffer_).first(static_cast<std::size_t>(size));
  }
}

Status NetlinkSocket::request(NetlinkWriter& message, std::string_view attempt, const Visitor& visit) {
  const auto sequence = sequence_;
  if (auto sent = send(message.bytes(), attempt); !sent) return sent;
  for (;;) {
    const auto datagram = receive(true, attempt);
    if (!datagram) return fail(datagram.error());
    NetlinkMessages messages(*datagram);
    while (const auto reply = messages.next()) {
      if (reply->sequence != sequence) continue;
      if (const auto answer = read_answer(*reply)) {
        if (answer->error != 0) return fail(errno_failure(answer->error, attempt, answer->explanation));
        return {};
      }
      if (visit) visit(*reply);
    }
  }
}

Result<bool> NetlinkSocket::dump(NetlinkWriter& message, std::string_view attempt, const Visitor& visit) {
  const auto sequence = sequence_;
  if (auto sent = send(message.bytes(), attempt); !sent) return fail(sent.error());
  bool whole = true;
  for (;;) {
    const auto datagram = receive(true, attempt);
    if (!datagram) return fail(datagram.error());
    NetlinkMessages messages(*datagram);
    while (const auto reply = messages.next()) {
      if (reply->sequence != sequence) continue;
      if ((reply->flags & NLM_F_DUMP_INTR) != 0) whole = false;
      if (reply->type == NLMSG_DONE) {
        // Carries the result of the dump: a negative errno or 0.
        std::int32_t result = 0;
        if (reply->payload.size() >= sizeof result) std::memcpy(&result, reply->payload.data(), sizeof result);
        if (result < 0) return fail(errno_failure(-result, attempt));
        return whole;
      }
      if (const auto answer = read_answer(*reply)) {
        if (answer->error != 0) return fail(errno_failure(answer->error, attempt, answer->explanation));
        return whole;
      }
      visit(*reply);
    }
  }
}

Status NetlinkSocket::transact(NetlinkWriter& batch, std::uint32_t last, std::string_view attempt, const Visitor& visit) {
  if (batch.size() > send_limit_bytes_)
    return fail(failure("batch_too_large", fmt::format("could not {}: the batch of {} bytes is larger than the socket's {} bytes", attempt,
                                                       batch.size(), send_limit_bytes_)));
  if (auto sent = send(batch.bytes(), attempt); !sent) return sent;
  bool acknowledged = false;
  std::optional<Error> first_error;
  for (;;) {
    const auto datagram = receive(false, attempt);
    if (!datagram) return fail(first_error.value_or(datagram.error()));
    if (datagram->empty()) break;
    NetlinkMessages messages(*datagram);
    while (const auto reply = messages.next()) {
      const auto answer = read_answer(*reply);
      if (!answer) {
        if (visit) visit(*reply);
        continue;
      }
      if (answer->error != 0 && !first_error) first_error = errno_failure(answer->error, attempt, answer->explanation);
      if (answer->error == 0 && answer->sequence == last) acknowledged = true;
    }
  }
  if (first_error) return fail(*first_error);
  if (!acknowledged) return fail(failure("unacknowledged", fmt::format("could not {}: the kernel did not acknowledge it", attempt)));
  return {};
}

}  // namespace drpf::system
