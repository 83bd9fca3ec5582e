#include "lab/demo/scan.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "lab/demo/limits.h"
#include "lab/stage/sockets.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::lab::demo {

using namespace lab;

namespace {

using Steady = std::chrono::steady_clock;

constexpr unsigned port_max = 65535;
constexpr unsigned rounds = 2;           // a lost packet must not make an open port look closed
constexpr unsigned burst = 128;          // packets between two looks at the answers
constexpr int receive_buffer = 4 << 20;  // for the answers of a whole pass
constexpr Port scanner_port{31337};      // where the answers come back to

using TcpHeader = std::array<std::uint8_t, 20>;

TcpHeader syn_to(std::uint16_t port, const Address& source, const Address& target) {
  TcpHeader header{};
  header[0] = static_cast<std::uint8_t>(scanner_port.value() >> 8);
  header[1] = static_cast<std::uint8_t>(scanner_port.value() & 0xff);
  header[2] = static_cast<std::uint8_t>(port >> 8);
  header[3] = static_cast<std::uint8_t>(port & 0xff);
  header[12] = 5 << 4;  // header length in words
  header[13] = TH_SYN;
  header[14] = 0x40;                                                                      // window
  std::vector<std::uint8_t> pseudo_header(source.bytes().begin(), source.bytes().end());  // RFC 9293 section 3.1
  pseudo_header.insert(pseudo_header.end(), target.bytes().begin(), target.bytes().end());
  pseudo_header.insert(pseudo_header.end(), {0, IPPROTO_TCP, 0, header.size()});
  pseudo_header.insert(pseudo_header.end(), header.begin(), header.end());
  const std::uint16_t checksum = internet_checksum(pseudo_header);
  header[16] = static_cast<std::uint8_t>(checksum >> 8);
  header[17] = static_cast<std::uint8_t>(checksum & 0xff);
  return header;
}

// A raw IPv4 socket delivers the IP header as well, an IPv6 one does not (RFC 3542 section 3).
void note_tcp_answer(std::span<const std::uint8_t> packet, bool v4, Scan& scan) {
  if (v4) {
    if (packet.empty()) return;
    const std::size_t header = std::size_t{packet[0]} % 16 * 4;
    if (packet.size() < header) return;
    packet = packet.subspan(header);
  }
  if (packet.size() < 20 || (packet[2] << 8 | packet[3]) != scanner_port.value()) return;
  const auto port = static_cast<std::uint16_t>(packet[0] << 8 | packet[1]);
  if ((packet[13] & TH_RST) != 0) {
    scan.refused.insert(port);
  } else if ((packet[13] & (TH_SYN | TH_ACK)) == (TH_SYN | TH_ACK)) {
    scan.open.insert(port);
  }
}

void note_udp_error(const system::Fd& socket, Scan& scan) {
  char text[64];
  char control[512];
  sockaddr_storage to{};
  iovec part{text, sizeof text};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  while (::recvmsg(socket.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
      if (header->cmsg_level != IPPROTO_IP || header->cmsg_type != IP_RECVERR) continue;
      sock_extended_err error{};
      std::memcpy(&error, CMSG_DATA(header), sizeof error);
      sockaddr_in port{};
      std::memcpy(&port, &to, sizeof port);
      if (error.ee_errno == ECONNREFUSED) scan.refused.insert(ntohs(port.sin_port));
    }
    message.msg_namelen = sizeof to;
    message.msg_controllen = sizeof control;
  }
}

void note_udp_answer(const system::Fd& socket, Scan& scan) {
  char text[64];
  sockaddr_in from{};
  socklen_t length = sizeof from;
  while (::recvfrom(socket.get(), text, sizeof text, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length) >= 0) {
    scan.open.insert(ntohs(from.sin_port));
    length = sizeof from;
  }
}

// Sends to every port and looks at the answers in between.
template <class Send, class Receive>
Status sweep(const system::Fd& socket, Send send, Receive receive) {
  for (unsigned port = 1; port <= port_max; ++port) {
    while (!send(static_cast<std::uint16_t>(port))) {
      if (errno != ENOBUFS && errno != EAGAIN)
        return fail(failure("scan", fmt::format("cannot send to port {}: {}", port, std::strerror(errno))));
      pollfd writable{socket.get(), POLLOUT, 0};
      ::poll(&writable, 1, 10);
      receive();
    }
    if (port % burst == 0) receive();
  }
  return {};
}

template <class Receive>
void settle(const system::Fd& socket, Receive receive) {
  for (const Steady::time_point deadline = Steady::now() + limits::scan_settle; Steady::now() < deadline;) {
    pollfd readable{socket.get(), POLLIN, 0};
    ::poll(&readable, 1, 20);
    receive();
  }
}

class TcpScanner {
 public:
  TcpScanner(const Address& target, const Address& source)
      : target_(target),
        source_(source),
        socket_(::socket(target.is_v4() ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP)),
        to_(system::to_socket_address({target, Port()})) {  // a raw socket takes no port; ours is in the header
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }

