// What every store must do. A store's test file gives a Harness: `open()` returns a store on what the last one left, `reopens` says
// whether anything is left when it is closed.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "lease/lease_book.h"
#include "store/store.h"

namespace drpf::store::conformance {

using namespace std::chrono_literals;

inline ClockReading at(Duration boot, Duration wall, std::string boot_id = "boot-1") {
  return {std::move(boot_id), Time(boot), WallTime(std::chrono::hours(24 * 365 * 50) + wall)};
}

inline lease::Policy policy() {
  lease::Policy policy;
  lease::PublicHost main;
  main.name = "main";
  main.v4 = *parse_address("198.51.100.1");
  policy.hosts = {main};
  lease::Plan plan;
  plan.name = "personal";
  plan.ports_max = 100;
  policy.plans = {plan};
  policy.tunnel_v4 = *parse_prefix("10.77.0.0/16");
  policy.tunnel_v6 = *parse_prefix("fd77::/64");
  return policy;
}

// A stored book is compared as a whole; the order of its lists is the store's own.
inline void expect_equal(lease::State a, lease::State b) {
  for (auto* state : {&a, &b}) {
    std::sort(state->grants.begin(), state->grants.end(), [](const auto& x, const auto& y) { return x.id < y.id; });
    std::sort(state->leases.begin(), state->leases.end(), [](const auto& x, const auto& y) { return x.on < y.on; });
    std::sort(state->quarantines.begin(), state->quarantines.end(), [](const auto& x, const auto& y) { return x.ports < y.ports; });
  }
  EXPECT_EQ(a.accounts, b.accounts);
  EXPECT_EQ(a.devices, b.devices);
  EXPECT_EQ(a.grants, b.grants);
  EXPECT_EQ(a.leases, b.leases);
  EXPECT_EQ(a.quarantines, b.quarantines);
  EXPECT_EQ(a.generations_used_to, b.generations_used_to);
  EXPECT_EQ(a.next_id, b.next_id);
  EXPECT_EQ(a.addresses_used_to, b.addresses_used_to);
}

inline std::array<std::uint8_t, 32> key(std::uint8_t byte) {
  std::array<std::uint8_t, 32> key{};
  key.fill(byte);
  return key;
}

template <class Harness>
class StoreConformance : public ::testing::Test {
 protected:
  void SetUp() override { reopen(); }
  void reopen() {
    store.reset();
    store = harness.open();
    ASSERT_TRUE(store);
  }
  void reopen_if_kept() {
    if (Harness::reopens) reopen();
  }
  void commit(const lease::Transaction& transaction) {
    const auto done = store->commit(transaction, clock);
    ASSERT_TRUE(done) << done.error().message;
    book.apply(transaction);
  }
  lease::DeviceId connected(const std::string& name) {
    const auto account = book.add_account(name, std::nullopt);
    commit(account->transaction);
    const auto device = book.add_device(account->value.id, name);
    commit(device->transaction);
    commit(book.connect(device->value.id, clock.boot)->transaction);
    return device->value.id;
  }
  lease::State loaded(const ClockReading& now) {
    auto state = store->load(now);
    EXPECT_TRUE(state) << state.error().message;
    return state ? *state : lease::State{};
  }

