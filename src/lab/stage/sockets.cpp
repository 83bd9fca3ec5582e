#include "lab/stage/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <fmt/format.h>

#include "lab/stage/limits.h"
#include "system/socket_address.h"

namespace drpf::lab {
namespace {

using Steady = std::chrono::steady_clock;

int to_ms(Duration duration) {
  return static_cast<int>(std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(duration).count()));
}

void append_16(std::string& packet, std::uint16_t value) {
  packet.push_back(static_cast<char>(value >> 8));
  packet.push_back(static_cast<char>(value & 0xff));
}

void append_address(std::string& packet, const Address& address) {
  for (const std::uint8_t byte : address.bytes()) packet.push_back(static_cast<char>(byte));
}

}  // namespace

const char* to_string(Reach reach) {
  switch (reach) {
    case Reach::open:
      return "open";
    case Reach::refused:
      return "refused";
    case Reach::silent:
      return "silent";
  }
  return "";
}

Reach try_connect(const system::Fd& socket, const Endpoint& to, Duration limit) {
  const auto address = system::to_socket_address(to);
  timeval timeout{};
  timeout.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
  timeout.tv_usec = std::chrono::duration_cast<std::chrono::microseconds>(limit % std::chrono::seconds(1)).count();
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);  // socket(7): bounds connect(2) as well
  if (::connect(socket.get(), address.get(), address.size) == 0) return Reach::open;
  return errno == ECONNREFUSED || errno == ECONNRESET ? Reach::refused : Reach::silent;
}

Result<std::string> ask_by_udp(const Endpoint& to, const std::string& text, Duration limit) {
  constexpr Duration again_after = std::chrono::milliseconds(200);
  const auto address = system::to_socket_address(to);
  const system::Fd socket(::socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), address.get(), address.size) != 0) {
    return fail(failure("udp", fmt::format("cannot send to {}: {}", to_string(to), std::strerror(errno))));
  }
  for (const Steady::time_point deadline = Steady::now() + limit; Steady::now() < deadline;) {
    (void)::send(socket.get(), text.data(), text.size(), 0);  // an error is that of an earlier datagram; the answer decides
    pollfd answered{socket.get(), POLLIN, 0};
    char buffer[2048];
    if (::poll(&answered, 1, to_ms(again_after)) != 1) continue;
    const ssize_t count = ::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count > 0) return std::string(buffer, static_cast<std::size_t>(count));
  }
  return fail(
      failure("udp", fmt::format("no answer from {} within {:.1f} s", to_string(to), std::chrono::duration<double>(limit).count())));
}

std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes, std::uint32_t sum) {
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xffff);
}

std::string udp_packet(const Address& source, const Address& target, Port port, const std::string& text) {
  const auto udp_length = static_cast<std::uint16_t>(8 + text.size());
  std::string packet = {0x45, 0};                                  // version 4, header of 20 bytes
  append_16(packet, static_cast<std::uint16_t>(20 + udp_length));  // total length
  packet.append({0, 0, 0x40, 0, 64, IPPROTO_UDP, 0, 0});           // don't fragment, TTL 64, checksum for now 0
  append_address(packet, source);
  append_address(packet, target);
  const std::uint16_t checksum = internet_checksum({reinterpret_cast<const std::uint8_t*>(packet.data()), packet.size()});
  packet[10] = static_cast<char>(checksum >> 8);
  packet[11] = static_cast<char>(checksum & 0xff);
  append_16(packet, port.value());
  append_16(packet, port.value());
  append_16(packet, udp_length);
  append_16(packet, 0);  // RFC 768: no checksum
  return packet + text;
}

}  // namespace drpf::lab
