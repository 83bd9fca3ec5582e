#include <fmt/core.h>

#include <random>

#include "book_fixture.h"
#include "lease/losses.h"
#include "lease/port_set.h"

namespace drpf::lease::test {

namespace {
std::string fault(const Policy& policy) {
  const auto sound = validate(policy);
  return sound ? "" : sound.error().message;
}
}  // namespace

TEST(PolicyValidation, NamesTheFault) {
  EXPECT_EQ(fault(small_policy()), "");
  auto shared = small_policy();
  shared.hosts.push_back(shared.hosts[0]);
  shared.hosts[1].name = "second";
  EXPECT_EQ(fault(shared), "public hosts main and second share the address 198.51.100.1");
  auto inside = small_policy();
  inside.hosts[0].v4 = *parse_address("10.77.0.9");
  EXPECT_EQ(fault(inside), "public host main has the address 10.77.0.9, which lies inside the tunnel");
  auto plan = small_policy();
  plan.default_plan = "gold";
  EXPECT_EQ(fault(plan), "the default plan gold does not exist");
  auto narrow = small_policy();
  narrow.tunnel_v6 = *parse_prefix("fd77::/124");
  EXPECT_EQ(fault(narrow), "the tunnel prefix fd77::/124 is smaller than 10.77.0.0/24");
  auto zero = small_policy();
  zero.pool = PortRange(Port{0}, Port{10});
  EXPECT_EQ(fault(zero), "the pool begins with port 0");
  auto short_rest = small_policy();
  short_rest.quarantine = 119s;
  EXPECT_EQ(fault(short_rest), "a quarantine of 119 s is too short");
}

TEST_F(BookTest, NamesAreCheckedAndUnique) {
  for (const auto* name : {"", "Alice", "-a", ".a", "a b", "a/b", "\xc3\xa4"})
    EXPECT_EQ(book.add_account(name, std::nullopt).error().code, "name_invalid") << name;
  EXPECT_EQ(book.add_account(std::string(64, 'a'), std::nullopt).error().code, "name_invalid");
  EXPECT_TRUE(book.add_account(std::string(63, 'a'), std::nullopt));
  const auto alice = account("alice");
  EXPECT_EQ(book.add_account("alice", std::nullopt).error().code, "name_taken");
  EXPECT_EQ(book.add_account("bob", "gold").error().code, "plan_unknown");
  device(alice, "laptop");
  EXPECT_EQ(book.add_device(account("bob"), "laptop").error().code, "name_taken");
  EXPECT_EQ(book.add_device(AccountId{99}, "x").error().code, "account_unknown");
}

TEST_F(BookTest, TunnelAddressesSkipTheGatewaysAndAreNotReusedSoon) {
  const auto alice = account("alice", "business");
  const auto first = device(alice, "d0");
  EXPECT_EQ(to_string(book.device(first)->tunnel_v4), "10.77.0.2");
  EXPECT_EQ(to_string(*book.device(first)->tunnel_v6), "fd77::2");
  act(book.remove_device(first, now));
  for (int i = 1; i < 253; ++i) device(alice, "d" + std::to_string(i));
  EXPECT_EQ(to_string(book.device("d1")->tunnel_v4), "10.77.0.3");
  EXPECT_EQ(to_string(book.device("d252")->tunnel_v4), "10.77.0.254");
  const auto wrapped = device(alice, "d253");
  EXPECT_EQ(to_string(book.device(wrapped)->tunnel_v4), "10.77.0.2");
  EXPECT_EQ(book.add_device(alice, "d254").error().code, "addresses_exhausted");
  EXPECT_EQ(book.device_at(*parse_address("fd77::3")), book.device("d1"));
}

TEST_F(BookTest, LimitsOnAccountsAndDevices) {
  auto policy = small_policy();
  policy.accounts_max = 1;
  policy.devices_per_account_max = 1;
  book.adopt(policy);
  const auto alice = account("alice");
  device(alice, "laptop");
  EXPECT_EQ(book.add_account("bob", std::nullopt).error().code, "account_limit");
  EXPECT_EQ(book.add_device(alice, "phone").error().code, "device_limit");
}

TEST_F(BookTest, ANewPublicAddressMovesTheLeases) {
  const auto id = connected(account("alice"), "laptop");
  const auto generation = lease_at(ports_of(id)[0]).generation;
  auto policy = small_policy();
  policy.hosts[0].v4 = *parse_address("198.51.100.99");
  const auto transaction = book.reconfigure(policy, now);
  book.apply(transaction);
  book.adopt(policy);
  redirect.carry_out(transaction);
  redirect.expect_equal(book.redirections());
  EXPECT_EQ(transaction.remove.size(), 20U);
  EXPECT_EQ(transaction.install.size(), 20U);
  EXPECT_NE(lease_at(ports_of(id)[0]).generation, generation);
  EXPECT_TRUE(book.reconfigure(policy, now).empty()) << "the same policy again changes nothing";
}

TEST_F(BookTest, PortsThatBecomeReservedOrLeaveThePoolEnd) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  const auto ports = ports_of(id);
  auto policy = small_policy();
  policy.reserved = {PortRange(ports[1], ports[2])};
  act(book.reconfigure(policy, now));
  book.adopt(policy);
  EXPECT_EQ(ports_of(id), (std::vector<Port>{ports[0], ports[3], ports[4]}));
  policy.hosts[0].name = "other";
  policy.hosts[0].v4 = *parse_address("198.51.100.2");
  policy.hosts[0].v6 = *parse_address("2001:db8::2");
  const auto gone = book.reconfigure(policy, now);
  book.apply(gone);
  book.adopt(policy);
  redirect.carry_out(gone);
  EXPECT_TRUE(ports_of(id).empty());
  EXPECT_TRUE(book.redirections().empty());
  EXPECT_EQ(book.ports_held(alice), 0U);
  EXPECT_FALSE(connect(id));
  EXPECT_EQ(book.leases_of(id)[0]->on.host, "other");
}

