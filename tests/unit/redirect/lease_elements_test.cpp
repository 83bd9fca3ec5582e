#include "redirect/lease_elements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/encoding.h"
#include "redirect/dead_man.h"

namespace drpf::redirect {
namespace {

using namespace std::chrono_literals;
using lease::Generation;
using lease::Redirection;

constexpr Time now{Duration(1000s)};

Redirection redirection(std::uint32_t generation, const char* public_address, std::uint16_t public_port, const char* device,
                        std::uint16_t device_port, Duration left = 60s) {
  return {.generation = Generation{generation},
          .protocol = Protocol::tcp,
          .public_address = *parse_address(public_address),
          .public_port = Port{public_port},
          .device_address = *parse_address(device),
          .device_port = Port{device_port},
          .deadline = now + left};
}

TEST(LeaseElements, OneLeaseIsFiveElements) {
  const std::vector lease{redirection(5, "198.51.100.1", 20000, "10.77.0.2", 110)};
  const auto desired = desired_elements(lease, now);
  const auto& dnat = desired.at("dnat4");
  ASSERT_EQ(dnat.size(), 1U);
  EXPECT_EQ(to_hex(dnat.begin()->key.bytes()), "c6336401060000004e200000");
  EXPECT_EQ(to_hex(dnat.begin()->data.bytes()), "0a4d0002006e0000");
  EXPECT_EQ(dnat.begin()->timeout, 60s);
  EXPECT_EQ(to_hex(desired.at("genin4").begin()->data.bytes()), "05000000");
  EXPECT_EQ(to_hex(desired.at("eim4").begin()->key.bytes()), "060000000a4d0002006e0000");
  EXPECT_EQ(to_hex(desired.at("eim4").begin()->data.bytes()), "c63364014e200000");
  EXPECT_EQ(to_hex(desired.at("genout4").begin()->data.bytes()), "05000000");
  EXPECT_EQ(to_hex(desired.at("live").begin()->key.bytes()), "05000000");
  EXPECT_TRUE(desired.at("dnat6").empty());
}

TEST(LeaseElements, BothFamiliesOfALeaseShareItsLeaveToPass) {
  const std::vector leases{redirection(5, "198.51.100.1", 20000, "10.77.0.2", 110, 10s),
                           redirection(5, "2001:db8::1", 20000, "fd77::2", 110, 20s)};
  const auto desired = desired_elements(leases, now);
  ASSERT_EQ(desired.at("live").size(), 1U);
  EXPECT_EQ(desired.at("live").begin()->timeout, 20s);
  EXPECT_EQ(desired.at("dnat4").size(), 1U);
  EXPECT_EQ(desired.at("dnat6").size(), 1U);
}

TEST(LeaseElements, OfTwoLeasesThatLeadToOnePortTheOlderIsTheSource) {
  const std::vector leases{redirection(9, "198.51.100.1", 20009, "10.77.0.2", 110),
                           redirection(5, "198.51.100.1", 20005, "10.77.0.2", 110)};
  const auto desired = desired_elements(leases, now);
  EXPECT_EQ(desired.at("dnat4").size(), 2U);
  ASSERT_EQ(desired.at("eim4").size(), 1U);
  EXPECT_EQ(to_hex(desired.at("eim4").begin()->data.bytes()), "c63364014e250000");
  EXPECT_EQ(to_hex(desired.at("genout4").begin()->data.bytes()), "05000000");
}

TEST(LeaseElements, WhatIsOverIsNotDesiredAndTimeIsRoundedDown) {
  const std::vector leases{redirection(5, "198.51.100.1", 1, "10.77.0.2", 1, 0s), redirection(6, "198.51.100.1", 2, "10.77.0.2", 2, -1s),
                           redirection(7, "198.51.100.1", 3, "10.77.0.2", 3, 999'999ns),
                           redirection(8, "198.51.100.1", 4, "10.77.0.2", 4, 1'999'999ns)};
  const auto desired = desired_elements(leases, now);
  ASSERT_EQ(desired.at("dnat4").size(), 1U);
  EXPECT_EQ(desired.at("dnat4").begin()->timeout, 1ms);
}

TEST(DeadMan, RefusesWhatTheRuleSetHasNotSeen) {
  const DeadMan dead_man({"drpf0"}, parse_prefix("10.77.0.0/16").value(), parse_prefix("fd77::/64").value());
  std::vector<std::string> rules;
  for (const auto& rule : dead_man.rules()) rules.push_back(to_string(rule));
  EXPECT_THAT(rules, testing::ElementsAre("pref 100 to 10.77.0.0/16 iif lo lookup 254",  //
                                          "pref 101 to 10.77.0.0/16 fwmark 0x0/0x10000 unreachable",
                                          "pref 102 iif drpf0 fwmark 0x0/0x10000 unreachable",  //
                                          "pref 100 to fd77::/64 iif lo lookup 254", "pref 101 to fd77::/64 fwmark 0x0/0x10000 unreachable",
                                          "pref 102 iif drpf0 fwmark 0x0/0x10000 unreachable"));
  EXPECT_EQ(DeadMan({"drpf0"}, parse_prefix("10.77.0.0/16").value(), {}).rules().size(), 3U);
}

TEST(DeadMan, RefusesItFromEveryTunnel) {
  const DeadMan dead_man({"drpf0", "drpf1"}, parse_prefix("10.77.0.0/16").value(), {});
  std::vector<std::string> refused;
  for (const auto& rule : dead_man.rules())
    if (rule.action == system::RuleAction::unreachable && rule.incoming_interface) refused.push_back(*rule.incoming_interface);
  EXPECT_EQ(refused, (std::vector<std::string>{"drpf0", "drpf1"}));
}

}  // namespace
}  // namespace drpf::redirect
