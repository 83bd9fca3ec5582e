#include "proxy/socks_bind.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <vector>

#include "proxy/tunnel.h"
#include "system/socket_address.h"

// Whoever waits for one of these coroutines owns what it refers to, and ends it before that.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace drpf::proxy {
namespace {

using protocol::socks::Outcome;

system::Fd listen_for_one(const Address& on) {
  const auto address = system::to_socket_address(Endpoint{on, Port{0}});
  system::Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || ::bind(fd.get(), address.get(), address.size) != 0 || ::listen(fd.get(), 1) != 0) return {};
  return fd;
}

bool is_anybody(const Host& host) {
  const auto* address = std::get_if<Address>(&host);
  return address != nullptr && address->is_unspecified();
}

}  // namespace

Task<Outcome> serve_bind(Parts& parts, Client& client, SocksVersion version, Host expected, Access& access) {
  auto& poller = parts.poller;
  std::vector<Address> guests;
  if (!is_anybody(expected)) {
    // The policy of destinations holds for visitors too. Which port they come from nobody knows.
    constexpr Port any_high_port{65535};
    auto found = co_await parts.dialer.destinations(Way::socks, std::move(expected), any_high_port, poller.now() + parts.limits.connect);
    if (!found.verdict.ok()) co_return outcome_of(found.verdict.trouble);
    guests = std::move(found.addresses);
  }
  Channel door;
  if (!door.open(poller, listen_for_one(*parts.services.bind_on))) co_return Outcome::failed;
  const auto bound = local_end(door.fd());
  if (!bound) co_return Outcome::failed;
  client.stream.out = socks_reply(version, Outcome::granted, *bound);
  const bool told = co_await write_out(poller, client.stream, poller.now() + parts.limits.head);
  const auto deadline = poller.now() + parts.limits.visitor;
  Stream visitor;
  access.status = 504;
  while (told) {
    const bool room = client.stream.in.size() < waiting_bytes_max;
    Wait news(poller, {to_read(door), room ? to_read(client.stream.channel) : to_break(client.stream.channel)}, deadline);
    const bool in_time = co_await news;
    if (!in_time || client.stream.channel.broken()) break;
    if (room && client.stream.channel.readable()) {
      const auto progress = client.stream.read_some();  // what it says already is for the visitor
      if (progress == Progress::ended || progress == Progress::failed) break;
    }
    if (!door.readable()) continue;
    system::Fd fd(::accept4(door.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      door.nothing_to_read();
      continue;
    }
    const auto who = remote_end(fd.get());
    if (!who || (!guests.empty() && std::find(guests.begin(), guests.end(), who->address) == guests.end())) continue;
    door.close();
    system::set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    if (!visitor.channel.open(poller, std::move(fd))) break;
    access.peer = who->address;
    access.code = "TCP_TUNNEL";
    access.status = 200;
    client.stream.out = socks_reply(version, Outcome::granted, *who);
    const TunnelTimes times{parts.limits.tunnel, parts.limits.half_closed};
    const auto carried = co_await carry(poller, client.stream, visitor, times);
    access.bytes = carried.down;
    co_return Outcome::granted;
  }
  // The second answer says that nobody came.
  client.stream.out += socks_reply(version, Outcome::ttl_expired, {});
  co_await write_out(poller, client.stream, poller.now() + parts.limits.lingering);
  co_return Outcome::granted;
}

}  // namespace drpf::proxy
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