  Harness harness;
  std::unique_ptr<Store> store;
  ClockReading clock = at(1000s, 0s);
  lease::LeaseBook book{policy(), lease::State{}};
};

TYPED_TEST_SUITE_P(StoreConformance);

TYPED_TEST_P(StoreConformance, ANewStoreIsEmpty) {
  const auto state = this->loaded(this->clock);
  EXPECT_TRUE(state.accounts.empty() && state.leases.empty());
  EXPECT_EQ(state.generations_used_to, 0U);
  EXPECT_EQ(state.next_id, 1U);
  EXPECT_FALSE(*this->store->load_wireguard_identity());
  EXPECT_TRUE(this->store->load_wireguard_peers()->empty());
}

TYPED_TEST_P(StoreConformance, KeepsEveryKindOfRecord) {
  const auto alice = this->connected("alice");
  const auto bob = this->connected("bob");
  this->connected("carol");
  lease::LeaseRequest wish;
  wish.device = alice;
  wish.port = Port{10000};
  wish.local_port = Port{110};
  wish.by_administrator = true;
  this->commit(this->book.add_lease(wish, this->clock.boot)->transaction);
  this->commit(this->book.disconnect(alice, this->clock.boot).value());
  this->commit(this->book.remove_device(bob, this->clock.boot).value());
  this->reopen_if_kept();
  expect_equal(this->loaded(this->clock), this->book.state());
  this->commit(this->book.remove_account(this->book.account("alice")->id, this->clock.boot).value());
  this->commit(this->book.tick(this->clock.boot + 700s));
  this->reopen_if_kept();
  expect_equal(this->loaded(this->clock), this->book.state());
}

TYPED_TEST_P(StoreConformance, KeepsMappings) {
  const auto alice = this->connected("alice");
  lease::MappingRequest request;
  request.device = alice;
  request.internal_port = Port{6881};
  request.lifetime = 600s;
  request.door = lease::Door::pcp;
  request.nonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  request.description = "a program; 'quoted'";
  const auto mapped = this->book.map(request, this->clock.boot);
  ASSERT_TRUE(mapped);
  this->commit(mapped->transaction);
  request.protocol = Protocol::udp;
  request.while_connected = true;
  request.door = lease::Door::upnp;
  this->commit(this->book.map(request, this->clock.boot)->transaction);
  this->reopen_if_kept();
  expect_equal(this->loaded(this->clock), this->book.state());
  lease::MappingEnd end;
  end.device = alice;
  this->commit(this->book.end_mappings(end, this->clock.boot)->transaction);
  expect_equal(this->loaded(this->clock), this->book.state());
}

TYPED_TEST_P(StoreConformance, TheEpochRunsOnOverRestartsAndReboots) {
  const auto first = this->loaded(this->clock).epoch_started;
  this->reopen_if_kept();
  EXPECT_EQ(this->loaded(at(1100s, 100s)).epoch_started, first);
  const auto rebooted = this->loaded(at(5s, 160s, "boot-2")).epoch_started;
  EXPECT_EQ(Time(5s) - rebooted, Time(1000s) - first + 160s) << "60 s passed between the boots";
  EXPECT_EQ(this->loaded(at(7s, -9999s, "boot-3")).epoch_started, Time(7s)) << "where leases are lost it begins again";
}

TYPED_TEST_P(StoreConformance, ARefusedTransactionChangesNothing) {
  this->connected("alice");
  const auto before = this->book.state();
  auto transaction = this->book.add_account("bob", std::nullopt)->transaction;
  lease::Device orphan;
  orphan.id = lease::DeviceId{50};
  orphan.account = lease::AccountId{999};
  orphan.name = "orphan";
  orphan.tunnel_v4 = *parse_address("10.77.9.9");
  transaction.records.push_back(lease::PutDevice{orphan});
  const auto refused = this->store->commit(transaction, this->clock);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "record_refused");
  lease::Transaction cut;
  cut.records.push_back(lease::DropAccount{this->book.account("alice")->id});
  EXPECT_FALSE(this->store->commit(cut, this->clock)) << "its devices would belong to nobody";
  expect_equal(this->loaded(this->clock), before);
  this->connected("bob");
  expect_equal(this->loaded(this->clock), this->book.state());
}

TYPED_TEST_P(StoreConformance, PeersLiveAndDieWithTheirDevices) {
  const auto alice = this->connected("alice");
  WireGuardPeer peer;
  peer.device = alice;
  peer.public_key = key(1);
  peer.private_key = key(2);
  peer.endpoint = *parse_endpoint("[2001:db8::7]:51820");
  peer.last_timestamp[11] = 7;
  ASSERT_TRUE(this->store->save_wireguard_peers({peer}));
  peer.endpoint = *parse_endpoint("192.0.2.7:4242");
  ASSERT_TRUE(this->store->save_wireguard_peers({peer}));
  auto stranger = peer;
  stranger.device = lease::DeviceId{999};
  stranger.public_key = key(3);
  EXPECT_FALSE(this->store->save_wireguard_peers({stranger}));
  this->reopen_if_kept();
  EXPECT_EQ(*this->store->load_wireguard_peers(), std::vector{peer});

  const auto phone = this->book.add_device(this->book.account("alice")->id, "phone");
  WireGuardPeer second;
  second.device = phone->value.id;
  second.public_key = peer.public_key;
  EXPECT_FALSE(this->store->commit_with(phone->transaction, {{second}}, this->clock)) << "two devices of one key";
  EXPECT_EQ(this->loaded(this->clock).devices.size(), 1U) << "and so no device either";
  second.public_key = key(4);
  ASSERT_TRUE(this->store->commit_with(phone->transaction, {{second}}, this->clock));
  this->book.apply(phone->transaction);
  EXPECT_EQ(*this->store->load_wireguard_peers(), (std::vector{peer, second}));
  this->commit(this->book.remove_device(alice, this->clock.boot).value());
  this->reopen_if_kept();
  EXPECT_EQ(*this->store->load_wireguard_peers(), std::vector{second});
}

