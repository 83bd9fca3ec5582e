#include "proxy/socks_datagrams.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "system/socket_address.h"

// Whoever waits for one of these coroutines owns what it refers to, and ends it before that.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace drpf::proxy {
namespace {

using protocol::socks::Outcome;

constexpr std::size_t datagram_bytes_max = 65'536;
constexpr std::size_t peers_max = 4'096;  // that may answer; the oldest of more are forgotten all at once
constexpr int datagrams_at_once = 32;

system::Fd open_datagrams(const Address& on) {
  const auto address = system::to_socket_address(Endpoint{on, Port{0}});
  system::Fd fd(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || ::bind(fd.get(), address.get(), address.size) != 0) return {};
  return fd;
}

struct Received {
  Endpoint source;
  ByteView bytes;
};

std::array<std::uint8_t, datagram_bytes_max>& datagram_scratch() {
  static thread_local const auto bytes = std::make_unique<std::array<std::uint8_t, datagram_bytes_max>>();
  return *bytes;
}

// Nothing when there is none now. An error that an earlier datagram met is not one of the next.
std::optional<Received> receive(Channel& channel) {
  for (int tries = 0; tries < datagrams_at_once; ++tries) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const auto count =
        ::recvfrom(channel.fd(), datagram_scratch().data(), datagram_scratch().size(), 0, reinterpret_cast<sockaddr*>(&storage), &size);
    if (count >= 0) {
      const auto source = system::from_socket_address(storage);
      if (source) return Received{*source, ByteView(datagram_scratch()).first(static_cast<std::size_t>(count))};
      continue;
    }
    if (errno == EAGAIN) {
      channel.nothing_to_read();
      return std::nullopt;
    }
  }
  return std::nullopt;
}

void send_to(Channel& channel, const Endpoint& to, ByteView bytes) {
  const auto address = system::to_socket_address(to);
  ::sendto(channel.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT, address.get(), address.size);
}

class Association {
 public:
  Association(Parts& parts, Client& client) : parts_(parts), client_(client) { ++parts_.associations[client_.source.address]; }
  Association(const Association&) = delete;
  Association& operator=(const Association&) = delete;
  ~Association() {
    const auto found = parts_.associations.find(client_.source.address);
    if (--found->second == 0) parts_.associations.erase(found);
  }

  bool open() {
    const bool inside = inside_.open(parts_.poller, open_datagrams(client_.local.address));
    const bool v4 = outside_[0].open(parts_.poller, open_datagrams(Address::v4(0)));
    const std::array<std::uint8_t, 16> any{};
    outside_[1].open(parts_.poller, open_datagrams(Address::from_bytes(any)));  // a host without IPv6 has the other one
    return inside && v4;
  }
  Endpoint bound() const { return local_end(inside_.fd()).value_or(Endpoint{}); }
  std::uint64_t bytes() const { return bytes_; }

  // Until the client's connection ends.
  Task<void> run() {
    auto& poller = parts_.poller;
    while (true) {
      // Nothing comes on it any more; what comes all the same is read away.
      const auto progress = client_.stream.read_some();
      client_.stream.in.clear();
      if (progress == Progress::ended || progress == Progress::failed) co_return;
      std::array<Wish, 4> wishes{to_read(client_.stream.channel), to_read(inside_), to_read(outside_[0]), to_read(outside_[1])};
      Wait news(poller, wishes.data(), outside_[1].is_open() ? 4 : 3, poller.now() + parts_.limits.tunnel);
      const bool in_time = co_await news;
      if (!in_time) co_return;
      for (int i = 0; i < datagrams_at_once && inside_.readable(); ++i) {
        const auto received = receive(inside_);
        if (!received) break;
        co_await send_out(*received);
      }
      for (auto& outside : outside_) {
        if (!outside.is_open() || !outside.readable()) continue;
        for (int i = 0; i < datagrams_at_once; ++i)
          if (const auto received = receive(outside))
            take_in(*received);
          else
            break;
      }
      Poller::Turn turn(poller);
      co_await turn;
    }
  }

 private:
  Task<void> send_out(Received received) {
    if (received.source.address != client_.source.address) co_return;
    if (!program_) program_ = received.source;  // the first port counts
    if (received.source != *program_) co_return;
    const auto datagram = protocol::socks::read_datagram(received.bytes);
    if (!datagram || datagram->target.port == 0) co_return;
    const auto host = host_of(datagram->target.host);
    if (!host) co_return;
    const Bytes payload(datagram->payload.begin(), datagram->payload.end());  // other conversations use the scratch meanwhile
    const Port port{datagram->target.port};
    auto to = co_await destination(*host, port);
    if (!to) co_return;
    auto& channel = outside_[to->address.is_v6() ? 1 : 0];
    if (!channel.is_open()) co_return;
    if (peers_.size() >= peers_max) peers_.clear();
    peers_.insert(*to);
    send_to(channel, *to, payload);
  }

  Task<std::optional<Endpoint>> destination(Host host, Port port) {
    if (last_to_ && last_host_ == host && last_to_->port == port) co_return last_to_;
    const bool is_name = std::holds_alternative<std::string>(host);
    Host asked = host;
    auto found = co_await parts_.dialer.destinations(Way::datagram, std::move(asked), port, parts_.poller.now() + parts_.limits.connect);
    if (!found.verdict.ok()) co_return std::nullopt;
    const Endpoint to{found.addresses.front(), port};
    // A name may move: it is asked for again, of a resolver that keeps it as long as it may.
    last_to_ = is_name ? std::nullopt : std::optional(to);
    last_host_ = std::move(host);
    co_return to;
  }

  // Only from whom the client has sent something to.
  void take_in(const Received& received) {
    if (!program_ || peers_.find(received.source) == peers_.end()) return;
    bytes_ += received.bytes.size();
    send_to(inside_, *program_, protocol::socks::datagram_from(received.source, received.bytes));
  }

  Parts& parts_;
  Client& client_;
  Channel inside_;
  std::array<Channel, 2> outside_;  // IPv4, IPv6
  std::optional<Endpoint> program_;
  std::set<Endpoint> peers_;
  Host last_host_;
  std::optional<Endpoint> last_to_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Task<Outcome> serve_datagrams(Parts& parts, Client& client, Access& access) {
  const auto source = parts.associations.find(client.source.address);
  if (source != parts.associations.end() && source->second >= parts.limits.associations_per_source) co_return Outcome::failed;
  Association association(parts, client);
  if (!association.open()) co_return Outcome::failed;
  client.stream.out = socks_reply(SocksVersion::v5, Outcome::granted, association.bound());
  const bool told = co_await write_out(parts.poller, client.stream, parts.poller.now() + parts.limits.head);
  if (told) co_await association.run();
  access.code = "TCP_TUNNEL";
  access.status = 200;
  access.bytes = association.bytes();
  co_return Outcome::granted;
}

}  // namespace drpf::proxy
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
