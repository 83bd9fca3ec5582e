// Memory runs out in the lease book and in its store: a decision changes nothing, a commit is whole or absent, and what is committed and
// cannot be taken in ends the process.
#include <gtest/gtest.h>

#include <functional>

#include "allocation/allocation_failure.h"
#include "conformance/store_conformance.h"
#include "store/sqlite/sqlite_store.h"
#include "unit/store/temporary_directory.h"

namespace drpf {

namespace store::conformance {
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(StoreConformance);
}

namespace {

using namespace std::chrono_literals;
using test::AllocationFailure;
using test::fail_each_allocation;

constexpr Time now{1000s};

// One account, two devices, the first one connected with its automatic ports and a lease that was asked for.
struct Filled {
  Filled() : book(store::conformance::policy(), {}) {
    take(book.add_account("ann", std::nullopt)->transaction);
    for (const auto* name : {"nas", "phone"}) take(book.add_device(book.account("ann")->id, name)->transaction);
    nas = book.device("nas")->id;
    phone = book.device("phone")->id;
    take(book.connect(nas, now)->transaction);
    lease::LeaseRequest request;
    request.device = nas;
    request.kind = lease::LeaseKind::requested;
    take(book.add_lease(request, now)->transaction);
  }
  void take(const lease::Transaction& transaction) { book.apply(transaction); }

  lease::LeaseBook book;
  lease::DeviceId nas{}, phone{};
};

struct Operation {
  const char* name;
  std::function<lease::Transaction(const Filled&)> decide;
};

const std::vector<Operation>& operations() {
  static const std::vector<Operation> all{
      {"add account", [](const Filled& filled) { return filled.book.add_account("bob", std::nullopt)->transaction; }},
      {"suspend account",
       [](const Filled& filled) { return *filled.book.set_account(filled.book.account("ann")->id, std::nullopt, true, now); }},
      {"remove account", [](const Filled& filled) { return *filled.book.remove_account(filled.book.account("ann")->id, now); }},
      {"add device", [](const Filled& filled) { return filled.book.add_device(filled.book.account("ann")->id, "new")->transaction; }},
      {"remove device", [](const Filled& filled) { return *filled.book.remove_device(filled.nas, now); }},
      {"connect", [](const Filled& filled) { return filled.book.connect(filled.phone, now)->transaction; }},
      {"disconnect", [](const Filled& filled) { return *filled.book.disconnect(filled.nas, now); }},
      {"add leases",
       [](const Filled& filled) {
         lease::LeaseRequest request;
         request.device = filled.nas;
         request.count = 4;
         return filled.book.add_lease(request, now)->transaction;
       }},
      {"change lease", [](const Filled& filled) { return *filled.book.set_lease(filled.book.leases().front()->on, Port{80}, now); }},
      {"remove lease", [](const Filled& filled) { return *filled.book.remove_lease(filled.book.leases().front()->on, now); }},
      {"renew", [](const Filled& filled) { return filled.book.tick(now + 59min); }},
      {"all runs out", [](const Filled& filled) { return filled.book.tick(now + 24h); }},
      {"reconfigure",
       [](const Filled& filled) {
         auto policy = filled.book.policy();
         policy.tunnel_v4 = *parse_prefix("10.78.0.0/16");
         return filled.book.reconfigure(policy, now);
       }},
  };
  return all;
}

TEST(AllocationFailure, LeavesTheBookAsItWas) {
  for (const auto& operation : operations()) {
    const Filled filled;
    const auto before = filled.book.state();
    const auto wanted = operation.decide(filled);
    ASSERT_FALSE(wanted.empty()) << operation.name;
    Filled after;
    after.take(wanted);
    lease::Transaction decided;
    const auto allocations = fail_each_allocation([&] { decided = operation.decide(filled); },
                                                  [&](bool thrown) {
                                                    store::conformance::expect_equal(filled.book.state(), before);
                                                    if (thrown) return;
                                                    Filled again;
                                                    again.take(decided);
                                                    store::conformance::expect_equal(again.book.state(), after.book.state());
                                                  });
    EXPECT_GT(allocations, 0U) << operation.name;
  }
}

TEST(AllocationFailureDeathTest, EndsTheProcessWhereACommittedChangeIsTakenIn) {
  const auto apply_with_failure = [](const Operation& operation, std::size_t successes) {
    Filled filled;
    const auto transaction = operation.decide(filled);
    const AllocationFailure failure(successes);
    filled.book.apply(transaction);
    std::_Exit(failure.happened() ? 1 : 0);
  };
  // Never exit code 1: that would be a book that met the failure and goes on.
  const auto ends = [](int status) { return WIFSIGNALED(status) || WEXITSTATUS(status) == 0; };
  for (const auto& operation : operations()) {
    if (operation.name != std::string_view("connect") && operation.name != std::string_view("remove device")) continue;
    for (const std::size_t successes : {0U, 1U, 3U}) {
      EXPECT_EXIT(apply_with_failure(operation, successes), ends, "");
    }
  }
  EXPECT_DEATH(apply_with_failure(operations()[5], 0), "");
}

// The process ends where memory runs out; what it leaves on the disk is what the next one begins with.
TEST(AllocationFailure, LeavesTheStoreBeforeOrAfterACommit) {
  const auto reading = store::conformance::at(1000s, 0s);
  for (const auto& operation : operations()) {
    const Filled filled;
    const auto transaction = operation.decide(filled);
    Filled after;
    after.take(transaction);
    const store::TemporaryDirectory directory;
    lease::Transaction whole;
    {
      auto opened = store::sqlite::SqliteStore::open(directory.path() / "state");
      ASSERT_TRUE(opened) << opened.error().message;
      // The filled book, as one transaction.
      const auto state = filled.book.state();
      for (const auto& account : state.accounts) whole.records.emplace_back(lease::PutAccount{account});
      for (const auto& device : state.devices) whole.records.emplace_back(lease::PutDevice{device});
      for (const auto& grant : state.grants) whole.records.emplace_back(lease::PutGrant{grant});
      for (const auto& lease : state.leases) whole.records.emplace_back(lease::PutLease{lease});
      whole.generations_used_to = state.generations_used_to;
      whole.next_id = state.next_id;
      whole.addresses_used_to = state.addresses_used_to;
      ASSERT_TRUE((*opened)->commit(whole, reading));
    }
    std::size_t committed = 0;
    std::unique_ptr<store::sqlite::SqliteStore> opened;
    fail_each_allocation(
        [&] {
          if (!opened) {
            auto again = store::sqlite::SqliteStore::open(directory.path() / "state");
            if (!again) return;
            opened = std::move(*again);
          }
          if (opened->commit(transaction, reading)) ++committed;
        },
        [&](bool thrown) {
          opened.reset();
          auto next = store::sqlite::SqliteStore::open(directory.path() / "state");
          ASSERT_TRUE(next) << operation.name << ": " << next.error().message;
          const auto state = (*next)->load(reading);
          ASSERT_TRUE(state) << operation.name;
          if (committed == 0)
            store::conformance::expect_equal(*state, filled.book.state());
          else
            store::conformance::expect_equal(*state, after.book.state());
          EXPECT_TRUE(thrown || committed > 0) << operation.name << ": a failure was swallowed";
        },
        3);
    EXPECT_EQ(committed, 1U) << operation.name;
  }
}

}  // namespace
}  // namespace drpf
