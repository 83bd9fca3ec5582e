#include "firewall/port_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace drpf::firewall {
namespace {

using testing::HasSubstr;

PortRange range(std::uint16_t first, std::uint16_t last) { return PortRange(Port{first}, Port{last}); }

std::vector<PortClaim> standard_plan() {
  return {{range(10000, 31999), PortUse::lease_pool, "key 'pool'"},
          {range(32768, 51199), PortUse::snat, "key 'snat'"},
          {range(52000, 60999), PortUse::ephemeral, "net.ipv4.ip_local_port_range"},
          {range(51820, 51820), PortUse::service, "key 'wireguard_port'"},
          {range(22, 22), PortUse::service, "key 'input_tcp'"}};
}

TEST(PortPlan, TheStandardPlanIsDisjoint) { EXPECT_TRUE(prove_disjoint(standard_plan())); }

TEST(PortPlan, TheKernelsOwnEphemeralRangeIsRefusedWithBothRangesAndTheirOrigins) {
  auto plan = standard_plan();
  plan[2].range = range(32768, 60999);
  const auto proof = prove_disjoint(plan);
  ASSERT_FALSE(proof);
  EXPECT_EQ(proof.error().code, "port_plan_overlap");
  EXPECT_THAT(proof.error().message, HasSubstr("32768-51199"));
  EXPECT_THAT(proof.error().message, HasSubstr("key 'snat'"));
  EXPECT_THAT(proof.error().message, HasSubstr("32768-60999"));
  EXPECT_THAT(proof.error().message, HasSubstr("net.ipv4.ip_local_port_range"));
  EXPECT_THAT(proof.error().message, HasSubstr("51820")) << "the second conflict: WireGuard's port lies in it, too";
}

TEST(PortPlan, AListenerInThePoolOrAmongTheSourcePortsIsAConflict) {
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{10000, 31999, 32768, 51199}) {
    auto plan = standard_plan();
    plan.push_back({range(port, port), PortUse::listener, "tcp 0.0.0.0"});
    EXPECT_FALSE(prove_disjoint(plan)) << port;
  }
  for (const std::uint16_t port : std::initializer_list<std::uint16_t>{22, 9999, 32000, 32767, 51200, 51820, 52000, 60999, 65535}) {
    auto plan = standard_plan();
    plan.push_back({range(port, port), PortUse::listener, "tcp 0.0.0.0"});
    EXPECT_TRUE(prove_disjoint(plan)) << port;
  }
}

TEST(PortPlan, ManyConflictsAreCountedNotListed) {
  auto plan = standard_plan();
  for (std::uint16_t port = 20000; port < 20020; ++port) plan.push_back({range(port, port), PortUse::listener, "udp"});
  const auto proof = prove_disjoint(plan);
  ASSERT_FALSE(proof);
  EXPECT_THAT(proof.error().message, HasSubstr("and 15 more"));
  EXPECT_THAT(proof.error().cure, HasSubstr("ss -lntup"));
}

RC_GTEST_PROP(PortPlan, FindsExactlyThePairsThatShareAPort, ()) {
  const auto count = *rc::gen::inRange(0, 12);
  std::vector<PortClaim> claims;
  for (int i = 0; i < count; ++i) {
    const auto first = static_cast<std::uint16_t>(*rc::gen::inRange(1, 60));
    const auto last = static_cast<std::uint16_t>(first + *rc::gen::inRange(0, 12));
    claims.push_back({range(first, last), static_cast<PortUse>(*rc::gen::inRange(0, 5)), std::to_string(i)});
  }
  const auto is_service = [](PortUse use) { return use == PortUse::service || use == PortUse::listener; };
  std::size_t expected = 0;
  for (std::size_t i = 0; i < claims.size(); ++i)
    for (std::size_t j = i + 1; j < claims.size(); ++j) {
      const auto a = claims[i].use;
      const auto b = claims[j].use;
      const bool harmless =
          a == b || (is_service(a) && is_service(b)) || (std::min(a, b) == PortUse::listener && std::max(a, b) == PortUse::ephemeral);
      if (harmless) continue;
      bool shared = false;
      for (std::uint16_t port = 0; port < 80; ++port)
        shared |= claims[i].range.contains(Port{port}) && claims[j].range.contains(Port{port});
      if (shared) ++expected;
    }
  RC_ASSERT(conflicts(claims).size() == expected);
}

}  // namespace
}  // namespace drpf::firewall
