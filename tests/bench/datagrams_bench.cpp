// Datagrams as fast as they go, one way or the other, run in two hosts of the lab by path_bench.py:
//   datagrams_bench serve ADDRESS PORT                                  counts what comes, and sends when asked, until killed
//   datagrams_bench send ADDRESS PORT SECONDS SIZE SEGMENTS             to the server
//   datagrams_bench receive ADDRESS PORT SECONDS SIZE SEGMENTS          from the server
// The last two print {"sent","received","seconds"} (sent: 0 where only the other end knows). SEGMENTS: so many datagrams in one call, for
// the kernel to cut apart (USO); 0 = each by itself.
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "core/address.h"
#include "system/fd.h"
#include "system/udp_socket.h"

namespace {

using drpf::system::Fd;
using SteadyClock = std::chrono::steady_clock;

constexpr unsigned at_once = 32;
constexpr std::size_t datagram_max = 65'507;
constexpr int buffer_bytes = 4 << 20;
constexpr int settle_ms = 300;  // what is still under way when the sender has ended
constexpr int answer_ms = 200;
constexpr int questions_max = 25;

enum class What : std::uint32_t { data, count_please, send_please, count };

// The head of every datagram. Both ends are this program on this machine.
struct Head {
  What what = What::data;
  std::uint32_t run = 0;
  std::uint64_t count = 0;
  double seconds = 0;
  std::uint32_t size = 0;
  std::uint32_t segments = 0;
};

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

Fd udp_socket(drpf::Family family) {
  Fd fd(::socket(family == drpf::Family::v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const int option : {SO_RCVBUFFORCE, SO_SNDBUFFORCE}) ::setsockopt(fd.get(), SOL_SOCKET, option, &buffer_bytes, sizeof buffer_bytes);
  return fd;
}

// To `to`, or where the socket is connected to.
std::uint64_t send_for(int fd, const Head& wish, const sockaddr* to, socklen_t to_size) {
  const auto size = std::clamp<std::size_t>(wish.size, sizeof(Head), 1500);
  const auto segments = std::min<std::size_t>(wish.segments, datagram_max / size);
  const auto one = std::max<std::size_t>(segments, 1) * size;
  std::vector<std::uint8_t> bytes(one);
  const Head head{What::data, wish.run, 0, 0, 0, 0};
  for (std::size_t at = 0; at < one; at += size) std::memcpy(bytes.data() + at, &head, sizeof head);
  const int segment = segments > 0 ? static_cast<int>(size) : 0;
  if (::setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) fail("UDP_SEGMENT");
  iovec part{bytes.data(), bytes.size()};
  std::array<mmsghdr, at_once> messages{};
  for (auto& message : messages) {
    message.msg_hdr.msg_iov = &part;
    message.msg_hdr.msg_iovlen = 1;
    message.msg_hdr.msg_name = const_cast<sockaddr*>(to);
    message.msg_hdr.msg_namelen = to_size;
  }
  const unsigned count = segments > 0 ? 1 : at_once;
  const auto end = SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(wish.seconds));
  std::uint64_t sent = 0;
  while (SteadyClock::now() < end) {
    const int taken = ::sendmmsg(fd, messages.data(), count, 0);
    if (taken > 0) sent += static_cast<std::uint64_t>(taken) * std::max<std::size_t>(segments, 1);
  }
  const int off = 0;
  ::setsockopt(fd, SOL_UDP, UDP_SEGMENT, &off, sizeof off);
  return sent;
}

// Hands each datagram to `on_head`, until that is false or nothing has come for the time.
template <class OnHead>
void receive(int fd, int timeout_ms, OnHead on_head) {
  static std::vector<std::uint8_t> buffer(at_once * 2048);
  std::array<sockaddr_storage, at_once> names;
  for (;;) {
    pollfd waiting{fd, POLLIN, 0};
    if (::poll(&waiting, 1, timeout_ms) == 0) return;
    std::array<mmsghdr, at_once> messages{};
    std::array<iovec, at_once> parts;
    for (std::size_t i = 0; i < at_once; ++i) {
      parts[i] = {buffer.data() + i * 2048, 2048};
      messages[i].msg_hdr.msg_iov = &parts[i];
      messages[i].msg_hdr.msg_iovlen = 1;
      messages[i].msg_hdr.msg_name = &names[i];
      messages[i].msg_hdr.msg_namelen = sizeof names[i];
    }
    const int count = ::recvmmsg(fd, messages.data(), at_once, MSG_DONTWAIT, nullptr);
    for (std::size_t i = 0; i < static_cast<std::size_t>(std::max(count, 0)); ++i) {
      if (messages[i].msg_len < sizeof(Head)) continue;
      Head head;
      std::memcpy(&head, parts[i].iov_base, sizeof head);
      if (!on_head(head, names[i], messages[i].msg_hdr.msg_namelen)) return;
    }
  }
}

int serve(const drpf::Endpoint& on) {
  const auto fd = udp_socket(on.address.family());
  const auto address = drpf::system::to_socket_address(on);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) fail("bind");
  std::puts("serving");
  std::fflush(stdout);
  std::uint32_t run = 0;
  std::uint32_t sent_for = 0;  // the wish is repeated until data comes
  std::uint64_t count = 0;
  receive(fd.get(), -1, [&](const Head& head, const sockaddr_storage& from, socklen_t from_size) {
    const auto* const to = reinterpret_cast<const sockaddr*>(&from);
    if (head.run != run) {
      run = head.run;
      count = 0;
    }
    if (head.what == What::data) {
      ++count;
    } else if (head.what == What::count_please) {
      const Head answer{What::count, run, count, 0, 0, 0};
      ::sendto(fd.get(), &answer, sizeof answer, 0, to, from_size);
    } else if (head.what == What::send_please && head.run != sent_for) {
      sent_for = head.run;
      send_for(fd.get(), head, to, from_size);
    }
    return true;
  });
  return 0;
}

