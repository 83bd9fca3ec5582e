#include <string>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "protocol/socks/socks.h"
#include "proxy/conversation.h"
#include "proxy/socks_bind.h"
#include "proxy/socks_datagrams.h"
#include "proxy/socks_reply.h"
#include "proxy/tunnel.h"

// Whoever waits for one of these coroutines owns what it refers to, and ends it before that.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace drpf::proxy {

using protocol::socks::Command;
using protocol::socks::Outcome;
using protocol::socks::Trouble;

std::string socks_reply(SocksVersion version, Outcome outcome, const Endpoint& bound) {
  const auto bytes = version == SocksVersion::v4 ? protocol::socks::reply4(outcome, bound) : protocol::socks::reply5(outcome, bound);
  return std::string(as_text(bytes));
}

Outcome outcome_of(DialTrouble trouble) {
  switch (trouble) {
    case DialTrouble::none:
      return Outcome::granted;
    case DialTrouble::not_allowed:
      return Outcome::not_allowed;
    case DialTrouble::unknown_name:
    case DialTrouble::unreachable:
      return Outcome::host_unreachable;
    case DialTrouble::refused:
      return Outcome::refused;
    case DialTrouble::late:
      return Outcome::ttl_expired;
    case DialTrouble::no_room:
      return Outcome::failed;
  }
  return Outcome::failed;
}

std::optional<Host> host_of(const protocol::socks::Host& host) {
  if (const auto* address = std::get_if<Address>(&host)) return Host(*address);
  return parse_host(std::get<std::string>(host), true);
}

namespace {

class SocksSession {
 public:
  SocksSession(Parts& parts, Client& client, SocksVersion version)
      : parts_(parts), client_(client), version_(version), deadline_(parts.poller.now() + parts.limits.head) {
    access_.begun = parts.poller.now();
    access_.client = client.source.address;
  }

  Task<void> run4() {
    while (true) {
      const auto read = protocol::socks::read_request4(as_bytes(client_.stream.in));
      if (read) {
        client_.stream.take(read->size);
        auto request = read->value;
        co_await carry_out(request.command, std::move(request.target));
        co_return;
      }
      if (read.error() == Trouble::unknown_command) co_return co_await refuse(Outcome::command_unknown);
      if (read.error() != Trouble::incomplete) co_return;
      const bool more = co_await read_more(parts_.poller, client_.stream, deadline_);
      if (!more) co_return;
    }
  }

  Task<void> run5() {
    const bool greeted = co_await greet();
    if (!greeted) co_return;
    while (true) {
      const auto read = protocol::socks::read_request5(as_bytes(client_.stream.in));
      if (read) {
        client_.stream.take(read->size);
        auto request = read->value;
        co_await carry_out(request.command, std::move(request.target));
        co_return;
      }
      if (read.error() == Trouble::unknown_command) co_return co_await refuse(Outcome::command_unknown);
      if (read.error() == Trouble::unknown_address) co_return co_await refuse(Outcome::address_unknown);
      if (read.error() != Trouble::incomplete) co_return;
      const bool more = co_await read_more(parts_.poller, client_.stream, deadline_);
      if (!more) co_return;
    }
  }

 private:
  Task<bool> greet() {
    while (true) {
      const auto read = protocol::socks::read_greeting(as_bytes(client_.stream.in));
      if (read) {
        client_.stream.take(read->size);
        // Who may use the proxy is decided by the address it comes from.
        const char method = read->value.none ? char{0} : static_cast<char>(protocol::socks::method_refused);
        client_.stream.out.assign({char{5}, method});
        const bool written = co_await write_out(parts_.poller, client_.stream, deadline_);
        co_return written && read->value.none;
      }
      if (read.error() != Trouble::incomplete) co_return false;
      const bool more = co_await read_more(parts_.poller, client_.stream, deadline_);
      if (!more) co_return false;
    }
  }

  Task<void> refuse(Outcome outcome) {
    access_.code = outcome == Outcome::not_allowed ? "TCP_DENIED" : "TCP_MISS";
    access_.status = outcome == Outcome::not_allowed ? 403 : 502;
    parts_.log.write(access_);
    client_.stream.out = socks_reply(version_, outcome, {});
    const bool written = co_await write_out(parts_.poller, client_.stream, parts_.poller.now() + parts_.limits.head);
    if (written) co_await linger(parts_.poller, client_.stream, parts_.poller.now() + parts_.limits.lingering);
  }

  Task<void> carry_out(Command command, protocol::socks::Target target) {
    const auto host = host_of(target.host);
    if (!host) {
      co_await refuse(Outcome::address_unknown);
      co_return;
    }
    access_.method = command == Command::connect ? "CONNECT" : command == Command::bind ? "BIND" : "ASSOCIATE";
    access_.url = authority_of(*host, target.port);
    const Port port{target.port};
    if (command == Command::connect) co_return co_await connect(*host, port);
    const bool offered = command == Command::bind ? parts_.services.bind_on.has_value() : parts_.services.datagrams;
    if (!offered) co_return co_await refuse(Outcome::command_unknown);
    auto outcome = Outcome::granted;
    if (command == Command::bind)
      outcome = co_await serve_bind(parts_, client_, version_, *host, access_);
    else
      outcome = co_await serve_datagrams(parts_, client_, access_);
    if (outcome != Outcome::granted) co_return co_await refuse(outcome);
    parts_.log.write(access_);
  }

  Task<void> connect(Host host, Port port) {
    Stream upstream;
    auto dialled = co_await parts_.dialer.dial(Way::socks, std::move(host), port, parts_.poller.now() + parts_.limits.connect, upstream);
    if (!dialled.ok()) co_return co_await refuse(outcome_of(dialled.trouble));
    access_.peer = dialled.peer.address;
    client_.stream.out = socks_reply(version_, Outcome::granted, local_end(upstream.channel.fd()).value_or(Endpoint{}));
    const TunnelTimes times{parts_.limits.tunnel, parts_.limits.half_closed};
    const auto carried = co_await carry(parts_.poller, client_.stream, upstream, times);
    access_.code = "TCP_TUNNEL";
    access_.status = 200;
    access_.bytes = carried.down;
    parts_.log.write(access_);
  }

  Parts& parts_;
  Client& client_;
  SocksVersion version_;
  Deadline deadline_;
  Access access_;
};

}  // namespace

Task<void> serve_socks4(Parts& parts, Client& client) {
  SocksSession session(parts, client, SocksVersion::v4);
  co_await session.run4();
}

Task<void> serve_socks5(Parts& parts, Client& client) {
  SocksSession session(parts, client, SocksVersion::v5);
  co_await session.run5();
}

}  // namespace drpf::proxy
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
