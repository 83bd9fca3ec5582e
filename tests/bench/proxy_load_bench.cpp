// Load for proxies: an origin, and clients that go to it by a proxy or without one. Driven by proxy_bench.py; measures nothing but itself.
//   proxy_load_bench serve ADDRESS PORT                                     1 KiB for each request, and endless bytes for /bulk
//   proxy_load_bench requests WAY PROXY PORT ORIGIN PORT SECONDS AT_ONCE    new connections, one after the other, in AT_ONCE rows; JSON
//   proxy_load_bench bulk WAY PROXY PORT ORIGIN PORT SECONDS STREAMS
//   proxy_load_bench idle WAY PROXY PORT ORIGIN PORT COUNT                  opens COUNT tunnels, says "open", and holds them
// WAY: direct, http, connect, socks5. With RESET=1 in the environment clients close by a reset.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Where {
  std::string address;
  int port = 0;
  sockaddr_in raw() const {
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, address.c_str(), &out.sin_addr);
    return out;
  }
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

struct Way {
  std::string name;
  Where proxy;
  Where origin;
  Where first() const { return name == "direct" ? origin : proxy; }
  // What is said, and how much is answered before the next is said.
  std::vector<std::pair<std::string, std::size_t>> opening() const {
    const auto authority = origin.address + ":" + std::to_string(origin.port);
    if (name == "connect") return {{"CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n", 0}};
    if (name != "socks5") return {};
    const auto raw = origin.raw();
    std::string request("\x05\x01\x00\x01", 4);
    request.append(reinterpret_cast<const char*>(&raw.sin_addr), 4).append(reinterpret_cast<const char*>(&raw.sin_port), 2);
    return {{std::string("\x05\x01\x00", 3), 2}, {request, 10}};
  }
  std::string request(std::string_view path) const {
    const auto authority = origin.address + ":" + std::to_string(origin.port);
    const auto target = name == "http" ? "http://" + authority + std::string(path) : std::string(path);
    return "GET " + target + " HTTP/1.1\r\nHost: " + authority + "\r\nConnection: close\r\n\r\n";
  }
};

// One client's connection: says its lines in turn, then reads until the end.
struct Visit {
  int fd = -1;
  std::vector<std::pair<std::string, std::size_t>> lines;
  std::size_t next = 0;
  std::string in;
  std::size_t bytes = 0;
  bool established = false;
  Clock::time_point begun;
};

void start(Visit& visit, const Way& way, int epoll, bool with_request, std::string_view path) {
  visit = Visit{};
  visit.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (visit.fd < 0) die("socket");
  const auto to = way.first().raw();
  const int one = 1;
  ::setsockopt(visit.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(visit.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) die("connect");
  visit.lines = way.opening();
  if (with_request) visit.lines.emplace_back(way.request(path), 0);
  visit.begun = Clock::now();
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.ptr = &visit;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, visit.fd, &event);
}

// 0 goes on, 1 has ended well, -1 has failed. `hold`: it is at its end once all lines are answered.
int go_on(Visit& visit, int epoll, unsigned events, bool hold) {
  if (!visit.established) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(visit.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0 || (events & EPOLLERR) != 0) return -1;
    visit.established = true;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &visit;
    ::epoll_ctl(epoll, EPOLL_CTL_MOD, visit.fd, &event);
    if (!visit.lines.empty()) ::send(visit.fd, visit.lines[0].first.data(), visit.lines[0].first.size(), MSG_NOSIGNAL);
    visit.next = 1;
    return hold && visit.lines.empty() ? 1 : 0;
  }
  static std::array<char, 256 * 1024> buffer;
  const auto size = ::recv(visit.fd, buffer.data(), buffer.size(), 0);
  if (size < 0) return errno == EAGAIN ? 0 : -1;
  if (size == 0) return visit.next >= visit.lines.size() && visit.bytes > 0 ? 1 : -1;
  visit.bytes += static_cast<std::size_t>(size);
  const auto opening = visit.next - 1;
  if (visit.next > visit.lines.size() || (visit.next == visit.lines.size() && !hold)) return 0;
  visit.in.append(buffer.data(), static_cast<std::size_t>(size));
  const auto wanted = visit.lines[opening].second;
  const bool answered = wanted > 0 ? visit.in.size() >= wanted : visit.in.find("\r\n\r\n") != std::string::npos;
  if (!answered) return 0;
  visit.in.clear();
  visit.bytes = 0;
  if (visit.next == visit.lines.size()) return 1;
  ::send(visit.fd, visit.lines[visit.next].first.data(), visit.lines[visit.next].first.size(), MSG_NOSIGNAL);
  ++visit.next;
  return 0;
}

void end(Visit& visit, bool by_reset) {
  const linger none{by_reset ? 1 : 0, 0};
  if (by_reset) ::setsockopt(visit.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  ::close(visit.fd);
}

int requests(const Way& way, double seconds, std::size_t at_once) {
  const int epoll = ::epoll_create1(0);
  const bool by_reset = std::getenv("RESET") != nullptr;
  std::vector<Visit> visits(at_once);
  for (auto& visit : visits) start(visit, way, epoll, true, "/");
  std::vector<double> took_ms;
  std::size_t failed = 0;
  const auto begun = Clock::now();
  const auto until = begun + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (Clock::now() < until) {
    std::array<epoll_event, 64> events;
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < count; ++i) {
      auto& visit = *static_cast<Visit*>(events[static_cast<std::size_t>(i)].data.ptr);
      const int how = go_on(visit, epoll, events[static_cast<std::size_t>(i)].events, false);
      if (how == 0) continue;
      if (how > 0)
        took_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - visit.begun).count());
      else
        ++failed;
      end(visit, by_reset);
      start(visit, way, epoll, true, "/");
    }
  }
  const std::chrono::duration<double> took = Clock::now() - begun;
  std::sort(took_ms.begin(), took_ms.end());
  const auto at = [&](double part) {
    return took_ms.empty() ? 0.0 : took_ms[static_cast<std::size_t>(part * static_cast<double>(took_ms.size() - 1))];
  };
  std::printf("{\"per_second\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"failed\": %zu}\n",
              static_cast<double>(took_ms.size()) / took.count(), at(0.5), at(0.99), failed);
  return 0;
}

