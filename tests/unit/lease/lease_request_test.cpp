#include "book_fixture.h"

namespace drpf::lease::test {

TEST_F(BookTest, EachRefusalHasItsOwnReason) {
  auto policy = small_policy();
  policy.reserved = {PortRange(Port{10050})};
  book.adopt(policy);
  const auto alice = device(account("alice", "business"), "laptop");
  const auto bob = connected(account("bob"), "phone");
  const auto of_bob = ports_of(bob)[0].value();
  auto zero = request(alice);
  zero.port = Port{0};
  EXPECT_EQ(refused(zero), "port_zero");
  EXPECT_EQ(refused(request(alice, 9999)), "port_outside_pool");
  EXPECT_EQ(refused(request(alice, 443)), "port_outside_pool");
  EXPECT_EQ(refused(request(alice, 65535)), "port_outside_pool");
  EXPECT_EQ(refused(request(alice, 10050)), "port_reserved");
  EXPECT_EQ(refused(request(alice, of_bob)), "port_taken");
  EXPECT_EQ(refused(request(DeviceId{999}, 10001)), "device_unknown");
  auto elsewhere = request(alice, 10001);
  elsewhere.host = "elsewhere";
  EXPECT_EQ(refused(elsewhere), "host_unknown");
  auto too_many = request(alice);
  too_many.count = 61;
  EXPECT_EQ(refused(too_many), "quota_exhausted");
  auto past_end = request(alice, 65530);
  past_end.count = 10;
  EXPECT_EQ(refused(past_end), "port_outside_pool");
  auto nothing = request(alice, 10001);
  nothing.tcp = nothing.udp = false;
  EXPECT_EQ(refused(nothing), "request_empty");
  auto program = request(alice);
  program.kind = LeaseKind::requested;
  EXPECT_EQ(refused(program), "not_connected");
  auto local = request(alice, 10001);
  local.local_port = Port{0};
  EXPECT_EQ(refused(local), "port_zero");
}

// What others have and had is all the same to a device: it learns nothing of them from how it is refused.
TEST_F(BookTest, ADeviceDoesNotLearnWhetherAnotherAccountHasAPort) {
  const auto bob = connected(account("bob"), "phone");
  const auto of_bob = ports_of(bob)[0].value();
  const auto free = static_cast<std::uint16_t>(ports_of(bob).back().value() + 5);
  const auto carol = connected(account("carol"), "desk");
  const auto rests = ports_of(carol)[0].value();
  act(book.remove_lease({"main", Protocol::tcp, Port{rests}}, now));
  act(book.remove_lease({"main", Protocol::udp, Port{rests}}, now));
  const auto told = [&](DeviceId device, std::uint16_t port) {
    auto wish = request(device, port);
    wish.by_administrator = false;
    const auto decided = book.add_lease(wish, now);
    auto text = decided ? std::string("granted") : decided.error().code + ": " + decided.error().message + "; " + decided.error().cure;
    const auto at = text.find(std::to_string(port));
    return at == std::string::npos ? text : text.replace(at, std::to_string(port).size(), "PORT");
  };
  const auto without_choice = device(account("alice"), "laptop");
  EXPECT_EQ(told(without_choice, of_bob), told(without_choice, free));
  EXPECT_EQ(told(without_choice, rests), told(without_choice, free));
  const auto chooses = account("dave", "business");
  const auto with_choice = device(chooses, "tower");
  EXPECT_EQ(told(with_choice, of_bob), told(with_choice, rests));
  EXPECT_EQ(told(with_choice, of_bob), "port_taken: port PORT of host main is not free; choose another port");
  for (int i = 0; i < 60; ++i) act(book.add_lease(request(with_choice), now));
  EXPECT_EQ(told(with_choice, of_bob), told(with_choice, free)) << "the plan is used up";
}

TEST_F(BookTest, OnlyPlansWithPortChoiceNameTheirNumbers) {
  auto personal = request(device(account("alice"), "laptop"), 10001);
  personal.by_administrator = false;
  EXPECT_EQ(refused(personal), "port_choice_not_allowed");
  auto business = request(device(account("bob", "business"), "phone"), 10001);
  business.by_administrator = false;
  EXPECT_EQ(refused(business), "granted");
}

TEST_F(BookTest, ALeaseOnAnOwnPortIsRemappedAndCostsNothing) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  const auto port = ports_of(id)[3];
  const auto old = lease_at(port).generation;
  auto wish = request(id, port.value());
  wish.local_port = Port{110};
  wish.udp = false;
  wish.by_administrator = false;
  const auto leases = act(book.add_lease(wish, now));
  ASSERT_EQ(leases.size(), 1U);
  EXPECT_EQ(leases[0], lease_at(port));
  EXPECT_EQ(lease_at(port).local_port, Port{110});
  EXPECT_EQ(lease_at(port).kind, LeaseKind::fixed);
  EXPECT_NE(lease_at(port).generation, old) << "flows to the old local port are cut";
  EXPECT_EQ(lease_at(port, Protocol::udp).local_port, port);
  EXPECT_EQ(book.ports_held(alice), 5U);
}

