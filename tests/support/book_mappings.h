// The port-mapping servers' view of a lease book, for tests: every request is decided and applied at once, and answered in the call.
#pragma once

#include <utility>
#include <vector>

#include "lease/lease_book.h"
#include "protocol/port_mapping/mappings.h"

namespace drpf::protocol::port_mapping::test {

inline lease::Policy lab_policy() {
  lease::Policy policy;
  policy.hosts = {{"main", *parse_address("198.51.100.1"), *parse_address("2001:db8:51::1")}};
  policy.pool = PortRange(Port{20000}, Port{20999});
  lease::Plan personal;
  personal.name = "personal";
  policy.plans = {personal};
  policy.tunnel_v4 = *parse_prefix("10.77.0.0/24");
  policy.tunnel_v6 = *parse_prefix("fd77::/64");
  return policy;
}

class BookMappings final : public Mappings {
 public:
  // One account with two connected devices, of which the first has automatic ports.
  BookMappings() : book(lab_policy(), lease::State{}) {
    const auto account = book.add_account("ann", std::nullopt);
    book.apply(account->transaction);
    for (const char* name : {"laptop", "phone"}) {
      const auto device = book.add_device(account->value.id, name);
      book.apply(device->transaction);
      book.apply(book.connect(device->value.id, now)->transaction);
    }
  }
  Address laptop() const { return book.device("laptop")->tunnel_v4; }
  Address phone() const { return book.device("phone")->tunnel_v4; }

  std::optional<Client> client(const Address& source) const override {
    const auto* device = book.device_at(source);
    if (!device) return std::nullopt;
    const auto* host = book.host_of(device->id);
    return Client{host->v4, host->v6, device->tunnel_v4, device->tunnel_v6};
  }
  std::uint32_t epoch_s() const override {
    return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - book.epoch_started()).count());
  }
  std::vector<Mapped> mappings_of(const Address& client) const override {
    std::vector<Mapped> found;
    if (const auto* device = book.device_at(client))
      for (const auto* lease : book.mappings_of(device->id)) found.push_back(mapped(*lease));
    return found;
  }
  void map(const Wish& wish, WhenMapped done) override {
    if (failure_) return done(fail(*failure_));
    const auto* device = book.device_at(wish.client);
    lease::MappingRequest request;
    request.device = device ? device->id : lease::DeviceId{};
    request.protocol = wish.protocol;
    request.internal_port = wish.internal_port;
    if (!wish.suggested_port.is_zero()) request.suggested_port = wish.suggested_port;
    request.only_suggested = wish.only_suggested;
    request.to_public_number = wish.to_public_number;
    request.count = wish.count;
    request.lifetime = wish.lifetime;
    request.while_connected = wish.while_connected;
    request.door = wish.door;
    request.nonce = wish.nonce;
    request.description = wish.description;
    auto decided = book.map(request, now);
    if (!decided) return done(fail(decided.error()));
    book.apply(decided->transaction);
    std::vector<Mapped> answer;
    for (const auto& lease : decided->value) answer.push_back(mapped(lease));
    done(answer);
  }
  void end(const Ending& ending, WhenEnded done) override {
    if (failure_) return done(fail(*failure_));
    const auto* device = book.device_at(ending.client);
    auto decided = book.end_mappings({device ? device->id : lease::DeviceId{},
                                      ending.protocol,
                                      ending.internal_port,
                                      ending.external_ports,
                                      {},
                                      ending.door,
                                      ending.nonce},
                                     now);
    if (!decided) return done(fail(decided.error()));
    book.apply(decided->transaction);
    done(decided->value);
  }
  void fail_with(Error error) { failure_ = std::move(error); }

  Time now{std::chrono::seconds(1000)};
  lease::LeaseBook book;

 private:
  Mapped mapped(const lease::Lease& lease) const {
    const auto* host = book.host(lease.on.host);
    return {lease.on.protocol, lease.mapping->internal_port, lease.on.port,       lease.local_port,     host->v4,
            host->v6,          lease.deadline - now,         lease.mapping->door, lease.mapping->nonce, lease.mapping->description};
  }
  std::optional<Error> failure_;
};

}  // namespace drpf::protocol::port_mapping::test
