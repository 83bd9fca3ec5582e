#include "gateway/ended_leases.h"

#include "running_gateway.h"

namespace drpf::gateway {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class EndedLeases : public RunningGateway {
 protected:
  lease::Transaction drop_all() {
    lease::Transaction transaction;
    for (const auto* lease : gateway_->book().leases()) transaction.records.emplace_back(lease::DropLease{lease->on});
    return transaction;
  }
};

TEST_F(EndedLeases, EachIsNamedWithItsDeviceAndAccount) {
  connect();
  const auto ended = ended_leases(gateway_->book(), drop_all());
  ASSERT_THAT(ended, SizeIs(10));
  const auto& first = *gateway_->book().leases().front();
  EXPECT_EQ(ended[0], "lease " + std::string(to_string(first.on.protocol)) + " " + to_string(first.on.port) +
                          " on main of device laptop (account alice)");
}

TEST_F(EndedLeases, WhatIsOnlyWrittenAnewForTheSameDeviceHasNotEnded) {
  connect();
  auto transaction = drop_all();
  const auto kept = *gateway_->book().leases()[3];
  transaction.records.emplace_back(lease::PutLease{kept});
  const auto ended = ended_leases(gateway_->book(), transaction);
  EXPECT_THAT(ended, SizeIs(9));
}

TEST_F(EndedLeases, WhatGoesToAnotherDeviceHas) {
  connect();
  ASSERT_TRUE(gateway_->add_device("alice", "phone", {}));
  auto transaction = drop_all();
  auto given = *gateway_->book().leases().front();
  given.device = gateway_->book().device("phone")->id;
  transaction.records.emplace_back(lease::PutLease{given});
  EXPECT_THAT(ended_leases(gateway_->book(), transaction), SizeIs(10));
}

TEST_F(EndedLeases, WhatWasNotThereHasNotEnded) {
  lease::Transaction transaction;
  transaction.records.emplace_back(lease::DropLease{{"main", Protocol::tcp, Port{12345}}});
  EXPECT_THAT(ended_leases(gateway_->book(), transaction), IsEmpty());
}

}  // namespace
}  // namespace drpf::gateway
