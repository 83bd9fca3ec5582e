#include "probe/connect_attempt.h"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "scan/ask/icmp_meaning.h"
#include "system/socket_address.h"

namespace drpf::probe {

namespace {

using scan::Cause;
using scan::State;

void set_option(int fd, int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); }

std::optional<tcp_info> information(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return info;
}

bool connected_to_itself(int fd) {
  sockaddr_storage own{};
  sockaddr_storage peer{};
  socklen_t own_size = sizeof own;
  socklen_t peer_size = sizeof peer;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0) return false;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) return false;
  return system::from_socket_address(own) == system::from_socket_address(peer);
}

// The verdict of the first ICMP error in the socket's queue that says something about a port.
std::optional<scan::Verdict> queued_error(int fd, const Endpoint& target) {
  while (true) {
    std::array<char, 512> control{};
    std::array<char, 64> quoted{};
    iovec part{quoted.data(), quoted.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return std::nullopt;
    for (auto* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      const bool v4 = header->cmsg_level == SOL_IP && header->cmsg_type == IP_RECVERR;
      const bool v6 = header->cmsg_level == SOL_IPV6 && header->cmsg_type == IPV6_RECVERR;
      if ((!v4 && !v6) || header->cmsg_len < CMSG_LEN(sizeof(sock_extended_err))) continue;
      sock_extended_err error{};
      std::memcpy(&error, CMSG_DATA(header), sizeof error);
      if (error.ee_origin != SO_EE_ORIGIN_ICMP && error.ee_origin != SO_EE_ORIGIN_ICMP6) continue;
      const scan::IcmpError icmp{error.ee_type, error.ee_code};
      const auto cause = scan::cause_of(v4 ? Family::v4 : Family::v6, icmp);
      if (!cause) continue;
      // The sender's address follows the error.
      sockaddr_storage offender{};
      const std::size_t beyond = header->cmsg_len - CMSG_LEN(sizeof error);
      std::memcpy(&offender, CMSG_DATA(header) + sizeof error, std::min(beyond, sizeof offender));
      scan::Verdict verdict{.state = State::filtered, .cause = *cause};
      const auto sender = system::from_socket_address(offender);
      if (sender && sender->address != target.address) verdict.sender = sender->address;
      verdict.detail = scan::detail_of(*cause, icmp);
      return verdict;
    }
  }
}

// What errno alone tells of an ICMP error.
std::optional<Cause> cause_of_errno(int error) {
  switch (error) {
    case ENOPROTOOPT:
      return Cause::proto_unreach;
    case ENETUNREACH:
      return Cause::net_unreach;
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENONET:
      return Cause::host_unreach;
    case EACCES:
      return Cause::admin_prohibited;
    case EPROTO:
      return Cause::param_problem;
    default:
      return std::nullopt;
  }
}

AttemptOutcome outcome_of_errno(int fd, int error, bool errors_queued) {
  using Kind = AttemptOutcome::Kind;
  if (error == ECONNREFUSED || error == ECONNRESET) {
    AttemptOutcome outcome{.kind = Kind::answered};
    outcome.verdict = {.state = State::closed, .cause = errors_queued ? Cause::reset : Cause::connection_refused};
    if (!errors_queued) outcome.verdict.note = "errno only";
    return outcome;
  }
  if (error == ETIMEDOUT) return {.kind = Kind::silent};
  if (const auto cause = cause_of_errno(error)) {
    AttemptOutcome outcome{.kind = Kind::answered};
    outcome.verdict = {.state = State::filtered, .cause = *cause};
    outcome.verdict.note = "errno only";
    return outcome;
  }
  if (error != 0) return {.kind = Kind::local_error, .error = error};

  const auto info = information(fd);
  if (!info) return {.kind = Kind::local_error, .error = errno};
  if (info->tcpi_state == TCP_SYN_SENT) return {};
  if (connected_to_itself(fd)) return {.kind = Kind::meaningless};
  if (info->tcpi_state == TCP_CLOSE) return {.kind = Kind::meaningless};
  // Established, or closed by the other side since: it accepted. TCP_SYN_RECV is a simultaneous open under way.
  AttemptOutcome outcome{.kind = Kind::answered};
  outcome.verdict = {.state = State::open, .cause = Cause::syn_ack};
  if (info->tcpi_rtt > 0) outcome.verdict.rtt = std::chrono::microseconds(info->tcpi_rtt);
  return outcome;
}

}  // namespace

OpenedAttempt open_attempt(const ConnectPath& path) {
  const bool v4 = path.target.address.is_v4();
  system::Fd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd.valid()) return {system::Fd(), errno};

  // Closed with a RST: the port is not held in TIME_WAIT, and the server is rid of the connection at once.
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  if (v4) {
    set_option(fd.get(), SOL_IP, IP_RECVERR, 1);
  } else {
    set_option(fd.get(), SOL_IPV6, IPV6_RECVERR, 1);
  }
  if (!path.interface.empty() &&
      ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, path.interface.c_str(), static_cast<socklen_t>(path.interface.size())) != 0)
    return {system::Fd(), errno};
  if (path.source) {
    set_option(fd.get(), SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);  // the port is chosen by connect(), so that each may serve many targets
    const auto own = system::to_socket_address({*path.source, Port(0)}, static_cast<std::uint32_t>(path.scope));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own.storage), own.size) != 0) return {system::Fd(), errno};
  }
  const auto to = system::to_socket_address(path.target, static_cast<std::uint32_t>(path.scope));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0) {
    // A refusal within the call came over the network (loopback is that quick); the rest is about this machine.
    const int error = errno;
    if (error == ECONNREFUSED) return {std::move(fd), error};
    if (error != EINPROGRESS) return {system::Fd(), error};
  }
  return {std::move(fd), 0};
}

AttemptOutcome read_attempt(int fd, const Endpoint& target, bool errors_queued, int refused_with) {
  int error = refused_with;
  socklen_t size = sizeof error;
  if (error == 0 && ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
    return {.kind = AttemptOutcome::Kind::local_error, .error = errno};
  // After that, because the kernel puts the entry there before the error.
  if (const auto verdict = queued_error(fd, target)) return {.kind = AttemptOutcome::Kind::answered, .verdict = *verdict};
  return outcome_of_errno(fd, error, errors_queued);
}

unsigned retransmissions(int fd) {
  const auto info = information(fd);
  return info ? info->tcpi_total_retrans : 0;
}

bool kernel_queues_handshake_errors() {
  utsname name{};
  if (::uname(&name) != 0) return false;
  const std::string_view release = name.release;
  int major = 0;
  int minor = 0;
  const auto [after, error] = std::from_chars(release.begin(), release.end(), major);
  if (error != std::errc() || after == release.end() || *after != '.') return false;
  std::from_chars(after + 1, release.end(), minor);
  return major > 5 || (major == 5 && minor >= 8);
}

}  // namespace drpf::probe
