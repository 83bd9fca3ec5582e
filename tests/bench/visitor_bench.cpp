// The two ends of the path benchmark, run in two hosts of the lab by path_bench.py:
//   visitor_bench serve ADDRESS PORT                    one byte for each TCP connection, then echoes; an echo for each datagram; until
//   killed visitor_bench connections ADDRESS PORT SECONDS N    opens connections, N at a time; prints {"connections","failed","seconds"}
//   visitor_bench ping ADDRESS PORT COUNT SECONDS       one datagram of 64 bytes at a time, until the first of both is reached; prints
//                                                       {"p50_us","p99_us","answered","lost"}
//   visitor_bench ask ADDRESS PORT COUNT SECONDS        the same over one TCP connection
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace {

using Clock = std::chrono::steady_clock;
using drpf::system::Fd;
using drpf::system::SocketAddress;

constexpr int events_max = 256;
constexpr int backlog = 1024;
constexpr int ping_timeout_ms = 1000;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

SocketAddress socket_address(std::string_view text, std::uint16_t port) {
  const auto address = drpf::parse_address(text);
  if (!address) fail("address");
  return drpf::system::to_socket_address({*address, drpf::Port(port)});
}

Fd bound_socket(int type, const SocketAddress& to) {
  Fd fd(::socket(to.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), to.get(), to.size) != 0) fail("bind");
  return fd;
}

int serve(const SocketAddress& on) {
  const Fd listener = bound_socket(SOCK_STREAM, on);
  if (::listen(listener.get(), backlog) != 0) fail("listen");
  const Fd receiver = bound_socket(SOCK_DGRAM, on);
  const Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  for (const int fd : {listener.get(), receiver.get()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event);
  }
  std::puts("serving");
  std::fflush(stdout);
  std::vector<Fd> open;
  std::array<epoll_event, events_max> events;
  std::array<char, 65536> buffer;
  for (;;) {
    const int count = ::epoll_wait(epoll.get(), events.data(), events_max, -1);
    for (std::size_t i = 0; i < static_cast<std::size_t>(std::max(count, 0)); ++i) {
      if (events[i].data.fd == receiver.get()) {
        sockaddr_storage peer{};
        socklen_t length = sizeof peer;
        auto* peer_address = reinterpret_cast<sockaddr*>(&peer);
        ssize_t size = 0;
        while ((size = ::recvfrom(receiver.get(), buffer.data(), buffer.size(), 0, peer_address, &length)) >= 0)
          ::sendto(receiver.get(), buffer.data(), static_cast<std::size_t>(size), 0, peer_address, length);
        continue;
      }
      if (events[i].data.fd != listener.get()) {
        const int fd = events[i].data.fd;
        const auto size = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size <= 0 || ::send(fd, buffer.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) < 0)
          open[static_cast<std::size_t>(fd)] = Fd();
        continue;
      }
      for (;;) {
        Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        const int fd = connection.get();
        if (fd < 0) break;
        const int no_delay = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
        ::send(fd, "!", 1, MSG_NOSIGNAL);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event);
        if (open.size() <= static_cast<std::size_t>(fd)) open.resize(static_cast<std::size_t>(fd) + 1);
        open[static_cast<std::size_t>(fd)] = std::move(connection);
      }
    }
  }
}

// Opens one more connection and watches it; a connection is done when its byte has come.
void open_connection(const Fd& epoll, const SocketAddress& to, std::vector<Fd>& open) {
  Fd fd(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) fail("socket");
  const linger reset{1, 0};  // end with a reset, so that no TIME_WAIT uses up the local ports
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  if (::connect(fd.get(), to.get(), to.size) != 0 && errno != EINPROGRESS) fail("connect");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd.get();
  ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event);
  const auto index = static_cast<std::size_t>(fd.get());
  if (open.size() <= index) open.resize(index + 1);
  open[index] = std::move(fd);
}

int connections(const SocketAddress& to, double seconds, int at_once) {
  const Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  std::vector<Fd> open;
  for (int i = 0; i < at_once; ++i) open_connection(epoll, to, open);
  long done = 0;
  long failed = 0;
  std::array<epoll_event, events_max> events;
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (Clock::now() < end) {
    const int count = ::epoll_wait(epoll.get(), events.data(), events_max, 100);
    for (std::size_t i = 0; i < static_cast<std::size_t>(std::max(count, 0)); ++i) {
      char byte = 0;
      const int fd = events[i].data.fd;
      (::recv(fd, &byte, 1, 0) == 1 ? done : failed) += 1;
      open[static_cast<std::size_t>(fd)] = Fd();
      open_connection(epoll, to, open);
    }
  }
  std::printf("{\"connections\": %ld, \"failed\": %ld, \"seconds\": %.3f}\n", done, failed,
              std::chrono::duration<double>(Clock::now() - start).count());
  return 0;
}

int ping(const SocketAddress& to, std::size_t count, double seconds, int type) {
  const Fd fd(::socket(to.family(), type | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), to.get(), to.size) != 0) fail("connect");
  const timeval timeout{ping_timeout_ms / 1000, ping_timeout_ms % 1000 * 1000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  if (type == SOCK_STREAM) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    char hello = 0;
    if (::recv(fd.get(), &hello, 1, 0) != 1) fail("no hello");
  }
  const int flags = type == SOCK_STREAM ? MSG_WAITALL : 0;
  std::vector<double> round_trips_us;
  std::array<char, 64> payload{};
  std::size_t lost = 0;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (std::size_t i = 0; i < count; ++i) {
    const auto sent = Clock::now();
    if (sent > end) break;
    std::memcpy(payload.data(), &i, sizeof i);
    ::send(fd.get(), payload.data(), payload.size(), 0);
    std::array<char, 64> answer{};
    bool answered = false;
    while (!answered && ::recv(fd.get(), answer.data(), answer.size(), flags) > 0) answered = answer == payload;  // not a late one
    if (answered)
      round_trips_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - sent).count());
    else
      ++lost;
  }
  if (round_trips_us.empty()) fail("no answer");
  std::sort(round_trips_us.begin(), round_trips_us.end());
  std::printf("{\"p50_us\": %.1f, \"p99_us\": %.1f, \"answered\": %zu, \"lost\": %zu}\n", round_trips_us[round_trips_us.size() / 2],
              round_trips_us[round_trips_us.size() * 99 / 100], round_trips_us.size(), lost);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto port_at = [&](std::size_t i) { return static_cast<std::uint16_t>(std::stoi(words.at(i))); };
  if (words.size() == 3 && words[0] == "serve") return serve(socket_address(words[1], port_at(2)));
  if (words.size() == 5 && words[0] == "connections")
    return connections(socket_address(words[1], port_at(2)), std::stod(words[3]), std::stoi(words[4]));
  if (words.size() == 5 && (words[0] == "ping" || words[0] == "ask"))
    return ping(socket_address(words[1], port_at(2)), std::stoul(words[3]), std::stod(words[4]),
                words[0] == "ping" ? SOCK_DGRAM : SOCK_STREAM);
  std::fputs("visitor_bench serve ADDRESS PORT | connections ADDRESS PORT SECONDS AT_ONCE | ping|ask ADDRESS PORT COUNT SECONDS\n", stderr);
  return 64;
}
