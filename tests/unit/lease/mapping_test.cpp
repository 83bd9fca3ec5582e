#include <random>

#include "book_fixture.h"

namespace drpf::lease::test {

namespace {

constexpr auto tcp = Protocol::tcp;
constexpr auto udp = Protocol::udp;

MappingRequest wish(DeviceId device, Protocol protocol, std::uint16_t internal, std::uint16_t suggested = 0) {
  MappingRequest request;
  request.device = device;
  request.protocol = protocol;
  request.internal_port = Port{internal};
  if (suggested != 0) request.suggested_port = Port{suggested};
  request.lifetime = 3600s;
  return request;
}

MappingEnd end(DeviceId device) {
  MappingEnd ending;
  ending.device = device;
  return ending;
}

class MappingTest : public BookTest {
 protected:
  Lease map(const MappingRequest& request) { return act(book.map(request, now)).at(0); }
  std::string refused(const MappingRequest& request) const {
    const auto answer = book.map(request, now);
    return answer ? "granted" : answer.error().code;
  }
};

}  // namespace

TEST_F(MappingTest, TakesAPortOfTheDeviceAndLeadsItToTheProgram) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  const auto ports = ports_of(id);
  const auto lease = map(wish(id, tcp, 6881));
  EXPECT_EQ(lease.on.port, ports.back()) << "the first ones stay for what is set up by hand";
  EXPECT_EQ(lease.local_port, Port{6881});
  EXPECT_EQ(lease.kind, LeaseKind::automatic);
  EXPECT_EQ(lease.deadline, now + 3600s);
  EXPECT_EQ(lease_at(lease.on.port), lease);
  EXPECT_EQ(lease_at(lease.on.port, udp).local_port, lease.on.port) << "the other protocol is not touched";
  EXPECT_EQ(book.ports_held(alice), 5U);
}

TEST_F(MappingTest, TcpAndUdpOfOneProgramShareTheNumber) {
  const auto id = connected(account("alice"), "laptop");
  const auto first = map(wish(id, tcp, 6881));
  const auto other = map(wish(id, tcp, 7000));
  const auto second = map(wish(id, udp, 6881));
  EXPECT_EQ(first.on.port, second.on.port);
  EXPECT_NE(other.on.port, first.on.port);
  EXPECT_EQ(map(wish(id, udp, 7000)).on.port, other.on.port);
}

TEST_F(MappingTest, OfANumberThatIsHeldOnTwoHostsTheNamedOneEnds) {
  auto policy = small_policy();
  policy.hosts.push_back({.name = "second", .v4 = *parse_address("198.51.100.2"), .v6 = {}});
  book.apply(book.reconfigure(policy, now));
  book.adopt(policy);
  const auto id = connected(account("firm", "business"), "server");
  for (const char* host : {"main", "second"}) {
    auto request = wish(id, udp, 6881, 10050);
    request.only_suggested = true;
    request.host = host;
    if (std::string_view(host) == "second") request.internal_port = Port{7000};
    EXPECT_EQ(map(request).on, (PublicPort{host, udp, Port{10050}}));
  }
  auto ending = end(id);
  ending.public_ports = PortRange(Port{10050});
  ending.host = "second";
  EXPECT_EQ(act(book.end_mappings(ending, now)), 1U);
  ASSERT_NE(book.lease({"main", udp, Port{10050}}), nullptr);
  EXPECT_TRUE(book.lease({"main", udp, Port{10050}})->mapping);
  const auto* other = book.lease({"second", udp, Port{10050}});
  EXPECT_TRUE(other == nullptr || !other->mapping);
}

TEST_F(MappingTest, BothAtOnceAreOfOneNumberOrNotAtAll) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  const auto ports = ports_of(id);
  auto both = wish(id, tcp, 25565);
  both.both = true;
  // The highest has no room for UDP any more.
  act(book.set_lease({"main", udp, ports[4]}, Port{53}, now));
  const auto given = act(book.map(both, now));
  ASSERT_EQ(given.size(), 2U);
  EXPECT_EQ(given[0].on, (PublicPort{"main", tcp, ports[3]}));
  EXPECT_EQ(given[1].on, (PublicPort{"main", udp, ports[3]}));
  EXPECT_EQ(lease_at(ports[3], udp).local_port, Port{25565});
  EXPECT_EQ(act(book.map(both, now)), given) << "asked again, they are the same";
  for (std::uint16_t i = 0; i < 3; ++i) map(wish(id, udp, static_cast<std::uint16_t>(7000 + i)));
  both.internal_port = Port{25566};
  EXPECT_EQ(refused(both), "quota_exhausted") << "one protocol alone is not what was asked for";
}

