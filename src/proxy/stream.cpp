#include "proxy/stream.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "system/socket_address.h"

// Whoever waits for one of these coroutines owns what it refers to, and ends it before that.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace drpf::proxy {

Progress Stream::read_some() {
  static thread_local std::array<char, read_max> scratch;
  const auto size = ::recv(channel.fd(), scratch.data(), scratch.size(), 0);
  if (size > 0) {
    in.append(scratch.data(), static_cast<std::size_t>(size));
    return Progress::some;
  }
  if (size == 0) return Progress::ended;
  if (errno == EINTR) return Progress::some;
  if (errno != EAGAIN) return Progress::failed;
  channel.nothing_to_read();
  return Progress::blocked;
}

Progress Stream::write_some() {
  std::size_t written = 0;
  auto progress = Progress::some;
  while (written < out.size()) {
    const auto size = ::send(channel.fd(), out.data() + written, out.size() - written, MSG_NOSIGNAL);
    if (size >= 0) {
      written += static_cast<std::size_t>(size);
      continue;
    }
    if (errno == EINTR) continue;
    progress = errno == EAGAIN ? Progress::blocked : Progress::failed;
    if (errno == EAGAIN) channel.no_room();
    break;
  }
  out.erase(0, written);
  if (out.empty()) out.shrink_to_fit();
  return progress;
}

void Stream::end_writing() {
  if (channel.is_open()) ::shutdown(channel.fd(), SHUT_WR);
}

void Stream::abort() {
  if (!channel.is_open()) return;
  const struct ::linger none{1, 0};
  ::setsockopt(channel.fd(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
  channel.close();
}

Task<bool> write_out(Poller& poller, Stream& stream, Deadline deadline) {
  while (true) {
    const auto progress = stream.write_some();
    if (progress != Progress::blocked) co_return progress == Progress::some;
    Wait room(poller, {to_write(stream.channel)}, deadline);
    if (const bool in_time = co_await room; !in_time) co_return false;
  }
}

Task<bool> read_more(Poller& poller, Stream& stream, Deadline deadline) {
  while (true) {
    const auto before = stream.in.size();
    const auto progress = stream.read_some();
    if (progress == Progress::ended || progress == Progress::failed) co_return false;
    if (stream.in.size() > before) co_return true;
    Wait bytes(poller, {to_read(stream.channel)}, deadline);
    if (const bool in_time = co_await bytes; !in_time) co_return false;
  }
}

Task<void> linger(Poller& poller, Stream& stream, Deadline deadline) {
  constexpr int reads_max = 256;
  stream.end_writing();
  for (int i = 0; i < reads_max; ++i) {
    stream.in.clear();
    const bool more = co_await read_more(poller, stream, deadline);
    if (!more) break;
  }
  stream.in.clear();
}

std::string_view as_text(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
ByteView as_bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::optional<Endpoint> local_end(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return std::nullopt;
  return system::from_socket_address(storage);
}

std::optional<Endpoint> remote_end(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return std::nullopt;
  return system::from_socket_address(storage);
}

}  // namespace drpf::proxy
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