TEST_F(BookTest, APortOnWhichAProgramOfTheHostListensIsNotGivenAnewAndTakenFromNobody) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  const auto before = book.state();
  auto policy = small_policy();
  for (const auto port : ports_of(id)) policy.occupied.push_back(port);
  policy.occupied.push_back(Port{10099});
  const auto transaction = book.reconfigure(policy, now);
  EXPECT_TRUE(transaction.empty());
  act(transaction);
  book.adopt(policy);
  EXPECT_EQ(book.state().leases, before.leases);
  EXPECT_EQ(book.state().grants, before.grants);
  EXPECT_EQ(refused(request(device(account("bob"), "phone"), 10099)), "port_occupied");
  // Away and back: they are still its own.
  const auto ports = ports_of(id);
  disconnect(id);
  EXPECT_FALSE(connect(id));
  EXPECT_EQ(ports_of(id), ports);
}

TEST_F(BookTest, AHostThatOnlyHasAnotherNameKeepsItsLeases) {
  const auto alice = account("alice", "business");
  const auto id = connected(alice, "laptop");
  const auto fixed = device(alice, "server");
  act(book.add_lease(
      [&] {
        auto wish = request(fixed);
        wish.kind = LeaseKind::fixed;
        return wish;
      }(),
      now));
  act(book.remove_lease({"main", Protocol::tcp, ports_of(id)[4]}, now));
  act(book.remove_lease({"main", Protocol::udp, ports_of(id)[3]}, now));
  act(book.add_lease(request(id, 10050), now));
  const auto before = book.state();
  const auto in_the_kernel = book.redirections();

  auto policy = small_policy();
  policy.hosts[0].name = "first";
  policy.hosts.push_back({"second", *parse_address("198.51.100.2"), std::nullopt});
  const auto renamed = book.reconfigure(policy, now);
  EXPECT_TRUE(renamed.remove.empty() && renamed.install.empty() && renamed.renew.empty()) << "no visitor notices";
  book.apply(renamed);
  book.adopt(policy);
  ASSERT_TRUE(validate(book.state()));
  EXPECT_EQ(book.redirections(), in_the_kernel);
  EXPECT_TRUE(book.reconfigure(policy, now).empty());
  for (const auto* lease : book.leases()) EXPECT_EQ(lease->on.host, "first");
  for (const auto* resting : book.quarantines()) EXPECT_EQ(resting->host, "first");

  // And back again, as if nothing had been.
  book.apply(book.reconfigure(small_policy(), now));
  book.adopt(small_policy());
  redirect.expect_equal(book.redirections());
  EXPECT_EQ(book.state().grants, before.grants);
  EXPECT_EQ(book.state().leases, before.leases);
  EXPECT_EQ(book.state().quarantines, before.quarantines);
}