TEST_F(MappingTest, AnUnnamedPortLeadsToItsOwnNumberAndIsANewOneEachTime) {
  const auto id = connected(account("alice"), "laptop");
  auto any = wish(id, tcp, 0);
  any.to_public_number = true;
  any.both = true;
  const auto first = act(book.map(any, now));
  const auto second = act(book.map(any, now));
  EXPECT_NE(first[0].on.port, second[0].on.port);
  EXPECT_EQ(first[0].local_port, first[0].on.port);
  EXPECT_EQ(first[0].mapping->internal_port, first[0].on.port);
}

TEST_F(MappingTest, WhatIsToBeLeftAloneIsLeftAlone) {
  const auto id = connected(account("alice"), "laptop");
  const auto ports = ports_of(id);
  auto request = wish(id, tcp, 6881, ports[4].value());
  request.avoid = {ports[4], ports[2]};
  EXPECT_EQ(map(request).on.port, ports[3]);
  request.internal_port = Port{6882};
  request.suggested_port.reset();
  EXPECT_EQ(map(request).on.port, ports[1]);
}

TEST_F(MappingTest, TheSameInternalPortOfAnotherDeviceIsNotOnes) {
  const auto alice = account("alice", "business");
  const auto one = connected(alice, "laptop");
  const auto other = connected(alice, "phone");
  const auto mapped = map(wish(one, tcp, 6881));
  auto request = wish(other, tcp, 6881, mapped.on.port.value());
  request.only_suggested = true;
  EXPECT_EQ(refused(request), "port_taken");
  request.only_suggested = false;
  EXPECT_NE(map(request).on.port, mapped.on.port);
  EXPECT_EQ(lease_at(mapped.on.port).device, one);
}

TEST_F(MappingTest, AtTheEndOfThePlanANumberOutsideThePoolIsNotTheTrouble) {
  const auto id = connected(account("alice"), "laptop");
  auto request = wish(id, tcp, 9000, 9999);
  request.only_suggested = true;
  EXPECT_EQ(refused(request), "port_outside_pool");
  for (const auto port : ports_of(id)) map(wish(id, tcp, static_cast<std::uint16_t>(7000 + port.value() % 100)));
  EXPECT_EQ(refused(request), "quota_exhausted");
  request.suggested_port = ports_of(id)[0];
  EXPECT_EQ(refused(request), "port_taken") << "another number would not help, but this one is what was asked for";
}

TEST_F(MappingTest, ARenewalKeepsNumberAndConnections) {
  const auto id = connected(account("alice"), "laptop");
  const auto first = map(wish(id, tcp, 6881));
  now += 1800s;
  const auto again = map(wish(id, tcp, 6881, 10001));
  EXPECT_EQ(again.on, first.on) << "whatever it suggests";
  EXPECT_EQ(again.generation, first.generation);
  EXPECT_EQ(again.deadline, now + 3600s);
}

TEST_F(MappingTest, WithoutRenewalThePortLeadsWhereItLedBefore) {
  const auto id = connected(account("alice"), "laptop");
  const auto mapped = map(wish(id, tcp, 6881));
  pass(3599s);
  EXPECT_EQ(lease_at(mapped.on.port).local_port, Port{6881});
  pass(1s);
  EXPECT_EQ(lease_at(mapped.on.port).local_port, mapped.on.port);
  EXPECT_FALSE(lease_at(mapped.on.port).mapping);
  EXPECT_NE(lease_at(mapped.on.port).generation, mapped.generation) << "flows to the program are cut";
  EXPECT_EQ(lease_at(mapped.on.port).kind, LeaseKind::automatic);
}

