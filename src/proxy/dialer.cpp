#include "proxy/dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "system/socket_address.h"

// Whoever waits for one of these coroutines owns what it refers to, and ends it before that.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace drpf::proxy {
namespace {

constexpr int user_timeout_ms = 60'000;  // a peer that acknowledges nothing for this long is gone

Dialled trouble_of(int error, const Endpoint& peer) {
  Dialled out;
  out.peer = peer;
  out.trouble = DialTrouble::unreachable;
  if (error == ECONNREFUSED) out.trouble = DialTrouble::refused;
  if (error == ETIMEDOUT) out.trouble = DialTrouble::late;
  if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EADDRNOTAVAIL)
    out.trouble = DialTrouble::no_room;
  out.why = fmt::format("{} cannot be reached: {}", drpf::to_string(peer), std::strerror(error));
  return out;
}

Dialled late(const std::string& who) {
  Dialled out;
  out.trouble = DialTrouble::late;
  out.why = fmt::format("{} does not answer", who);
  return out;
}

// First one family, then the other, in turns (RFC 8305 section 4): one that is broken does not hold the other up.
std::vector<Endpoint> in_turns(const std::vector<Address>& addresses, Port port) {
  std::vector<Endpoint> out;
  std::array<std::vector<Address>, 2> families;
  for (const auto& address : addresses) families[address.is_v6() == addresses.front().is_v6() ? 0 : 1].push_back(address);
  for (std::size_t i = 0; i < addresses.size(); ++i)
    for (const auto& family : families)
      if (i < family.size()) out.push_back({family[i], port});
  return out;
}

struct Attempt {
  Endpoint peer;
  Channel channel;
};

// 0 when it has been begun; else why not.
int begin_attempt(Poller& poller, Attempt& attempt) {
  const auto address = system::to_socket_address(attempt.peer);
  system::Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return errno;
  system::set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  system::set_option(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms);
  system::set_option(fd.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  if (::connect(fd.get(), address.get(), address.size) != 0 && errno != EINPROGRESS) return errno;
  if (!attempt.channel.open(poller, std::move(fd))) return ENOBUFS;
  attempt.channel.no_room();
  return 0;
}

int error_of(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

bool Dialer::is_own(const Address& address) {
  const auto path = routes_.path_to(address);
  return path && path->local;
}

Dialled Dialer::judge(Way way, const Endpoint& to) {
  Dialled out;
  out.peer = to;
  auto refused = policy_.refuses_port(way, to.port);
  if (!refused) refused = policy_.refuses(to, is_own(to.address));
  if (!refused) return out;
  out.trouble = DialTrouble::not_allowed;
  out.why = std::move(refused->why);
  out.cure = std::move(refused->cure);
  return out;
}

Task<Destinations> Dialer::destinations(Way way, Host host, Port port, Deadline deadline) {
  Destinations out;
  const auto refuse = [&out](Refusal refusal) {
    out.verdict.trouble = DialTrouble::not_allowed;
    out.verdict.why = std::move(refusal.why);
    out.verdict.cure = std::move(refusal.cure);
  };
  if (auto refused = policy_.refuses_port(way, port)) {
    refuse(std::move(*refused));
    co_return out;
  }
  if (const auto* address = std::get_if<Address>(&host)) {
    out.addresses.push_back(*address);
  } else {
    const auto name = std::get<std::string>(host);
    if (auto refused = policy_.refuses_name(name)) {
      refuse(std::move(*refused));
      co_return out;
    }
    auto resolved = co_await resolver_.look_up(name, deadline);
    if (resolved.addresses.empty()) {
      out.verdict.trouble = DialTrouble::unknown_name;
      out.verdict.why = fmt::format("the name {} cannot be found: {}", name, resolved.why);
      co_return out;
    }
    out.addresses = std::move(resolved.addresses);
  }
  for (auto& address : out.addresses) {
    address = plain_address(address);
    auto verdict = judge(way, {address, port});
    if (!verdict.ok()) {
      out.verdict = std::move(verdict);
      out.addresses.clear();
      break;
    }
  }
  co_return out;
}

Task<Dialled> Dialer::dial(Way way, Host host, Port port, Deadline deadline, Stream& stream) {
  auto found = co_await destinations(way, std::move(host), port, deadline);
  if (!found.verdict.ok()) co_return std::move(found.verdict);
  auto peers = in_turns(found.addresses, port);
  auto dialled = co_await connect_to(std::move(peers), deadline, stream);
  co_return dialled;
}

Task<Dialled> Dialer::connect_to(std::vector<Endpoint> peers, Deadline deadline, Stream& stream) {
  std::vector<std::unique_ptr<Attempt>> attempts;
  Dialled last = late(drpf::to_string(peers.front()));
  std::size_t next = 0;
  auto next_at = poller_.now();
  while (next < peers.size() || !attempts.empty()) {
    if (next < peers.size() && attempts.size() < attempts_max && (attempts.empty() || poller_.now() >= next_at)) {
      auto attempt = std::make_unique<Attempt>();
      attempt->peer = peers[next++];
      next_at = poller_.now() + next_attempt_after;
      if (const int error = begin_attempt(poller_, *attempt); error != 0) {
        last = trouble_of(error, attempt->peer);
        continue;
      }
      attempts.push_back(std::move(attempt));
    }
    std::array<Wish, attempts_max> wishes{};
    for (std::size_t i = 0; i < attempts.size(); ++i) wishes[i] = to_write(attempts[i]->channel);
    const bool more = next < peers.size() && attempts.size() < attempts_max;
    Wait news(poller_, wishes.data(), attempts.size(), more ? std::min(deadline, next_at) : deadline);
    const bool in_time = co_await news;
    if (!in_time && poller_.now() >= deadline) co_return last;
    for (auto& attempt : attempts) {
      if (!attempt->channel.writable() && !attempt->channel.broken()) continue;
      const int error = error_of(attempt->channel.fd());
      if (error == 0 && !attempt->channel.broken()) {
        stream.channel.take_from(attempt->channel);
        Dialled done;
        done.peer = attempt->peer;
        co_return done;
      }
      last = trouble_of(error == 0 ? ECONNRESET : error, attempt->peer);
      attempt.reset();
    }
    std::erase(attempts, nullptr);
    if (attempts.empty()) next_at = poller_.now();
  }
  co_return last;
}

}  // namespace drpf::proxy
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
