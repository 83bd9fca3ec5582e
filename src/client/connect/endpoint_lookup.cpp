#include "client/connect/endpoint_lookup.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "crypto/wireguard_primitives.h"
#include "net/name_lookup.h"
#include "protocol/dns/address_query.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::client {
namespace {

constexpr std::array families{Family::v4, Family::v6};

Error not_found_error(const std::string& host, std::string_view why) {
  return failure("name_not_found", fmt::format("looking up {}: {}", host, why),
                 "Is the name right, and does this machine have working name servers?");
}

// A socket that leads outside and on which the question was sent.
system::Fd send_question(const Endpoint& server, std::uint32_t mark, const std::vector<std::uint8_t>& query) {
  const auto target = system::to_socket_address(server);
  system::Fd socket(::socket(target.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid() || (mark != 0 && ::setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) ||
      ::connect(socket.get(), target.get(), target.size) != 0 || ::send(socket.get(), query.data(), query.size(), MSG_NOSIGNAL) < 0)
    return {};
  return socket;
}

}  // namespace

// One server after the other is asked for both families, until one knows the name.
class EndpointLookup::OutsideQuestions {
 public:
  using Done = std::function<void(Result<std::vector<Address>>)>;
  OutsideQuestions(net::EventLoop& loop, const OutsideResolver& outside, std::string name, Done done)
      : loop_(loop), outside_(outside), name_(std::move(name)), done_(std::move(done)) {
    next_ = loop_.after(Duration::zero(), [this] { ask(); });
  }

 private:
  void ask() {
    answer_.cancel();
    socket_ = {};
    if (family_ == families.size()) {
      if (!found_.empty()) return std::exchange(done_, nullptr)(std::move(found_));
      family_ = 0;
      ++server_;
    }
    if (server_ == outside_.servers.size())
      return std::exchange(done_, nullptr)(fail(not_found_error(name_, "no name server outside of the tunnel knows it")));
    const auto family = families[family_++];
    crypto::SystemRandom random;
    const auto id = static_cast<std::uint16_t>(random.u32());
    const auto query = protocol::dns::encode_query(id, name_, family);
    if (query) socket_ = send_question({outside_.servers[server_], outside_.port}, outside_.mark, *query);
    if (socket_.valid() && outside_.asked) outside_.asked(outside_.servers[server_], name_);
    if (socket_.valid()) answer_ = loop_.watch_readable(socket_.get(), [this, id, family] { take(id, family); });
    next_ = loop_.after(socket_.valid() ? Duration(outside_time_max) : Duration::zero(), [this] { ask(); });
  }
  void take(std::uint16_t id, Family family) {
    std::array<std::uint8_t, protocol::dns::message_size_max> buffer{};
    const auto size = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size >= 0) {
      const auto addresses = protocol::dns::decode_answer(ByteView(buffer).first(static_cast<std::size_t>(size)), id, name_, family)
                                 .value_or(std::vector<Address>{});
      found_.insert(found_.end(), addresses.begin(), addresses.end());
    }
    ask();
  }

  net::EventLoop& loop_;
  const OutsideResolver& outside_;
  std::string name_;
  Done done_;
  std::size_t server_ = 0;
  std::size_t family_ = 0;
  std::vector<Address> found_;
  system::Fd socket_;
  net::Watch answer_;
  net::Timer next_;
};

// Who asks for one name at the same time: the first that finds it wins, the last that does not says why.
struct EndpointLookup::Race {
  protocol::wireguard::PeerHost host;
  std::function<void(Result<std::vector<Endpoint>>)> done;
  std::size_t running = 0;
  std::unique_ptr<OutsideQuestions> outside;
  net::Watch system;  // or, for a literal, the turn of the loop that delivers it
};

EndpointLookup::EndpointLookup(net::EventLoop& loop, OutsideResolver outside) : loop_(loop), outside_(std::move(outside)) {}
EndpointLookup::~EndpointLookup() = default;

void EndpointLookup::finish(Race& race, Result<std::vector<Address>> answer) {
  --race.running;
  if (!answer && race.running > 0) return;
  Result<std::vector<Endpoint>> endpoints;
  if (answer) {
    for (const auto& address : *answer) endpoints->push_back({address, race.host.port});
  } else {
    endpoints = fail(answer.error());
  }
  const auto found = std::find_if(races_.begin(), races_.end(), [&](const auto& one) { return one.get() == &race; });
  const auto ended = std::move(*found);
  races_.erase(found);
  ended->done(std::move(endpoints));
}

void EndpointLookup::find(const protocol::wireguard::PeerHost& host, std::function<void(Result<std::vector<Endpoint>>)> done) {
  auto* race = races_.emplace_back(std::make_unique<Race>()).get();
  race->host = host;
  race->done = std::move(done);
  race->running = 1;
  if (const auto address = parse_address(host.host)) {
    race->system = loop_.after(Duration::zero(), [this, race, address = *address] { finish(*race, std::vector<Address>{address}); });
    return;
  }
  if (!outside_.servers.empty()) {
    ++race->running;
    race->outside = std::make_unique<OutsideQuestions>(
        loop_, outside_, host.host, [this, race](Result<std::vector<Address>> answer) { finish(*race, std::move(answer)); });
  }
  race->system = net::look_up_name(loop_, host.host, [this, race](Result<std::vector<Address>> answer) {
    if (!answer) return finish(*race, fail(not_found_error(race->host.host, answer.error().message)));
    finish(*race, std::move(answer));
  });
}

}  // namespace drpf::client