TEST_F(BookTest, AFixedLeaseOutlivesTheGraceOfTheRangeItIsIn) {
  const auto id = connected(account("alice"), "laptop");
  const auto ports = ports_of(id);
  auto wish = request(id, ports[2].value());
  wish.local_port = Port{110};
  wish.udp = false;
  act(book.add_lease(wish, now));
  disconnect(id);
  EXPECT_EQ(lease_at(ports[2]).state, LeaseState::held);
  pass(24h);
  ASSERT_EQ(ports_of(id), std::vector<Port>{ports[2]});
  EXPECT_EQ(book.lease({"main", Protocol::udp, ports[2]}), nullptr);
  EXPECT_EQ(book.quarantines().size(), 2U);
  pass(240h);
  EXPECT_EQ(connect(id)->code, "quota_exhausted") << "one port is held, so four more are given";
  EXPECT_EQ(ports_of(id).size(), 5U);
  EXPECT_EQ(lease_at(ports[2]).local_port, Port{110});
}

TEST_F(BookTest, RequestedLeasesEndAtTheirDeadlineAndWithTheConnection) {
  const auto id = connected(account("alice", "business"), "laptop");
  auto wish = request(id, 10090);
  wish.kind = LeaseKind::requested;
  wish.udp = false;
  wish.lifetime = 1s;
  const auto first = act(book.add_lease(wish, now));
  EXPECT_EQ(first[0].deadline, now + Policy::requested_lifetime_min) << "brought inside the limits";
  wish.lifetime = 300s;
  const auto renewed = act(book.add_lease(wish, now + 60s));
  EXPECT_EQ(renewed[0].generation, first[0].generation);
  EXPECT_EQ(renewed[0].deadline, now + 360s);
  pass(360s);
  EXPECT_EQ(book.lease({"main", Protocol::tcp, Port{10090}}), nullptr);
  EXPECT_EQ(book.quarantines().size(), 1U);
  act(book.add_lease(wish, now));
  disconnect(id);
  EXPECT_EQ(book.lease({"main", Protocol::tcp, Port{10090}}), nullptr);
  EXPECT_EQ(ports_of(id).size(), 5U);
}

TEST_F(BookTest, AnAdministratorMakesARequestedPortFixed) {
  const auto id = connected(account("alice", "business"), "laptop");
  auto wish = request(id, 10090);
  wish.kind = LeaseKind::requested;
  wish.count = 3;
  act(book.add_lease(wish, now));
  act(book.add_lease(request(id, 10091), now));
  disconnect(id);
  EXPECT_EQ(book.lease({"main", Protocol::tcp, Port{10090}}), nullptr);
  EXPECT_EQ(lease_at(Port{10091}).kind, LeaseKind::fixed);
  EXPECT_EQ(book.grant(lease_at(Port{10091}).grant)->kind, LeaseKind::fixed);
  pass(240h);
  EXPECT_EQ(lease_at(Port{10091}).state, LeaseState::held);
}

TEST_F(BookTest, RemovingTheLastLeaseOfAPortSendsItToQuarantine) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  const auto ports = ports_of(id);
  act(book.remove_lease({"main", Protocol::tcp, ports[2]}, now));
  EXPECT_TRUE(book.quarantines().empty());
  EXPECT_EQ(book.ports_held(alice), 5U);
  act(book.remove_lease({"main", Protocol::udp, ports[2]}, now));
  ASSERT_EQ(book.quarantines().size(), 1U);
  EXPECT_EQ(book.quarantines()[0]->ports, PortRange(ports[2]));
  EXPECT_EQ(book.ports_held(alice), 4U);
  EXPECT_EQ(book.grants_of(alice).size(), 2U) << "the range is cut in two";
  EXPECT_EQ(book.remove_lease({"main", Protocol::udp, ports[2]}, now).error().code, "lease_unknown");
  act(book.add_lease(request(id, ports[2].value()), now));
  EXPECT_TRUE(book.quarantines().empty()) << "its own account has it back at once";
}