TYPED_TEST_P(StoreConformance, KeepsTheIdentity) {
  WireGuardIdentity identity;
  identity.private_key = key(9);
  ASSERT_TRUE(this->store->save_wireguard_identity(identity));
  identity.timestamp_floor[3] = 1;
  ASSERT_TRUE(this->store->save_wireguard_identity(identity));
  this->reopen_if_kept();
  EXPECT_EQ(*this->store->load_wireguard_identity(), identity);
}

TYPED_TEST_P(StoreConformance, WithinABootDeadlinesStayWhateverTheWallClockDoes) {
  const auto alice = this->connected("alice");
  const auto state = this->loaded(at(1100s, -9999999s));
  EXPECT_EQ(state.leases[0].deadline, Time(1000s + 1h));
  EXPECT_EQ(this->book.leases_of(alice)[0]->deadline, state.leases[0].deadline);
}

TYPED_TEST_P(StoreConformance, OverARebootTheTimeLeftIsCountedByTheWallClock) {
  const auto alice = this->connected("alice");
  this->connected("bob");
  this->commit(this->book.disconnect(alice, this->clock.boot).value());
  this->connected("carol");
  this->commit(this->book.remove_device(this->book.device("carol")->id, this->clock.boot).value());
  this->reopen_if_kept();
  for (const auto boot : {20s, 30s}) {  // and again: the conversion is kept, and nothing is converted twice
    const auto state = this->loaded(at(boot, boot + 100s, "boot-2"));
    for (const auto& lease : state.leases)
      EXPECT_EQ(lease.deadline, lease.state == lease::LeaseState::active ? Time(20s + 1h - 120s) : Time{});
    EXPECT_EQ(state.grants[0].kept_until, Time(20s + 24h - 120s));
    ASSERT_EQ(state.quarantines.size(), 1U);
    EXPECT_EQ(state.quarantines[0].until, Time(20s + 600s - 120s));
    this->reopen_if_kept();
  }
  const auto late = this->loaded(at(5s, 365 * 24h, "boot-3"));
  for (const auto& lease : late.leases) EXPECT_TRUE(lease.state == lease::LeaseState::held || lease.deadline < Time(5s));
  EXPECT_LT(late.quarantines[0].until, Time(5s));
}

TYPED_TEST_P(StoreConformance, AWallClockThatWentBackEndsLeasesAndBeginsRestsAgain) {
  const auto alice = this->connected("alice");
  this->connected("bob");
  this->commit(this->book.disconnect(alice, this->clock.boot).value());
  this->connected("carol");
  this->commit(this->book.remove_device(this->book.device("carol")->id, this->clock.boot).value());
  const auto state = this->loaded(at(20s, -1s, "boot-2"));
  for (const auto& lease : state.leases) EXPECT_TRUE(lease.state == lease::LeaseState::held || lease.deadline < Time(20s));
  EXPECT_EQ(state.grants[0].kept_until, Time(20s + 24h));
  EXPECT_EQ(state.quarantines[0].until, Time(20s + 600s));
}

TYPED_TEST_P(StoreConformance, WithoutABootIdTheWallClockDecides) {
  this->clock.boot_id.clear();
  this->connected("alice");
  EXPECT_EQ(this->loaded(at(20s, 60s, "")).leases[0].deadline, Time(20s + 1h - 60s));
}

REGISTER_TYPED_TEST_SUITE_P(StoreConformance, ANewStoreIsEmpty, KeepsEveryKindOfRecord, KeepsMappings, TheEpochRunsOnOverRestartsAndReboots,
                            ARefusedTransactionChangesNothing, PeersLiveAndDieWithTheirDevices, KeepsTheIdentity,
                            WithinABootDeadlinesStayWhateverTheWallClockDoes, OverARebootTheTimeLeftIsCountedByTheWallClock,
                            AWallClockThatWentBackEndsLeasesAndBeginsRestsAgain, WithoutABootIdTheWallClockDecides);

}  // namespace drpf::store::conformance
