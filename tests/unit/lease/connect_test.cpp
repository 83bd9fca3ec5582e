#include "book_fixture.h"

namespace drpf::lease::test {

TEST_F(BookTest, FirstConnectGivesOneContiguousRangeForBothProtocols) {
  const auto id = connected(account("alice"), "laptop");
  const auto ports = ports_of(id);
  ASSERT_EQ(ports.size(), 5U);
  for (std::size_t i = 0; i < ports.size(); ++i) EXPECT_EQ(ports[i].value(), ports[0].value() + i);
  EXPECT_EQ(book.leases_of(id).size(), 10U);
  EXPECT_EQ(book.redirections().size(), 20U) << "v4 and v6";
  for (const auto* lease : book.leases_of(id)) {
    EXPECT_EQ(lease->local_port, lease->on.port);
    EXPECT_EQ(lease->state, LeaseState::active);
    EXPECT_EQ(lease->deadline, now + 1h);
  }
  EXPECT_EQ(book.ports_held(book.account("alice")->id), 5U);
  EXPECT_EQ(book.ports_free(), 95U);
}

TEST_F(BookTest, DisconnectEndsRedirectsAndReconnectBringsTheSamePortsWithNewGenerations) {
  const auto id = connected(account("alice"), "laptop");
  const auto before = ports_of(id);
  const auto generation = lease_at(before[0]).generation;
  disconnect(id);
  EXPECT_TRUE(book.redirections().empty());
  EXPECT_EQ(lease_at(before[0]).state, LeaseState::held);
  pass(23h);
  EXPECT_FALSE(connect(id));
  EXPECT_EQ(ports_of(id), before);
  EXPECT_GT(lease_at(before[0]).generation, generation);
  EXPECT_EQ(book.redirections().size(), 20U);
}

TEST_F(BookTest, ASecondConnectChangesNothing) {
  const auto id = connected(account("alice"), "laptop");
  EXPECT_TRUE(book.connect(id, now + 1min)->transaction.empty());
  const auto later = book.connect(id, now + 31min);
  EXPECT_TRUE(later->transaction.install.empty());
  EXPECT_EQ(later->transaction.renew.size(), 20U);
}

TEST_F(BookTest, PortsRestAfterTheGraceAndOnlyTheirLastHolderHasThemBackAtOnce) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  const auto before = ports_of(id);
  disconnect(id);
  pass(24h);
  ASSERT_EQ(book.quarantines().size(), 1U);
  const auto bob = device(account("bob", "business"), "desk");
  EXPECT_EQ(refused(request(bob, before[2].value())), "port_quarantined");
  pass(599s);
  EXPECT_EQ(refused(request(bob, before[2].value())), "port_quarantined");
  EXPECT_FALSE(connect(id));
  EXPECT_EQ(ports_of(id), before);
  EXPECT_TRUE(book.quarantines().empty());
  disconnect(id);
  pass(24h + 600s);
  EXPECT_EQ(refused(request(bob, before[2].value())), "granted");
}

TEST_F(BookTest, QuarantineIsNeverShorterThanItsMinimum) {
  auto policy = small_policy();
  policy.quarantine = 1s;
  EXPECT_FALSE(validate(policy));
  book.adopt(policy);
  const auto id = connected(account("alice"), "laptop");
  act(book.remove_device(id, now));
  ASSERT_EQ(book.quarantines().size(), 1U);
  EXPECT_EQ(book.quarantines()[0]->until, now + Policy::quarantine_min);
}

TEST_F(BookTest, QuotaLeavesASecondDeviceWithoutPortsAndSaysWhy) {
  const auto alice = account("alice");
  connected(alice, "laptop");
  const auto second = device(alice, "phone");
  const auto shortfall = connect(second);
  ASSERT_TRUE(shortfall);
  EXPECT_EQ(shortfall->code, "quota_exhausted");
  EXPECT_NE(shortfall->message.find("account alice holds 5 of 5 ports of plan personal"), std::string::npos) << shortfall->message;
  EXPECT_TRUE(book.device(second)->connected);
  EXPECT_TRUE(ports_of(second).empty());
}

TEST_F(BookTest, QuotaGivesWhatIsLeft) {
  const auto alice = account("alice");
  const auto first = device(alice, "laptop");
  act(book.add_lease(request(first, 10010), now));
  const auto shortfall = connect(first);
  ASSERT_TRUE(shortfall);
  EXPECT_EQ(ports_of(first).size(), 5U);
}

TEST_F(BookTest, ExhaustedPoolAndBrokenPoolAreToldApart) {
  const auto big = account("big", "business");
  const auto holder = device(big, "holder");
  for (std::uint16_t port = 10002; port < 10100; port += 5) {
    if (book.ports_held(big) >= 20) break;
    act(book.add_lease(request(holder, port), now));
  }
  const auto shortfall = connect(device(account("carol"), "c"));
  ASSERT_TRUE(shortfall);
  EXPECT_EQ(shortfall->code, "no_contiguous_range") << shortfall->message;

  auto policy = book.policy();
  policy.pool = PortRange(Port{10000}, Port{10003});
  act(book.reconfigure(policy, now));
  book.adopt(policy);
  const auto exhausted = connect(device(account("dave"), "d"));
  ASSERT_TRUE(exhausted);
  EXPECT_EQ(exhausted->code, "pool_exhausted") << exhausted->message;
}