TEST_F(BookTest, ARunOfPortsLeadsToARunOfLocalPorts) {
  const auto id = connected(account("alice", "business"), "laptop");
  auto wish = request(id);
  wish.count = 4;
  wish.local_port = Port{8000};
  const auto leases = act(book.add_lease(wish, now));
  ASSERT_EQ(leases.size(), 8U);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(leases[i].local_port.value(), 8000 + i % 4);
}

TEST_F(BookTest, SetLeaseMovesTheLocalPortUnderANewGeneration) {
  const auto id = connected(account("alice"), "laptop");
  const auto port = ports_of(id)[0];
  const auto before = lease_at(port);
  const auto transaction = act(book.set_lease(before.on, Port{110}, now));
  EXPECT_EQ(transaction.remove.size(), 2U);
  EXPECT_EQ(transaction.install.size(), 2U);
  EXPECT_EQ(lease_at(port).local_port, Port{110});
  EXPECT_EQ(lease_at(port).kind, before.kind);
  EXPECT_TRUE(book.set_lease(before.on, Port{110}, now)->empty());
  EXPECT_EQ(book.set_lease(before.on, Port{0}, now).error().code, "port_zero");
}

// Whoever takes a port and gives it back, again and again, empties no pool.
TEST_F(BookTest, WhatRestsBecauseOfAnAccountIsBoundedByItsPlan) {
  const auto alice = account("alice", "free");
  const auto id = connected(alice, "laptop");
  std::uint32_t taken = 0;
  for (std::uint16_t port = 10000; port < 10100; ++port) {
    auto wish = request(id, port);
    wish.by_administrator = port % 2 == 0;
    const auto given = book.add_lease(wish, now);
    if (!given) {
      EXPECT_EQ(given.error().code, "quota_exhausted");
      EXPECT_NE(given.error().message.find("rest"), std::string::npos) << given.error().message;
      continue;
    }
    ++taken;
    act(given->transaction);
    act(book.remove_lease({"main", Protocol::tcp, Port{port}}, now));
    act(book.remove_lease({"main", Protocol::udp, Port{port}}, now));
  }
  EXPECT_EQ(taken, 10U) << "as many as the plan allows twice";
  EXPECT_EQ(book.ports_resting(alice), 10U);
  EXPECT_EQ(book.ports_free(), 90U);
  const auto bob = connected(account("bob", "free"), "desk");
  EXPECT_EQ(refused(request(bob, 10050)), "granted") << "nobody else feels it";

  // Its own it may have back at once, and others when they have rested.
  for (int i = 0; i < 5; ++i) act(book.add_lease(request(id), now));
  EXPECT_EQ(book.ports_held(alice), 5U);
  EXPECT_EQ(book.ports_resting(alice), 5U);
  EXPECT_EQ(refused(request(id)), "quota_exhausted");
  const auto back = ports_of(id)[0];
  act(book.remove_lease({"main", Protocol::tcp, back}, now));
  act(book.remove_lease({"main", Protocol::udp, back}, now));
  EXPECT_EQ(book.ports_held(alice), 4U);
  EXPECT_EQ(refused(request(id, 10050)), "quota_exhausted");
  pass(600s);
  EXPECT_EQ(book.ports_resting(alice), 0U);
  EXPECT_EQ(refused(request(id, 10050)), "granted");
}

TEST_F(BookTest, MappingsAndAutomaticPortsKeepWithinWhatMayRest) {
  const auto alice = account("alice", "free");
  const auto id = connected(alice, "laptop");
  for (std::uint16_t port = 10000; port < 10020; port += 2) {
    MappingRequest wish;
    wish.device = id;
    wish.internal_port = Port{80};
    wish.suggested_port = Port{port};
    wish.only_suggested = true;
    act(book.map(wish, now));
    MappingEnd end;
    end.device = id;
    act(book.end_mappings(end, now));
  }
  EXPECT_EQ(book.ports_resting(alice), 10U);
  MappingRequest wish;
  wish.device = id;
  wish.internal_port = Port{80};
  wish.suggested_port = Port{10050};
  wish.only_suggested = true;
  EXPECT_EQ(book.map(wish, now).error().code, "quota_exhausted");
  wish.only_suggested = false;
  EXPECT_EQ(act(book.map(wish, now))[0].on.port, Port{10000}) << "one of its own";
  act(book.set_account(alice, "personal", {}, now));
  EXPECT_EQ(connect(device(alice, "phone"))->code, "quota_exhausted") << "five in a row are none of its own";
  pass(600s);
}

}  // namespace drpf::lease::test