TEST_F(BookTest, WhatAPolicyWouldTakeIsListed) {
  const auto id = connected(account("alice"), "laptop");
  const auto ports = ports_of(id);
  auto policy = small_policy();
  const auto lost = [&] { return losses(book, book.reconfigure(policy, now)); };
  const auto refusal = [&] { return refuse_losses(book, book.reconfigure(policy, now)); };
  EXPECT_TRUE(lost().empty());
  policy.hosts[0] = {"first", small_policy().hosts[0].v4, *parse_address("2001:db8::9")};
  policy.occupied = ports;
  EXPECT_TRUE(refusal()) << "another name, another address, a program on the port: nobody loses anything";

  policy.reserved = {PortRange(ports[1])};
  const Losses expected{{{{"main", Protocol::tcp, ports[1]}, "alice", "laptop"}, {{"main", Protocol::udp, ports[1]}, "alice", "laptop"}},
                        {}};
  EXPECT_EQ(lost().leases, expected.leases);
  EXPECT_EQ(refusal().error().code, "change_ends_leases");
  EXPECT_EQ(refusal().error().message, fmt::format("it would end 2 leases: port {0}/tcp of host main (device laptop of account "
                                                   "alice), port {0}/udp of host main (device laptop of account alice)",
                                                   to_string(ports[1])));
  policy.hosts = {{"elsewhere", *parse_address("198.51.100.8"), std::nullopt}};
  EXPECT_EQ(lost().leases.size(), 10U);
  policy.hosts[0].v4 = *parse_address("198.51.100.9");
  policy.tunnel_v6.reset();
  EXPECT_EQ(lost().devices, (std::vector<Losses::MovingDevice>{{"alice", "laptop", *parse_address("fd77::2"), std::nullopt}}));
  EXPECT_TRUE(refusal().error().message.ends_with(", and 1 more")) << refusal().error().message;
  policy.tunnel_v4 = *parse_prefix("10.99.0.0/24");
  EXPECT_EQ(lost().devices,
            (std::vector<Losses::MovingDevice>{{"alice", "laptop", *parse_address("10.77.0.2"), *parse_address("10.99.0.2")}}));
}

TEST_F(BookTest, AnAddressMayChangeTogetherWithTheName) {
  const auto id = connected(account("alice"), "laptop");
  auto policy = small_policy();
  policy.hosts[0].name = "first";
  policy.hosts[0].v4 = *parse_address("198.51.100.9");  // the IPv6 address tells that it is the same
  const auto moved = book.reconfigure(policy, now);
  book.apply(moved);
  book.adopt(policy);
  redirect.carry_out(moved);
  redirect.expect_equal(book.redirections());
  EXPECT_EQ(book.leases_of(id).size(), 10U);
}

// At a start the book knows the names alone.
TEST_F(BookTest, AtAStartTheFirstHostTakesThePlaceOfTheOneThatNobodyNamed) {
  const auto id = connected(account("alice"), "laptop");
  auto policy = small_policy();
  policy.hosts[0].name = "first";
  policy.hosts.push_back({"second", *parse_address("198.51.100.2"), std::nullopt});
  LeaseBook started(policy, book.state());
  started.apply(started.reconfigure(policy, now));
  EXPECT_EQ(started.leases_of(id).size(), 10U);
  EXPECT_EQ(started.redirections(), book.redirections());

  LeaseBook again(small_policy(), started.state());
  again.apply(again.reconfigure(small_policy(), now));
  EXPECT_EQ(again.leases_of(id).size(), 10U);
  EXPECT_EQ(again.redirections(), book.redirections());
}

