#include "client/connect/endpoint_lookup.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "crypto/wireguard_primitives.h"
#include "protocol/dns/address_query.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::client {
namespace {

constexpr std::size_t addresses_max = 16;

Error not_found_error(const std::string& host, std::string_view why) {
  return failure("name_not_found", fmt::format("looking up {}: {}", host, why),
                 "Is the name right, and does this machine have working name servers?");
}

Result<std::vector<Endpoint>> ask_system(const protocol::wireguard::PeerHost& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.host.c_str(), nullptr, &hints, &list);
  std::vector<Endpoint> found;
  if (error == 0) {
    for (const addrinfo* entry = list; entry != nullptr && found.size() < addresses_max; entry = entry->ai_next) {
      const auto endpoint = system::from_socket_address(entry->ai_addr, entry->ai_addrlen);
      if (!endpoint) continue;
      const Endpoint with_port{endpoint->address, host.port};
      if (std::find(found.begin(), found.end(), with_port) == found.end()) found.push_back(with_port);
    }
    ::freeaddrinfo(list);
  }
  if (found.empty()) return fail(not_found_error(host.host, error == 0 ? "no address" : ::gai_strerror(error)));
  return found;
}

std::vector<Address> ask_server(const Address& server, std::uint32_t mark, const std::string& name, Family family) {
  crypto::SystemRandom random;
  const auto id = static_cast<std::uint16_t>(random.u32());
  const auto query = protocol::dns::encode_query(id, name, family);
  const auto target = system::to_socket_address(Endpoint{server, Port{53}});
  const system::Fd socket(::socket(target.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  timeval time_max{};
  time_max.tv_sec = EndpointLookup::outside_time_max.count();
  if (!query || !socket.valid() || ::setsockopt(socket.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0 ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &time_max, sizeof time_max) != 0 ||
      ::connect(socket.get(), target.get(), target.size) != 0 || ::send(socket.get(), query->data(), query->size(), MSG_NOSIGNAL) < 0) {
    return {};
  }
  std::array<std::uint8_t, protocol::dns::message_size_max> buffer{};
  const auto size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
  if (size < 0) return {};
  return protocol::dns::decode_answer(ByteView(buffer).first(static_cast<std::size_t>(size)), id, name, family)
      .value_or(std::vector<Address>{});
}

Result<std::vector<Endpoint>> ask_outside(const protocol::wireguard::PeerHost& host, const OutsideResolver& outside) {
  std::vector<Endpoint> found;
  for (const auto& server : outside.servers) {
    for (const auto family : {Family::v4, Family::v6}) {
      for (const auto& address : ask_server(server, outside.mark, host.host, family)) found.push_back({address, host.port});
    }
    if (!found.empty()) return found;
  }
  return fail(not_found_error(host.host, "no name server outside of the tunnel knows it"));
}

}  // namespace

struct EndpointLookup::Door {
  std::mutex mutex;
  net::EventLoop* loop = nullptr;  // none: nobody waits any more
};

// Who asks for one name at the same time, and what comes of it.
struct EndpointLookup::Race {
  std::shared_ptr<Door> door;
  std::function<void(Result<std::vector<Endpoint>>)> done;
  std::size_t running = 0;
  bool delivered = false;

  void finish(const std::shared_ptr<Race>& self, Result<std::vector<Endpoint>> answer) {
    const std::lock_guard lock(door->mutex);
    --running;
    if (delivered || door->loop == nullptr || (!answer && running > 0)) return;
    delivered = true;
    door->loop->post([self, answer = std::move(answer)] {
      // The owner lives on the loop's thread, as this does: it cannot go away in between.
      if (self->door->loop != nullptr) self->done(answer);
    });
  }
};

EndpointLookup::EndpointLookup(net::EventLoop& loop, OutsideResolver outside)
    : outside_(std::move(outside)), door_(std::make_shared<Door>()) {
  door_->loop = &loop;
}

EndpointLookup::~EndpointLookup() {
  const std::lock_guard lock(door_->mutex);
  door_->loop = nullptr;
}

void EndpointLookup::find(const protocol::wireguard::PeerHost& host, std::function<void(Result<std::vector<Endpoint>>)> done) {
  auto race = std::make_shared<Race>();
  race->door = door_;
  race->done = std::move(done);
  race->running = 1;
  if (const auto address = parse_address(host.host)) return race->finish(race, std::vector<Endpoint>{{*address, host.port}});
  if (!outside_.servers.empty()) {
    ++race->running;
    std::thread([race, host, outside = outside_] { race->finish(race, ask_outside(host, outside)); }).detach();
  }
  std::thread([race, host] { race->finish(race, ask_system(host)); }).detach();
}

}  // namespace drpf::client