TEST_F(MappingTest, EvenWhereItLedToItselfTheKernelHasEndedIt) {
  const auto id = connected(account("alice"), "laptop");
  const auto port = ports_of(id)[1];
  const auto before = lease_at(port);
  auto request = wish(id, tcp, port.value());
  request.lifetime = 60s;
  const auto mapped = map(request);
  EXPECT_EQ(mapped.on.port, port) << "the number that the program listens on";
  EXPECT_EQ(mapped.generation, before.generation) << "what flows goes on";
  EXPECT_EQ(mapped.deadline, now + 60s);
  pass(60s);
  EXPECT_NE(lease_at(port).generation, mapped.generation);
  EXPECT_GT(lease_at(port).deadline, now);
}

TEST_F(MappingTest, LifetimesAreBroughtInsideTheLimits) {
  const auto id = connected(account("alice"), "laptop");
  auto request = wish(id, tcp, 6881);
  request.lifetime = 1s;
  EXPECT_EQ(map(request).deadline, now + 60s);
  request.lifetime = std::chrono::seconds(0xffffffffLL);
  EXPECT_EQ(map(request).deadline, now + 24h);
}

TEST_F(MappingTest, AfterTheGrantComesWhatThePlanStillAllows) {
  const auto bob = account("bob", "business");
  const auto id = connected(bob, "server");
  for (std::uint16_t n = 0; n < 5; ++n) EXPECT_EQ(map(wish(id, tcp, static_cast<std::uint16_t>(2000 + n))).kind, LeaseKind::automatic);
  const auto more = map(wish(id, tcp, 3000));
  EXPECT_EQ(more.kind, LeaseKind::requested);
  EXPECT_EQ(more.local_port, Port{3000});
  EXPECT_EQ(more.mapping->internal_port, Port{3000});
  EXPECT_EQ(book.ports_held(bob), 6U);
  const auto twin = map(wish(id, udp, 3000));
  EXPECT_EQ(twin.on.port, more.on.port);
  EXPECT_EQ(book.ports_held(bob), 6U) << "TCP and UDP of one number count once";
  pass(3600s);
  EXPECT_EQ(book.lease(more.on), nullptr);
  EXPECT_EQ(book.ports_held(bob), 5U);
}

TEST_F(MappingTest, APlanWithPortChoiceGetsTheSuggestedNumber) {
  const auto id = connected(account("bob", "business"), "server");
  for (std::uint16_t n = 0; n < 5; ++n) map(wish(id, tcp, static_cast<std::uint16_t>(2000 + n)));
  EXPECT_EQ(map(wish(id, tcp, 3000, 10090)).on.port, Port{10090});
  EXPECT_EQ(map(wish(id, tcp, 10091)).on.port, Port{10091}) << "or the one that it listens on";
  EXPECT_NE(map(wish(id, tcp, 3001, 443)).on.port, Port{443});
}

TEST_F(MappingTest, TheQuotaIsTheAccounts) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  for (std::uint16_t n = 0; n < 5; ++n) map(wish(id, tcp, static_cast<std::uint16_t>(2000 + n)));
  EXPECT_EQ(refused(wish(id, tcp, 3000)), "quota_exhausted");
  // The other protocol of these numbers is still theirs.
  for (std::uint16_t n = 0; n < 5; ++n) map(wish(id, udp, static_cast<std::uint16_t>(4000 + n)));
  EXPECT_EQ(refused(wish(id, udp, 3000)), "quota_exhausted");
  EXPECT_EQ(book.ports_held(alice), 5U);
}

TEST_F(MappingTest, OnlyTheSuggestedNumberOrNone) {
  const auto id = connected(account("alice"), "laptop");
  const auto stranger = connected(account("bob"), "phone");
  auto request = wish(id, tcp, 6881, ports_of(id)[0].value());
  request.only_suggested = true;
  EXPECT_EQ(map(request).on.port, ports_of(id)[0]);
  auto second = wish(id, tcp, 7000, ports_of(id)[0].value());
  second.only_suggested = true;
  EXPECT_EQ(refused(second), "port_taken");
  second.suggested_port = ports_of(stranger)[0];
  EXPECT_EQ(refused(second), "port_choice_not_allowed") << "as of a number that nobody has";
  second.suggested_port = Port{443};
  EXPECT_EQ(refused(second), "port_outside_pool");
}