TEST_F(BookTest, AHostThatHoldsLeasesOfItsOwnInheritsNone) {
  auto policy = small_policy();
  policy.hosts.push_back({"second", *parse_address("198.51.100.2"), std::nullopt});
  book.adopt(policy);
  const auto id = connected(account("alice", "business"), "laptop");
  auto wish = request(id, 10000);
  wish.host = book.leases_of(id)[0]->on.host == "main" ? "second" : "main";
  act(book.add_lease(wish, now));
  auto next = policy;
  next.hosts.erase(next.hosts.begin());
  next.hosts[0].v4 = policy.hosts[0].v4;
  const auto transaction = book.reconfigure(next, now);
  book.apply(transaction);
  book.adopt(next);
  EXPECT_TRUE(validate(book.state()));
  for (const auto* lease : book.leases()) EXPECT_EQ(lease->on.host, "second");
}

TEST(TunnelAddresses, APrefixThatComesBackGivesEveryDeviceItsOldAddress) {
  const auto seed = std::random_device{}();
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    auto policy = small_policy();
    LeaseBook book(policy, State{});
    const auto account = *book.add_account("alice", "business");
    book.apply(account.transaction);
    std::vector<DeviceId> devices;
    for (int i = 0; i < 120; ++i) {
      const auto added = book.add_device(account.value.id, "d" + std::to_string(i));
      book.apply(added->transaction);
      if (random() % 3 == 0)
        book.apply(*book.remove_device(added->value.id, Time{1s}));
      else
        devices.push_back(added->value.id);
    }
    const auto first = book.state().devices;
    const auto change = [&](const Policy& next) {
      // Now while it runs, now over a start.
      if (random() % 2 == 0) book = LeaseBook(next, book.state());
      book.apply(book.reconfigure(next, Time{2s}));
      book.adopt(next);
      ASSERT_TRUE(validate(book.state()));
      for (const auto* device : book.devices()) ASSERT_TRUE(next.tunnel_v4.contains(device->tunnel_v4));
    };
    for (auto changes = 1 + random() % 6; changes > 0; --changes) {
      auto next = policy;
      const auto length = 8 + random() % 17;
      next.tunnel_v4 = Prefix(Address::v4(10U << 24 | static_cast<std::uint32_t>(random()) % (1U << 24)), static_cast<unsigned>(length));
      if (random() % 3 == 0)
        next.tunnel_v6.reset();
      else
        next.tunnel_v6 = parse_prefix("fd00:" + std::to_string(random() % 9999) + "::/64").value();
      change(next);
    }
    change(policy);
    ASSERT_EQ(book.state().devices, first) << "seed " << seed << ", round " << round;
  }
}

TEST_F(BookTest, NobodyGetsThePortsOfASuspendedAccount) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  const auto ports = ports_of(id);
  act(book.remove_lease({"main", Protocol::tcp, ports[4]}, now));
  act(book.remove_lease({"main", Protocol::udp, ports[4]}, now));
  disconnect(id);
  act(book.set_account(alice, std::nullopt, true, now));
  pass(std::chrono::hours(24 * 365));
  const auto phone = device(account("bob"), "phone");
  EXPECT_EQ(refused(request(phone, ports[0].value())), "port_taken");
  EXPECT_EQ(refused(request(phone, ports[4].value())), "port_quarantined");
  act(book.set_account(alice, std::nullopt, false, now));
  pass(Policy{}.grace - 1s);
  connect(id);
  EXPECT_EQ(std::vector(ports.begin(), ports.begin() + 4), ports_of(id));
  pass(Policy{}.quarantine);
  EXPECT_EQ(refused(request(phone, ports[4].value())), "granted");
}

TEST_F(BookTest, ThePortsOfASuspendedAccountThatIsRemovedRestAndBecomeFree) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  const auto ports = ports_of(id);
  act(book.remove_lease({"main", Protocol::tcp, ports[4]}, now));
  act(book.remove_lease({"main", Protocol::udp, ports[4]}, now));
  act(book.set_account(alice, std::nullopt, true, now));
  pass(std::chrono::hours(24));
  act(book.remove_account(alice, now));
  pass(Policy{}.quarantine + 1s);
  EXPECT_TRUE(book.quarantines().empty());
}