int bulk(const Way& way, double seconds, std::size_t streams) {
  const int epoll = ::epoll_create1(0);
  std::vector<Visit> visits(streams);
  for (auto& visit : visits) start(visit, way, epoll, true, "/bulk");
  std::size_t bytes = 0;
  const auto begun = Clock::now();
  const auto until = begun + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (Clock::now() < until) {
    std::array<epoll_event, 64> events;
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < count; ++i) {
      auto& visit = *static_cast<Visit*>(events[static_cast<std::size_t>(i)].data.ptr);
      const auto before = visit.bytes;
      if (go_on(visit, epoll, events[static_cast<std::size_t>(i)].events, false) < 0) die("a stream has ended");
      if (visit.bytes > before) bytes += visit.bytes - before;
    }
  }
  const std::chrono::duration<double> took = Clock::now() - begun;
  std::printf("{\"gbit_per_s\": %.3f}\n", static_cast<double>(bytes) * 8e-9 / took.count());
  return 0;
}

int idle(const Way& way, std::size_t wanted) {
  const int epoll = ::epoll_create1(0);
  std::vector<std::unique_ptr<Visit>> visits;
  constexpr std::size_t at_once = 64;
  std::size_t open = 0;
  std::size_t failed = 0;
  while (open + failed < wanted) {
    while (visits.size() < wanted && visits.size() - open - failed < at_once) {
      visits.push_back(std::make_unique<Visit>());
      start(*visits.back(), way, epoll, false, "/");
    }
    std::array<epoll_event, 64> events;
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 5000);
    if (count <= 0) break;
    for (int i = 0; i < count; ++i) {
      auto& visit = *static_cast<Visit*>(events[static_cast<std::size_t>(i)].data.ptr);
      const int how = go_on(visit, epoll, events[static_cast<std::size_t>(i)].events, true);
      if (how == 0) continue;
      ++(how > 0 ? open : failed);
      ::epoll_ctl(epoll, EPOLL_CTL_DEL, visit.fd, nullptr);
    }
  }
  std::printf("{\"open\": %zu, \"failed\": %zu}\n", open, failed);
  std::fflush(stdout);
  ::pause();
  return 0;
}

int serve(const Where& where) {
  const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int one = 1;
  ::setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  const auto raw = where.raw();
  if (::bind(listening, reinterpret_cast<const sockaddr*>(&raw), sizeof raw) != 0 || ::listen(listening, 4096) != 0) die("listen");
  struct Served {
    int fd;
    bool endless = false;
  };
  const int epoll = ::epoll_create1(0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &event);
  const std::string small = "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nConnection: close\r\n\r\n" + std::string(1024, 'x');
  const std::string large_head = "HTTP/1.1 200 OK\r\nContent-Length: 900000000000\r\nConnection: close\r\n\r\n";
  const std::string large(256 * 1024, 'x');
  std::puts("serving");
  std::fflush(stdout);
  while (true) {
    std::array<epoll_event, 64> events;
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto* served = static_cast<Served*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (served == nullptr) {
        for (int fd; (fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
          event.events = EPOLLIN;
          event.data.ptr = new Served{fd};
          ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        }
        continue;
      }
      bool ends = false;
      if (served->endless) {
        ends = ::send(served->fd, large.data(), large.size(), MSG_NOSIGNAL) < 0 && errno != EAGAIN;
      } else {
        std::array<char, 4096> buffer;
        const auto size = ::recv(served->fd, buffer.data(), buffer.size(), 0);
        served->endless =
            size > 0 && std::string_view(buffer.data(), static_cast<std::size_t>(size)).find("/bulk") != std::string_view::npos;
        ends = !served->endless;
        if (served->endless) {
          ::send(served->fd, large_head.data(), large_head.size(), MSG_NOSIGNAL);
          event.events = EPOLLOUT;
          event.data.ptr = served;
          ::epoll_ctl(epoll, EPOLL_CTL_MOD, served->fd, &event);
        } else if (size > 0) {
          ::send(served->fd, small.data(), small.size(), MSG_NOSIGNAL);
        }
      }
      if (!ends) continue;
      ::close(served->fd);
      delete served;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max = std::max<rlim_t>(files.rlim_max, 65'536);
  ::setrlimit(RLIMIT_NOFILE, &files);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 3 && words[0] == "serve") return serve({words[1], std::atoi(words[2].c_str())});
  if (words.size() < 7) {
    std::fputs("see the beginning of proxy_load_bench.cpp\n", stderr);
    return 64;
  }
  const Way way{words[1], {words[2], std::atoi(words[3].c_str())}, {words[4], std::atoi(words[5].c_str())}};
  const auto number = [&](std::size_t i) { return static_cast<std::size_t>(std::atol(words[i].c_str())); };
  if (words[0] == "idle") return idle(way, number(6));
  if (words.size() != 8) return 64;
  return words[0] == "bulk" ? bulk(way, std::atof(words[6].c_str()), number(7)) : requests(way, std::atof(words[6].c_str()), number(7));
}