int run(bool sending, const drpf::Endpoint& to, double seconds, std::uint32_t size, std::uint32_t segments) {
  const auto fd = udp_socket(to.address.family());
  const auto address = drpf::system::to_socket_address(to);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) fail("connect");
  const auto id = static_cast<std::uint32_t>(SteadyClock::now().time_since_epoch().count());
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  double took = seconds;
  if (sending) {
    sent = send_for(fd.get(), {What::data, id, 0, seconds, size, segments}, nullptr, 0);
    ::poll(nullptr, 0, settle_ms);
    bool answered = false;
    for (int i = 0; i < questions_max && !answered; ++i) {
      const Head question{What::count_please, id, 0, 0, 0, 0};
      ::send(fd.get(), &question, sizeof question, 0);
      receive(fd.get(), answer_ms, [&](const Head& head, const sockaddr_storage&, socklen_t) {
        answered = head.what == What::count && head.run == id;
        received = head.count;
        return !answered;
      });
    }
    if (!answered) fail("no answer");
  } else {
    for (int i = 0; i < questions_max && received == 0; ++i) {
      const Head wish{What::send_please, id, 0, seconds, size, segments};
      ::send(fd.get(), &wish, sizeof wish, 0);
      auto first = SteadyClock::now();
      auto last = first;
      receive(fd.get(), answer_ms, [&](const Head& head, const sockaddr_storage&, socklen_t) {
        if (head.what != What::data || head.run != id) return true;
        last = SteadyClock::now();
        if (received++ == 0) first = last;
        return true;
      });
      took = std::max(seconds, std::chrono::duration<double>(last - first).count());
    }
    if (received == 0) fail("nothing came");
  }
  std::printf("{\"sent\": %llu, \"received\": %llu, \"seconds\": %.3f}\n", static_cast<unsigned long long>(sent),
              static_cast<unsigned long long>(received), took);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() >= 3) {
    const auto address = drpf::parse_address(words[1]);
    if (!address) return 64;
    const drpf::Endpoint at{*address, drpf::Port(static_cast<std::uint16_t>(std::stoi(words[2])))};
    if (words.size() == 3 && words[0] == "serve") return serve(at);
    if (words.size() == 6 && (words[0] == "send" || words[0] == "receive"))
      return run(words[0] == "send", at, std::stod(words[3]), static_cast<std::uint32_t>(std::stoi(words[4])),
                 static_cast<std::uint32_t>(std::stoi(words[5])));
  }
  std::fputs("datagrams_bench serve ADDRESS PORT | send|receive ADDRESS PORT SECONDS SIZE SEGMENTS\n", stderr);
  return 64;
}