TEST_F(BookTest, ASuspendedAccountHasNoRedirectsUntilItIsResumed) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  const auto ports = ports_of(id);
  act(book.set_account(alice, std::nullopt, true, now));
  EXPECT_TRUE(book.redirections().empty());
  EXPECT_EQ(connect(id)->code, "account_suspended");
  EXPECT_TRUE(book.redirections().empty());
  EXPECT_EQ(refused(request(id)), "account_suspended");
  act(book.set_account(alice, std::nullopt, false, now));
  EXPECT_EQ(book.redirections().size(), 20U);
  EXPECT_EQ(ports_of(id), ports);
}

TEST_F(BookTest, RenewalKeepsAConnectedDeviceAndALostTickDisconnectsIt) {
  const auto id = connected(account("alice"), "laptop");
  const auto generation = lease_at(ports_of(id)[0]).generation;
  pass(48h);
  EXPECT_EQ(lease_at(ports_of(id)[0]).generation, generation) << "renewed, not activated anew";
  EXPECT_EQ(book.redirections().size(), 20U);
  now += 2h;  // nobody asked in time: the kernel has ended them
  act(book.tick(now));
  EXPECT_FALSE(book.device(id)->connected);
  EXPECT_TRUE(book.redirections().empty());
  EXPECT_EQ(ports_of(id).size(), 5U);
}

TEST_F(BookTest, ARequestedLeaseThatEndsDoesNotReviveItsNeighboursThatRanOut) {
  const auto id = connected(account("alice"), "laptop");
  const auto port = ports_of(id)[0];
  act(book.remove_lease({"main", Protocol::udp, port}, now));
  auto wish = request(id, port.value());
  wish.kind = LeaseKind::requested;
  wish.tcp = false;
  wish.lifetime = 120s;
  act(book.add_lease(wish, now));
  now += 2h;
  EXPECT_TRUE(act(book.tick(now, 1)).renew.empty());
  while (*book.next_deadline() <= now) EXPECT_TRUE(act(book.tick(now, 1)).renew.empty());
  EXPECT_FALSE(book.device(id)->connected);
}

TEST_F(BookTest, ADeviceThatComesBackToLeasesThatRanOutGetsNewGenerations) {
  const auto id = connected(account("alice"), "laptop");
  const auto generation = lease_at(ports_of(id)[0]).generation;
  now += 2h;
  EXPECT_FALSE(connect(id));
  EXPECT_GT(lease_at(ports_of(id)[0]).generation, generation) << "the kernel has ended the old ones";
  EXPECT_EQ(lease_at(ports_of(id)[0]).deadline, now + 1h);
}

TEST_F(BookTest, TickLooksAtNoMoreLeasesThanItIsTold) {
  const auto id = connected(account("alice"), "laptop");
  now += 30min;
  EXPECT_EQ(act(book.tick(now, 4)).renew.size(), 8U);
  EXPECT_LE(*book.next_deadline(), now);
  EXPECT_EQ(act(book.tick(now, 4)).renew.size(), 8U);
  EXPECT_EQ(act(book.tick(now, 4)).renew.size(), 4U);
  EXPECT_GT(*book.next_deadline(), now);
  EXPECT_EQ(lease_at(ports_of(id)[0]).deadline, now + 1h);
}

TEST_F(BookTest, RemovingAnAccountTakesItsDevicesAndRestsTheirPorts) {
  const auto alice = account("alice");
  connected(alice, "laptop");
  act(book.remove_account(alice, now));
  EXPECT_EQ(book.account("alice"), nullptr);
  EXPECT_EQ(book.device("laptop"), nullptr);
  EXPECT_TRUE(book.redirections().empty());
  EXPECT_EQ(book.quarantines().size(), 1U);
  pass(600s);
  EXPECT_EQ(book.ports_free(), 100U);
}

TEST_F(BookTest, GenerationsSkipZeroAndNumbersInUseWhenTheyBeginAgain) {
  const auto id = connected(account("alice"), "laptop");
  auto near_end = book.state();
  near_end.generations_used_to = 0xffffffff;
  for (auto& lease : near_end.leases) lease.generation = Generation{static_cast<std::uint32_t>(lease.generation) + 1};
  LeaseBook wrapped(book.policy(), near_end);
  LeaseRequest wish = request(id);
  wish.local_port = Port{80};
  const auto& lease = *wrapped.leases_of(id)[0];
  const auto transaction = wrapped.set_lease(lease.on, Port{80}, now);
  ASSERT_EQ(transaction->install.size(), 2U);
  EXPECT_EQ(transaction->install[0].generation, Generation{1}) << "2..11 are in use, 0 means none";
  auto at_one = near_end;
  at_one.generations_used_to = 1;
  EXPECT_EQ(LeaseBook(book.policy(), at_one).set_lease(lease.on, Port{80}, now)->install[0].generation, Generation{12});
}

}  // namespace drpf::lease::test
