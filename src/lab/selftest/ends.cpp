#include "lab/selftest/ends.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>

#include <fmt/format.h>

#include "lab/stage/sockets.h"
#include "system/socket_address.h"

namespace drpf::lab::selftest {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::size_t packet_max = 2048;
constexpr int watch_buffer = 16 << 20;

int family_of(const Address& address) { return address.is_v4() ? AF_INET : AF_INET6; }

bool readable(const system::Fd& socket, Duration limit, short events = POLLIN) {
  pollfd ready{socket.get(), events, 0};
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
  return ::poll(&ready, 1, static_cast<int>(std::max<std::int64_t>(0, ms))) == 1;
}

Port local_port(const system::Fd& socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &length);
  return system::from_socket_address(storage).value_or(Endpoint{}).port;
}

Result<system::Fd> bound_socket(const lab::Machine& machine, int type, const Endpoint& local, const std::string& device) {
  Result<system::Fd> socket = machine.open_socket(family_of(local.address), type, 0);
  if (!socket) return socket;
  const int on = 1;
  setsockopt(socket->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (local.address.is_v6()) setsockopt(socket->get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (!device.empty()) setsockopt(socket->get(), SOL_SOCKET, SO_BINDTODEVICE, device.c_str(), static_cast<socklen_t>(device.size()));
  const auto address = system::to_socket_address(local);
  if (::bind(socket->get(), address.get(), address.size) != 0)
    return fail(failure("bind", fmt::format("cannot bind {} on {}: {}", to_string(local), machine.name(), std::strerror(errno))));
  return socket;
}

// An ICMP error quotes the packet that it is about, and is not that packet (RFC 792, RFC 4443 section 2.1).
bool is_icmp_error(std::string_view packet) {
  constexpr std::size_t protocol_v4 = 9, header_v4 = 20, next_header_v6 = 6, header_v6 = 40;
  constexpr std::string_view echo_v4("\0\x08", 2);  // reply and request; everything else that quotes is an error
  if (packet.size() <= header_v6) return false;
  const bool v4 = static_cast<unsigned char>(packet[0]) >> 4 == 4;
  if (v4) return packet[protocol_v4] == IPPROTO_ICMP && echo_v4.find(packet[header_v4]) == std::string_view::npos;
  return packet[next_header_v6] == IPPROTO_ICMPV6 && static_cast<unsigned char>(packet[header_v6]) < 128;
}

}  // namespace

Result<Watch> Watch::on(const lab::Machine& machine) {
  Result<system::Fd> socket = machine.open_socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
  if (!socket) return fail(socket.error());
  setsockopt(socket->get(), SOL_SOCKET, SO_RCVBUFFORCE, &watch_buffer, sizeof watch_buffer);
  return Watch(std::move(*socket));
}

void Watch::take() {
  char packet[packet_max];
  sockaddr_ll from{};
  socklen_t length = sizeof from;
  for (ssize_t size;
       (size = ::recvfrom(socket_.get(), packet, sizeof packet, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length)) >= 0;
       length = sizeof from)
    (from.sll_pkttype == PACKET_OUTGOING ? left_ : arrived_).emplace_back(packet, static_cast<std::size_t>(size));
}

void Watch::forget() {
  take();
  arrived_.clear();
  left_.clear();
}

std::size_t Watch::count(std::string_view token) {
  take();
  return static_cast<std::size_t>(
      std::count_if(arrived_.begin(), arrived_.end(), [&](const std::string& packet) { return packet.find(token) != std::string::npos; }));
}

std::vector<std::string> Watch::with(std::string_view token) {
  take();
  std::vector<std::string> found;
  std::copy_if(arrived_.begin(), arrived_.end(), std::back_inserter(found),
               [&](const std::string& packet) { return packet.find(token) != std::string::npos; });
  return found;
}

bool Watch::saw(std::string_view token) { return count(token) > 0; }

bool Watch::sent(std::string_view token) {
  take();
  return std::any_of(left_.begin(), left_.end(),
                     [&](const std::string& packet) { return packet.find(token) != std::string::npos && !is_icmp_error(packet); });
}

bool Watch::awaits(std::string_view token, Duration limit) {
  const auto deadline = Steady::now() + limit;
  while (!saw(token)) {
    const auto left = deadline - Steady::now();
    if (left <= Duration::zero()) return false;
    readable(socket_, left);
  }
  return true;
}

Result<Udp> Udp::open(const lab::Machine& machine, const Endpoint& local, const std::string& device) {
  Result<system::Fd> socket = bound_socket(machine, SOCK_DGRAM, local, device);
  if (!socket) return fail(socket.error());
  return Udp(std::move(*socket));
}

void Udp::send(const Endpoint& to, const std::string& text) const {
  const auto address = system::to_socket_address(to);
  // Once more where the first try reported an ICMP error about an earlier datagram.
  for (int attempt = 0; attempt < 2; ++attempt)
    if (::sendto(socket_.get(), text.data(), text.size(), 0, address.get(), address.size) >= 0) return;
}

std::optional<Datagram> Udp::receive(std::string_view text, Duration limit) const {
  for (const auto deadline = Steady::now() + limit;;) {
    char buffer[packet_max];
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t size = ::recvfrom(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length);
    if (size >= 0 && std::string_view(buffer, static_cast<std::size_t>(size)) == text)
      return Datagram{system::from_socket_address(from).value_or(Endpoint{}), std::string(buffer, static_cast<std::size_t>(size))};
    if (size >= 0) continue;
    const auto left = deadline - Steady::now();
    if (left <= Duration::zero()) return std::nullopt;
    readable(socket_, left);
  }
}

std::optional<Datagram> Udp::receive_any(Duration limit) const {
  if (!readable(socket_, limit)) return std::nullopt;
  char buffer[packet_max];
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  const ssize_t size = ::recvfrom(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length);
  if (size < 0) return std::nullopt;  // an ICMP error is no answer
  return Datagram{system::from_socket_address(from).value_or(Endpoint{}), std::string(buffer, static_cast<std::size_t>(size))};
}

Port Udp::port() const { return local_port(socket_); }

Result<Tcp> Tcp::listen(const lab::Machine& machine, const Endpoint& local) {
  constexpr int backlog = 64;
  Result<system::Fd> socket = bound_socket(machine, SOCK_STREAM, local, {});
  if (!socket) return fail(socket.error());
  if (::listen(socket->get(), backlog) != 0) return fail(failure("listen", fmt::format("cannot listen on {}", machine.name())));
  return Tcp(std::move(*socket));
}

Result<Tcp> Tcp::connect(const lab::Machine& machine, const Endpoint& local, const Endpoint& to, Duration limit,
                         const std::string& device) {
  Result<system::Fd> socket = bound_socket(machine, SOCK_STREAM | SOCK_NONBLOCK, local, device);
  if (!socket) return fail(socket.error());
  const auto address = system::to_socket_address(to);
  if (::connect(socket->get(), address.get(), address.size) != 0 && errno != EINPROGRESS)
    return fail(failure("connect", std::strerror(errno)));
  if (!readable(*socket, limit, POLLOUT)) return fail(failure("timeout", "no answer"));
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(socket->get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return fail(failure("refused", std::strerror(error)));
  return Tcp(std::move(*socket));
}

std::optional<Tcp> Tcp::accept(Duration limit) const {
  if (!readable(socket_, limit)) return std::nullopt;
  system::Fd accepted(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!accepted.valid()) return std::nullopt;
  return Tcp(std::move(accepted));
}

bool Tcp::send(const std::string& text) const {
  return ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(text.size());
}

std::optional<std::string> Tcp::receive(Duration limit) const {
  if (!readable(socket_, limit)) return std::nullopt;
  char buffer[packet_max];
  const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  return std::string(buffer, static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
}

Port Tcp::port() const { return local_port(socket_); }

Endpoint Tcp::peer() const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  ::getpeername(socket_.get(), reinterpret_cast<sockaddr*>(&storage), &length);
  return system::from_socket_address(storage).value_or(Endpoint{});
}

Result<RawSender> RawSender::on(const lab::Machine& machine, Family family) {
  Result<system::Fd> socket = machine.open_socket(family == Family::v4 ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_RAW);
  if (!socket) return fail(socket.error());
  return RawSender(std::move(*socket));
}

void RawSender::send(const Address& target, const std::string& packet) const {
  const auto address = system::to_socket_address({target, Port()});
  (void)::sendto(socket_.get(), packet.data(), packet.size(), 0, address.get(), address.size);
}

}  // namespace drpf::lab::selftest