TEST_F(MappingTest, WhatWasSetByHandIsLeftAlone) {
  const auto id = connected(account("alice"), "laptop");
  const auto ports = ports_of(id);
  for (const auto port : ports) act(book.set_lease({"main", tcp, port}, Port{80}, now));
  EXPECT_EQ(refused(wish(id, tcp, 6881, ports[0].value())), "quota_exhausted");
  EXPECT_EQ(lease_at(ports[0]).local_port, Port{80});
}

TEST_F(MappingTest, ToThePublicNumberWhateverTheInternalPort) {
  const auto id = connected(account("alice"), "laptop");
  auto request = wish(id, udp, 1);
  request.to_public_number = true;
  request.lifetime = 60s;
  const auto over_udp = map(request);
  request.protocol = tcp;
  const auto over_tcp = map(request);
  EXPECT_EQ(over_udp.on.port, over_tcp.on.port);
  EXPECT_EQ(over_tcp.local_port, over_tcp.on.port);
  EXPECT_EQ(over_tcp.mapping->internal_port, Port{1});
  for (int n = 0; n < 10; ++n) {
    pass(45s);
    EXPECT_EQ(map(request), lease_at(over_tcp.on.port));
    EXPECT_EQ(lease_at(over_tcp.on.port).generation, over_tcp.generation);
  }
}

TEST_F(MappingTest, EndsByDeletionWithItsNonce) {
  const auto id = connected(account("alice"), "laptop");
  auto request = wish(id, tcp, 6881);
  request.door = Door::pcp;
  request.nonce = {1, 2, 3};
  const auto mapped = map(request);
  auto ending = end(id);
  ending.protocol = tcp;
  ending.internal_port = Port{6881};
  ending.nonce = Nonce{9};
  const auto refusal = book.end_mappings(ending, now);
  ASSERT_FALSE(refusal);
  EXPECT_EQ(refusal.error().code, "nonce_mismatch");
  ending.nonce = request.nonce;
  EXPECT_EQ(act(book.end_mappings(ending, now)), 1U);
  EXPECT_EQ(lease_at(mapped.on.port).local_port, mapped.on.port);
  EXPECT_EQ(act(book.end_mappings(ending, now)), 0U) << "twice is no error";
}

TEST_F(MappingTest, DeletesOnlyTheDevicesOwn) {
  const auto bob = account("bob", "business");
  const auto server = connected(bob, "server");
  const auto laptop = connected(bob, "laptop");
  for (std::uint16_t n = 0; n < 8; ++n) map(wish(server, tcp, static_cast<std::uint16_t>(2000 + n)));
  map(wish(laptop, tcp, 2000));
  auto by_upnp = wish(server, tcp, 2100);
  by_upnp.door = Door::upnp;
  map(by_upnp);
  auto ending = end(server);
  ending.door = Door::nat_pmp;
  EXPECT_EQ(act(book.end_mappings(ending, now)), 8U);
  EXPECT_EQ(book.mappings_of(server).size(), 1U);
  EXPECT_EQ(book.mappings_of(laptop).size(), 1U);
}

TEST_F(MappingTest, EndsWithTheConnection) {
  const auto id = connected(account("bob", "business"), "server");
  for (std::uint16_t n = 0; n < 7; ++n) map(wish(id, tcp, static_cast<std::uint16_t>(2000 + n)));
  disconnect(id);
  EXPECT_TRUE(book.mappings_of(id).empty());
  EXPECT_EQ(refused(wish(id, tcp, 2000)), "not_connected");
  connect(id);
  EXPECT_TRUE(book.mappings_of(id).empty());
  for (const auto port : ports_of(id)) EXPECT_EQ(lease_at(port).local_port, port);
}

TEST_F(MappingTest, WithoutALifetimeItLivesWithTheConnection) {
  const auto id = connected(account("alice"), "laptop");
  auto request = wish(id, tcp, 6881);
  request.while_connected = true;
  const auto mapped = map(request);
  pass(10h);
  EXPECT_EQ(lease_at(mapped.on.port).local_port, Port{6881});
  EXPECT_EQ(lease_at(mapped.on.port).generation, mapped.generation);
  disconnect(id);
  EXPECT_EQ(lease_at(mapped.on.port).local_port, mapped.on.port);
}