TEST_F(BookTest, NewTunnelPrefixesMoveTheDevices) {
  const auto alice = account("alice");
  const auto id = connected(alice, "laptop");
  auto policy = small_policy();
  policy.tunnel_v4 = *parse_prefix("10.99.0.0/24");
  policy.tunnel_v6.reset();
  const auto transaction = book.reconfigure(policy, now);
  book.apply(transaction);
  book.adopt(policy);
  redirect.carry_out(transaction);
  redirect.expect_equal(book.redirections());
  EXPECT_TRUE(policy.tunnel_v4.contains(book.device(id)->tunnel_v4));
  EXPECT_FALSE(book.device(id)->tunnel_v6);
  EXPECT_EQ(book.redirections().size(), 10U);
}

// A connection from the time of the former address is told by its generation alone.
TEST_F(BookTest, NoGenerationOutlivesTheAddressThatItLedTo) {
  const auto id = connected(account("alice"), "laptop");
  auto policy = small_policy();
  const auto adopt = [&] {
    book.apply(book.reconfigure(policy, now));
    book.adopt(policy);
  };
  policy.hosts[0].v4.reset();  // only the IPv6 redirections are left, and the device's IPv6 address stays
  adopt();
  Generation newest{};
  for (const auto* lease : book.leases_of(id)) newest = std::max(newest, lease->generation);
  policy.tunnel_v4 = *parse_prefix("10.99.0.0/16");
  adopt();
  for (const auto* lease : book.leases_of(id)) EXPECT_GT(lease->generation, newest);
}

TEST(StateValidation, RefusesABookThatContradictsItself) {
  LeaseBook book(small_policy(), State{});
  const auto alice = *book.add_account("alice", std::nullopt);
  book.apply(alice.transaction);
  book.apply(book.add_device(alice.value.id, "laptop")->transaction);
  book.apply(book.connect(book.device("laptop")->id, Time{1s})->transaction);
  const auto sound = book.state();
  ASSERT_TRUE(validate(sound));
  const auto refused = [&](auto&& spoil) {
    auto state = sound;
    spoil(state);
    return !validate(state);
  };
  EXPECT_TRUE(refused([](State& state) { state.devices[0].account = AccountId{77}; }));
  EXPECT_TRUE(refused([](State& state) { state.devices[0].connected = false; }));
  EXPECT_TRUE(refused([](State& state) { state.accounts[0].suspended = true; }));
  EXPECT_TRUE(refused([](State& state) { state.leases[0].grant = GrantId{77}; }));
  EXPECT_TRUE(refused([](State& state) { state.leases[0].generation = state.leases[1].generation; }));
  EXPECT_TRUE(refused([](State& state) { state.leases[0].local_port = Port{0}; }));
  EXPECT_TRUE(refused([](State& state) { state.leases.push_back(state.leases[0]); }));
  EXPECT_TRUE(refused([](State& state) { state.grants.push_back(state.grants[0]); }));
  EXPECT_TRUE(refused([](State& state) { state.next_id = 1; }));
  EXPECT_TRUE(refused([](State& state) {
    state.quarantines.push_back({"main", PortRange(state.grants[0].ports.last(), Port{65535}), AccountId{1}, Time{}});
  }));
}

TEST(PortSets, FindRunsAcrossWordEdges) {
  PortSet set;
  EXPECT_FALSE(set.first_run(PortRange(Port{1}, Port{65535}), 1));
  set.insert(PortRange(Port{60}, Port{70}));
  set.insert(PortRange(Port{65530}, Port{65535}));
  EXPECT_EQ(set.size(), 17U);
  EXPECT_EQ(set.first_run(PortRange(Port{1}, Port{65535}), 11), PortRange(Port{60}, Port{70}));
  EXPECT_FALSE(set.first_run(PortRange(Port{61}, Port{65535}), 11));
  EXPECT_EQ(set.first_run(PortRange(Port{71}, Port{65535}), 6), PortRange(Port{65530}, Port{65535}));
  EXPECT_FALSE(set.first_run(PortRange(Port{71}, Port{65534}), 6));
  set.erase(PortRange(Port{64}));
  EXPECT_EQ(set.first_run(PortRange(Port{1}, Port{65535}), 5), PortRange(Port{65}, Port{69}));
}

}  // namespace drpf::lease::test
