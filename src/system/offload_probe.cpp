#include "system/offload_probe.h"

#include <netinet/udp.h>
#include <poll.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <span>
#include <vector>

#include "system/udp_socket.h"

namespace drpf::system {
namespace {

constexpr std::size_t segments = 40;
constexpr std::size_t segment_size = 1000;
constexpr int arrival_wait_ms = 200;

struct Loopback {
  Fd fd;
  SocketAddress address;
};

std::optional<Loopback> open_loopback() {
  Loopback out;
  out.fd = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  out.address = to_socket_address({Address::v4(0x7f000001), Port()});
  auto* const name = reinterpret_cast<sockaddr*>(&out.address.storage);
  if (!out.fd.valid() || ::bind(out.fd.get(), name, out.address.size) != 0 || ::getsockname(out.fd.get(), name, &out.address.size) != 0)
    return {};
  return out;
}

bool arrives(int fd, std::span<const std::uint8_t> expected) {
  std::vector<std::uint8_t> received(expected.size() + 1);
  pollfd waiting{fd, POLLIN, 0};
  if (::poll(&waiting, 1, arrival_wait_ms) != 1) return false;
  const auto size = ::recv(fd, received.data(), received.size(), MSG_DONTWAIT);
  return size == static_cast<ssize_t>(expected.size()) && std::equal(expected.begin(), expected.end(), received.begin());
}

bool send(const Loopback& loopback, std::span<std::uint8_t> bytes, std::uint16_t size) {
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_storage*>(&loopback.address.storage);
  message.msg_namelen = loopback.address.size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  SendControl control;
  control.attach(message, Family::v4, {}, size);
  return ::sendmsg(loopback.fd.get(), &message, MSG_DONTWAIT) == static_cast<ssize_t>(bytes.size());
}

unsigned take_number(std::string_view& text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with('.')) text.remove_prefix(1);
  return value;
}

}  // namespace

ProbeResult probe_udp_segmentation() {
  const auto loopback = open_loopback();
  if (!loopback) return ProbeResult::unknown;
  std::vector<std::uint8_t> bytes(segments * segment_size);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 131 + i / segment_size);
  const std::span all(bytes);
  if (!send(*loopback, all.first(segment_size), 0) || !arrives(loopback->fd.get(), all.first(segment_size))) return ProbeResult::unknown;
  for (const std::size_t size : {all.size(), all.size() - segment_size / 2}) {
    const auto sent = all.first(size);
    if (!send(*loopback, sent, segment_size)) return ProbeResult::broken;
    for (std::size_t at = 0; at < sent.size(); at += segment_size)
      if (!arrives(loopback->fd.get(), sent.subspan(at, std::min(segment_size, sent.size() - at)))) return ProbeResult::broken;
  }
  return ProbeResult::works;
}

// 7.0-rc1 to 7.1.4 write wrong headers into segmented datagrams.
bool udp_segmentation_denied(std::string_view release) {
  const auto major = take_number(release);
  const auto minor = take_number(release);
  const auto patch = take_number(release);
  return major == 7 && (minor == 0 || (minor == 1 && patch <= 4));
}

std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : "";
}

}  // namespace drpf::system
