#include "registry/scan_ports.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

#include "registry/iana_table.h"
#include "registry/port_class.h"
#include "registry/well_known.h"

namespace drpf::registry {
namespace {

std::size_t count_of(const std::vector<ScanPort>& list, ScanTier tier) {
  return static_cast<std::size_t>(std::count_if(list.begin(), list.end(), [&](const ScanPort& one) { return one.tier == tier; }));
}

}  // namespace

TEST(DefaultScanPorts, AreExactlyAThousandEachWithItsReason) {
  const auto list = scan_list(default_scan_count, Protocol::tcp);
  ASSERT_EQ(list.size(), 1000U);
  std::set<Port> seen;
  auto tier = ScanTier::system;
  for (const auto& one : list) {
    EXPECT_FALSE(one.port.is_zero());
    EXPECT_TRUE(seen.insert(one.port).second) << to_string(one.port) << " is in it twice";
    EXPECT_FALSE(one.reason.empty()) << to_string(one.port);
    EXPECT_EQ(one.category == Category::none, one.tier >= ScanTier::registered) << to_string(one.port);
    EXPECT_GE(one.tier, tier) << "the tiers follow each other";
    tier = one.tier;
    if (one.tier == ScanTier::system) {
      EXPECT_EQ(class_of(one.port), PortClass::system) << to_string(one.port);
    }
    if (one.tier == ScanTier::registered) {
      EXPECT_EQ(class_of(one.port), PortClass::user) << to_string(one.port);
    }
  }
  // Each tier has its part in it.
  EXPECT_GT(count_of(list, ScanTier::system), 80U);
  EXPECT_GT(count_of(list, ScanTier::category), 600U);
  EXPECT_GT(count_of(list, ScanTier::family), 100U);
  EXPECT_GT(count_of(list, ScanTier::registered), 0U);
}

TEST(DefaultScanPorts, OfTheFirstTierAreRegisteredOrExplained) {
  for (const auto& one : scan_list(default_scan_count, Protocol::tcp)) {
    if (one.tier != ScanTier::system) break;
    EXPECT_TRUE(find_iana_row(one.port, Transport::tcp) || find_well_known(one.port, Transport::tcp)) << to_string(one.port);
  }
}

TEST(DefaultScanPorts, HoldWhatPeopleRun) {
  const auto ports = default_scan_ports(default_scan_count, Protocol::tcp);
  for (const int wanted : {21,   22,   25,   80,   110,  139,  443,  445,  522,  563,   569,   389,  1503,
                           1720, 1731, 2379, 3306, 3389, 5432, 6379, 6443, 8080, 10250, 25565, 27017})
    EXPECT_TRUE(std::count(ports.begin(), ports.end(), Port{static_cast<std::uint16_t>(wanted)})) << wanted;
}

TEST(DefaultScanPorts, OfAnyNumberBeginAlike) {
  for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
    const auto all = default_scan_ports(scan_count_max, protocol);
    ASSERT_EQ(all.size(), 65535U);
    EXPECT_EQ(std::set<Port>(all.begin(), all.end()).size(), 65535U) << "every port once";
    for (const std::size_t count : std::array<std::size_t, 6>{0, 1, 10, 1000, 1001, 20000}) {
      const auto some = default_scan_ports(count, protocol);
      ASSERT_EQ(some.size(), count);
      EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin()));
    }
    EXPECT_EQ(default_scan_ports(70000, protocol).size(), 65535U);
  }
}

TEST(DefaultScanPorts, OfUdpBeginWithWhatAnswers) {
  const auto list = scan_list(100, Protocol::udp);
  for (const int wanted : {53, 123, 161, 137, 1900, 5353, 500, 443, 3478, 5060, 111, 69, 67, 5351, 5683, 1812, 11211}) {
    const auto is_it = [&](const ScanPort& one) { return one.port.value() == wanted; };
    EXPECT_TRUE(std::any_of(list.begin(), list.begin() + 30, is_it)) << wanted;
  }
  EXPECT_EQ(count_of(list, ScanTier::category), 100U);
}

}  // namespace drpf::registry
