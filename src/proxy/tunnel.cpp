#include "proxy/tunnel.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>

// Whoever waits for one of these coroutines owns what it refers to, and ends it before that.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace drpf::proxy {
namespace {

constexpr std::size_t carried_at_once = 256 * 1024;
constexpr int tunnel_rounds_max = 8;  // before others have their turn

struct Direction {
  Stream& from;
  Stream& to;
  std::uint64_t bytes = 0;
  bool ended = false;  // nothing more comes
  bool told = false;   // and the other side knows
};

// One for the thread: what it holds is gone before anybody else reads.
char* scratch() {
  static thread_local const std::unique_ptr<std::array<char, carried_at_once>> bytes(new std::array<char, carried_at_once>);
  return bytes->data();
}

// Once: false where there was nothing to do now.
enum class Step : std::uint8_t { moved, waits, broken };
Step step(Direction& direction) {
  auto& to = direction.to;
  if (!to.out.empty()) {
    const auto progress = to.write_some();
    if (progress == Progress::failed) return Step::broken;
    return progress == Progress::some ? Step::moved : Step::waits;
  }
  if (direction.ended) {
    if (direction.told) return Step::waits;
    to.end_writing();
    direction.told = true;
    return Step::moved;
  }
  if (!direction.from.channel.readable()) return Step::waits;
  const auto size = ::recv(direction.from.channel.fd(), scratch(), carried_at_once, 0);
  if (size == 0) {
    direction.ended = true;
    return Step::moved;
  }
  if (size < 0) {
    if (errno == EINTR) return Step::moved;
    if (errno != EAGAIN) return Step::broken;
    direction.from.channel.nothing_to_read();
    return Step::waits;
  }
  direction.bytes += static_cast<std::uint64_t>(size);
  const auto sent = ::send(to.channel.fd(), scratch(), static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return Step::broken;
  const auto written = sent < 0 ? 0 : static_cast<std::size_t>(sent);
  if (written < static_cast<std::size_t>(size)) {
    if (sent < 0 && errno == EAGAIN) to.channel.no_room();
    to.out.assign(scratch() + written, static_cast<std::size_t>(size) - written);
  }
  return Step::moved;
}

Wish wish_of(const Direction& direction) {
  return direction.to.out.empty() ? to_read(direction.from.channel) : to_write(direction.to.channel);
}

}  // namespace

Task<Carried> carry(Poller& poller, Stream& first, Stream& second, TunnelTimes times) {
  Direction up{first, second};
  Direction down{second, first};
  up.bytes = first.in.size();
  down.bytes = second.in.size();
  second.out += first.in;
  first.out += second.in;
  first.take(first.in.size());
  second.take(second.in.size());
  bool whole = true;
  while (whole && !(up.told && down.told)) {
    bool moved = true;
    for (int round = 0; round < tunnel_rounds_max && moved && whole; ++round) {
      moved = false;
      for (auto* direction : {&up, &down}) {
        const auto what = step(*direction);
        moved = moved || what == Step::moved;
        whole = whole && what != Step::broken;
      }
    }
    if (!whole || (up.told && down.told)) break;
    if (moved) {
      Poller::Turn turn(poller);
      co_await turn;
      continue;
    }
    std::array<Wish, 2> wishes{};
    std::size_t count = 0;
    for (const auto* direction : {&up, &down})
      if (!direction->told) wishes[count++] = wish_of(*direction);
    const auto limit = up.told || down.told ? times.half_closed : times.idle;
    Wait news(poller, wishes.data(), count, poller.now() + limit);
    const bool in_time = co_await news;
    whole = in_time;
  }
  const Carried carried{up.bytes, down.bytes};
  if (!whole) {
    first.abort();
    second.abort();
  }
  first.channel.close();
  second.channel.close();
  co_return carried;
}

}  // namespace drpf::proxy
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