  Status round(Scan& scan) {
    if (!socket_.valid()) return fail(failure("scan", "cannot open a raw socket"));
    const auto send = [&](std::uint16_t port) {
      const TcpHeader header = syn_to(port, source_, target_);
      return ::sendto(socket_.get(), header.data(), header.size(), MSG_DONTWAIT, to_.get(), to_.size) >= 0;
    };
    return sweep(socket_, send, [&] { receive(scan); });
  }
  void finish(Scan& scan) {
    settle(socket_, [&] { receive(scan); });
  }

 private:
  void receive(Scan& scan) {
    std::uint8_t packet[2048];
    for (ssize_t count; (count = ::recv(socket_.get(), packet, sizeof packet, MSG_DONTWAIT)) >= 0;) {
      note_tcp_answer({packet, static_cast<std::size_t>(count)}, target_.is_v4(), scan);
    }
  }

  Address target_;
  Address source_;
  system::Fd socket_;
  system::SocketAddress to_;
};

}  // namespace

Result<Scan> scan_udp(const Address& target) {
  const system::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on);
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const std::string_view text = "drpf demo scan";

  Scan scan;
  scan.tried = port_max;
  const auto send = [&](std::uint16_t port) {
    const auto to = system::to_socket_address({target, Port(port)});
    for (int attempt = 0; attempt < 2; ++attempt) {
      if (::sendto(socket.get(), text.data(), text.size(), MSG_DONTWAIT, to.get(), to.size) >= 0) return true;
      if (errno != ECONNREFUSED && errno != EHOSTUNREACH && errno != ENETUNREACH && errno != EACCES) return false;
      note_udp_error(socket, scan);  // udp(7): the pending error of an earlier datagram, not of this one
    }
    return true;
  };
  const auto receive = [&] {
    note_udp_error(socket, scan);
    note_udp_answer(socket, scan);
  };
  for (unsigned round = 0; round < rounds; ++round) {
    if (const Status swept = sweep(socket, send, receive); !swept) return fail(swept.error());
    settle(socket, receive);
  }
  return scan;
}

// One byte for each port, so that the parent can look at any time.
struct ScanWatch::Findings {
  std::atomic<std::uint32_t> rounds{0};
  std::array<std::atomic<bool>, port_max + 1> open{};
  std::array<std::atomic<bool>, port_max + 1> refused{};
};

Result<ScanWatch> ScanWatch::start(const Address& target, const Address& source) {
  void* shared = ::mmap(nullptr, sizeof(Findings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return fail(failure("mmap", fmt::format("cannot share memory with a child: {}", std::strerror(errno))));
  auto* findings = new (shared) Findings;
  ScanWatch watch(findings, {});
  Result<system::Process> child = system::Process::fork([&] {
    TcpScanner scanner(target, source);
    for (Scan scan;;) {
      if (!scanner.round(scan)) return 1;
      scanner.finish(scan);
      for (const std::uint16_t port : scan.open) findings->open[port] = true;
      for (const std::uint16_t port : scan.refused) findings->refused[port] = true;
      ++findings->rounds;
    }
  });
  if (!child) return fail(child.error());
  watch.child_ = std::move(*child);
  return watch;
}

ScanWatch::ScanWatch(ScanWatch&& other) noexcept : findings_(std::exchange(other.findings_, nullptr)), child_(std::move(other.child_)) {}

ScanWatch::~ScanWatch() {
  child_.kill();
  if (findings_ != nullptr) ::munmap(findings_, sizeof(Findings));
}

bool ScanWatch::await_round(Duration limit) {
  const std::uint32_t before = findings_->rounds;
  for (const Steady::time_point deadline = Steady::now() + limit; Steady::now() < deadline;
       std::this_thread::sleep_for(limits::poll_interval)) {
    if (findings_->rounds > before) return true;
  }
  return false;
}

Scan ScanWatch::findings() const {
  Scan scan;
  scan.tried = std::size_t{findings_->rounds} * port_max;
  for (unsigned port = 1; port <= port_max; ++port) {
    if (findings_->open[port]) scan.open.insert(static_cast<std::uint16_t>(port));
    if (findings_->refused[port]) scan.refused.insert(static_cast<std::uint16_t>(port));
  }
  return scan;
}

}  // namespace drpf::lab::demo