TEST_F(MappingTest, ContiguousPortsWithParity) {
  const auto id = connected(account("bob", "business"), "server");
  auto request = wish(id, udp, 5004);
  request.count = 4;
  const auto leases = act(book.map(request, now));
  ASSERT_EQ(leases.size(), 4U);
  EXPECT_EQ(leases[0].on.port.value() % 2, 0);
  for (std::uint16_t n = 0; n < 4; ++n) {
    EXPECT_EQ(leases[n].on.port.value(), leases[0].on.port.value() + n);
    EXPECT_EQ(leases[n].local_port.value(), 5004 + n);
    EXPECT_EQ(leases[n].mapping->internal_port.value(), 5004 + n);
  }
  EXPECT_EQ(act(book.map(request, now)).at(0).on, leases[0].on) << "renewed whole";
}

TEST_F(MappingTest, FewerWhereThereAreNoMore) {
  const auto id = connected(account("alice"), "laptop");
  auto request = wish(id, udp, 5000);
  request.count = 64;
  const auto leases = act(book.map(request, now));
  EXPECT_GE(leases.size(), 1U);
  EXPECT_LE(leases.size(), 5U);
}

TEST_F(MappingTest, NothingForTheSuspendedOrImpossible) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  EXPECT_EQ(refused(wish(id, tcp, 0)), "port_zero");
  EXPECT_EQ(refused(wish(DeviceId{77}, tcp, 1)), "device_unknown");
  auto past_end = wish(id, tcp, 65535);
  past_end.count = 2;
  EXPECT_EQ(refused(past_end), "request_empty");
  map(wish(id, tcp, 6881));
  act(book.set_account(alice, std::nullopt, true, now));
  EXPECT_TRUE(book.mappings_of(id).empty());
  EXPECT_EQ(refused(wish(id, tcp, 6881)), "account_suspended");
}

// Whatever programs ask for: `act` compares book, redirect and records after every step.
TEST_F(MappingTest, RandomWishesKeepEveryInvariant) {
  std::mt19937 random(20261121);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  const std::array devices{connected(account("alice"), "laptop"), connected(account("bob", "business"), "server"),
                           connected(book.account("bob")->id, "phone")};
  std::size_t granted = 0;
  for (int step = 0; step < 4'000; ++step) {
    const auto id = devices[below(devices.size())];
    switch (below(8)) {
      case 0:
        pass(std::chrono::seconds(below(600)));
        break;
      case 1: {
        auto ending = end(id);
        if (below(2) == 0) ending.protocol = below(2) == 0 ? tcp : udp;
        if (below(4) != 0) ending.internal_port = Port{static_cast<std::uint16_t>(2000 + below(12))};
        if (below(4) == 0) ending.nonce = Nonce{static_cast<std::uint8_t>(below(2))};
        if (auto ended = book.end_mappings(ending, now)) act(ended->transaction);
        break;
      }
      case 2:
        if (below(4) == 0) {
          disconnect(id);
          connect(id);
        }
        break;
      default: {
        auto request = wish(id, below(2) == 0 ? tcp : udp, static_cast<std::uint16_t>(2000 + below(12)));
        if (below(3) == 0) request.suggested_port = Port{static_cast<std::uint16_t>(10000 + below(100))};
        request.only_suggested = request.suggested_port && below(2) == 0;
        request.to_public_number = below(4) == 0;
        request.while_connected = below(4) == 0;
        request.lifetime = std::chrono::seconds(below(2000));
        request.nonce = {static_cast<std::uint8_t>(below(2))};
        if (below(8) == 0) request.count = static_cast<std::uint16_t>(1 + below(6));
        if (auto decided = book.map(request, now)) {
          ++granted;
          const auto leases = act(std::move(decided));
          for (const auto& lease : leases) ASSERT_EQ(lease_at(lease.on.port, lease.on.protocol), lease);
          ASSERT_EQ(leases[0].mapping->internal_port, request.internal_port);
        }
      }
    }
    if (::testing::Test::HasFatalFailure()) FAIL() << "step " << step;
  }
  EXPECT_GT(granted, 500U);
}

}  // namespace drpf::lease::test
