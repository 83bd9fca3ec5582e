#include "proxy/server.h"

#include <spdlog/logger.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "system/socket_address.h"

// Whoever waits for one of these coroutines owns what it refers to, and ends it before that.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace drpf::proxy {
namespace {

constexpr std::chrono::milliseconds pause_without_room{100};
constexpr std::chrono::seconds between_refusals_told{10};
constexpr int accepted_at_once = 64;
constexpr int client_timeout_ms = 60'000;

}  // namespace

bool Server::listen(system::Fd socket) {
  auto door = std::make_unique<Door>();
  if (!door->channel.open(parts_.poller, std::move(socket))) return false;
  door->accepting = accept_on(*door);
  door->accepting.start();
  doors_.push_back(std::move(door));
  return true;
}

Task<void> Server::accept_on(Door& door) {
  auto& poller = parts_.poller;
  while (true) {
    for (int i = 0; i < accepted_at_once && door.channel.readable(); ++i) {
      system::Fd socket(::accept4(door.channel.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (socket.valid()) {
        admit(std::move(socket));
      } else if (errno == EAGAIN) {
        door.channel.nothing_to_read();
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        Wait pause(poller, nullptr, 0, poller.now() + pause_without_room);
        co_await pause;
      }
    }
    if (door.channel.readable()) {
      Poller::Turn turn(poller);
      co_await turn;
      continue;
    }
    Wait visitors(poller, {to_read(door.channel)}, Deadline::max());
    co_await visitors;
  }
}

void Server::tell_refused(const Endpoint& source, const char* why) {
  ++refused_;
  if (parts_.poller.now() < refusal_told_ + between_refusals_told && refusal_told_ != Deadline{}) return;
  log_.warn("refused {}: {} ({} since the last of these lines)", to_string(source.address), why, refused_ - refused_told_);
  refusal_told_ = parts_.poller.now();
  refused_told_ = refused_;
}

bool Server::may_enter(const Endpoint& source) {
  if (!parts_.policy.may_use(source.address)) {
    tell_refused(source, "it is in no network that may use the proxy; --allow PREFIX adds one");
    return false;
  }
  const auto found = by_source_.find(source.address);
  if (found != by_source_.end() && found->second >= parts_.limits.connections_per_source) {
    tell_refused(source, "it has as many connections as one address may");
    return false;
  }
  if (conversations_.size() < parts_.limits.connections) return true;
  tell_refused(source, "there are as many connections as there may be");
  return false;
}

void Server::admit(system::Fd socket) {
  const auto source = remote_end(socket.get());
  const auto local = local_end(socket.get());
  if (!source || !local) return;
  if (!may_enter(*source)) {
    const struct ::linger none{1, 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    return;
  }
  system::set_option(socket.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  system::set_option(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, client_timeout_ms);
  system::set_option(socket.get(), SOL_SOCKET, SO_KEEPALIVE, 1);
  auto& conversation = conversations_.emplace_back();
  conversation.self = std::prev(conversations_.end());
  conversation.client.source = *source;
  conversation.client.local = *local;
  if (!conversation.client.stream.channel.open(parts_.poller, std::move(socket))) {
    conversations_.pop_back();
    return;
  }
  ++accepted_;
  ++by_source_[source->address];
  conversation.task = hold(conversation);
  conversation.task.start();
}

Task<void> Server::hold(Conversation& conversation) {
  co_await converse(parts_, conversation.client);
  ended_.push_back(&conversation);
}

void Server::clear_ended() {
  for (auto* conversation : std::exchange(ended_, {})) {
    const auto found = by_source_.find(conversation->client.source.address);
    if (--found->second == 0) by_source_.erase(found);
    conversations_.erase(conversation->self);
  }
}

}  // namespace drpf::proxy
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
