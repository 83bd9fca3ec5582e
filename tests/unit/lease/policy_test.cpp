#include "book_fixture.h"
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
