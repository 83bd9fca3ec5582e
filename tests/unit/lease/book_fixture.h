// A lease book with a hand-set clock, for tests: each call is decided, applied and its redirect stream replayed.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "lease/lease_book.h"
#include "lease/validation.h"

namespace drpf::lease::test {

using namespace std::chrono_literals;

inline Policy small_policy() {
  Policy policy;
  PublicHost main;
  main.name = "main";
  main.v4 = *parse_address("198.51.100.1");
  main.v6 = *parse_address("2001:db8::1");
  policy.hosts = {main};
  policy.pool = PortRange(Port{10000}, Port{10099});
  Plan personal;
  personal.name = "personal";
  Plan business;
  business.name = "business";
  business.ports_max = 60;
  business.port_choice = true;
  Plan free;
  free.name = "free";
  free.ports_at_connect = 0;
  free.port_choice = true;
  policy.plans = {personal, business, free};
  policy.tunnel_v4 = *parse_prefix("10.77.0.0/24");
  policy.tunnel_v6 = *parse_prefix("fd77::/64");
  return policy;
}

// What a redirect would hold that has only ever heard the transactions.
class ReplayedRedirect {
 public:
  void carry_out(const Transaction& transaction) {
    for (const auto& gone : transaction.remove) {
      const auto found = entries_.find(key(gone));
      ASSERT_TRUE(found != entries_.end()) << "removed what was not there: port " << to_string(gone.public_port);
      ASSERT_EQ(found->second.generation, gone.generation);
      entries_.erase(found);
    }
    for (const auto& fresh : transaction.install) ASSERT_TRUE(entries_.emplace(key(fresh), fresh).second) << "installed over another";
    for (const auto& longer : transaction.renew) {
      const auto found = entries_.find(key(longer));
      ASSERT_TRUE(found != entries_.end()) << "renewed what was not there";
      auto expected = found->second;
      expected.deadline = longer.deadline;
      ASSERT_EQ(expected, longer) << "a renewal changes nothing but the deadline";
      found->second = longer;
    }
  }
  void expect_equal(const std::vector<Redirection>& desired) const {
    ASSERT_EQ(desired.size(), entries_.size());
    for (const auto& one : desired) {
      const auto found = entries_.find(key(one));
      ASSERT_TRUE(found != entries_.end() && found->second == one) << "port " << to_string(one.public_port);
    }
  }

 private:
  using Key = std::tuple<Address, Protocol, Port>;
  static Key key(const Redirection& one) { return {one.public_address, one.protocol, one.public_port}; }
  std::map<Key, Redirection> entries_;
};

class BookTest : public ::testing::Test {
 protected:
  explicit BookTest(Policy policy = small_policy()) : book(std::move(policy), State{}) {}

  Transaction act(Transaction transaction) {
    book.apply(transaction);
    redirect.carry_out(transaction);
    redirect.expect_equal(book.redirections());
    const auto sound = validate(book.state());
    EXPECT_TRUE(sound) << sound.error().message;
    return transaction;
  }
  template <class T>
  T act(Result<Decided<T>> decided) {
    EXPECT_TRUE(decided) << decided.error().message;
    act(decided->transaction);
    return decided->value;
  }
  Transaction act(Result<Transaction> decided) {
    EXPECT_TRUE(decided) << decided.error().message;
    return act(*decided);
  }
  std::optional<Error> connect(DeviceId id) {
    auto connected = book.connect(id, now);
    EXPECT_TRUE(connected) << connected.error().message;
    act(connected->transaction);
    return connected->shortfall;
  }
  void disconnect(DeviceId id) { act(book.disconnect(id, now)); }
  // All that time brings, as a driver would call for it.
  void pass(Duration duration) {
    const auto end = now + duration;
    for (auto next = book.next_deadline(); next && *next <= end; next = book.next_deadline()) {
      now = std::max(now, *next);
      const auto transaction = act(book.tick(now));
      ASSERT_FALSE(transaction.empty()) << "a deadline that brings nothing would be called for ever";
    }
    now = end;
  }

  AccountId account(const std::string& name, const std::string& plan = "personal") { return act(book.add_account(name, plan)).id; }
  DeviceId device(AccountId owner, const std::string& name) { return act(book.add_device(owner, name)).id; }
  DeviceId connected(AccountId owner, const std::string& name) {
    const auto id = device(owner, name);
    EXPECT_FALSE(connect(id));
    return id;
  }
  static LeaseRequest request(DeviceId id, std::uint16_t port = 0) {
    LeaseRequest wish;
    wish.device = id;
    wish.by_administrator = true;
    if (port != 0) wish.port = Port{port};
    return wish;
  }
  std::string refused(const LeaseRequest& wish) const {
    const auto answer = book.add_lease(wish, now);
    return answer ? "granted" : answer.error().code;
  }
  std::vector<Port> ports_of(DeviceId id) const {
    std::vector<Port> ports;
    for (const auto* lease : book.leases_of(id))
      if (lease->on.protocol == Protocol::tcp) ports.push_back(lease->on.port);
    return ports;
  }
  const Lease& lease_at(Port port, Protocol protocol = Protocol::tcp) const {
    const auto* lease = book.lease({"main", protocol, port});
    if (!lease) throw std::runtime_error("no lease on port " + to_string(port));
    return *lease;
  }

  Time now{1000s};
  LeaseBook book;
  ReplayedRedirect redirect;
};

}  // namespace drpf::lease::test
