#include "scan/ask/icmp_meaning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <set>

namespace drpf::scan {
namespace {

using Table = std::map<IcmpError, Cause>;

Table all_named(Family family) {
  Table table;
  for (unsigned type = 0; type < 256; ++type)
    for (unsigned code = 0; code < 256; ++code) {
      const IcmpError error{static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(code)};
      if (const auto cause = cause_of(family, error)) table[error] = *cause;
    }
  return table;
}

TEST(IcmpMeaning, EachCodeOfDestinationUnreachableHasItsName) {
  const Table named{{{3, 0}, Cause::net_unreach},      {{3, 1}, Cause::host_unreach},   {{3, 2}, Cause::proto_unreach},
                    {{3, 3}, Cause::port_unreach},     {{3, 9}, Cause::net_prohibited}, {{3, 10}, Cause::host_prohibited},
                    {{3, 13}, Cause::admin_prohibited}};
  const auto table = all_named(Family::v4);
  for (unsigned code = 0; code < 256; ++code) {
    const IcmpError error{3, static_cast<std::uint8_t>(code)};
    if (code == 4) {
      EXPECT_FALSE(table.contains(error)) << "fragmentation needed says nothing about a port";
    } else {
      EXPECT_EQ(table.at(error), named.contains(error) ? named.at(error) : Cause::other_unreach) << code;
    }
  }
}

TEST(IcmpMeaning, EachCodeOfIcmpv6DestinationUnreachableHasItsName) {
  const std::array named{Cause::no_route,     Cause::admin_prohibited, Cause::beyond_scope, Cause::addr_unreach,
                         Cause::port_unreach, Cause::policy_fail,      Cause::reject_route};
  for (unsigned code = 0; code < 256; ++code)
    EXPECT_EQ(cause_of(Family::v6, {1, static_cast<std::uint8_t>(code)}), code < named.size() ? named[code] : Cause::other_unreach) << code;
}

TEST(IcmpMeaning, WhatIsNoErrorAboutAPortIsIgnored) {
  const auto types = [](const Table& table) {
    std::set<unsigned> found;
    for (const auto& [error, cause] : table) found.insert(error.type);
    return found;
  };
  EXPECT_THAT(types(all_named(Family::v4)), testing::ElementsAre(3, 11, 12));  // not source quench, redirect, echo
  EXPECT_THAT(types(all_named(Family::v6)), testing::ElementsAre(1, 3, 4));    // not packet too big
}

TEST(IcmpMeaning, TheRareCodesKeepTheirNumber) {
  EXPECT_EQ(detail_of(Cause::other_unreach, {3, 14}), 14);
  EXPECT_EQ(detail_of(Cause::admin_prohibited, {3, 13}), 0);
}

}  // namespace
}  // namespace drpf::scan
