// Who may be asked, and how fast.
#include "scan/ask/scope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::scan {
namespace {

using testing::HasSubstr;

Result<AdmittedTargets> ask(const std::vector<std::string>& texts, const Scope& scope = {}, Permissions permissions = {}) {
  std::vector<ResolvedTarget> targets;
  for (const auto& text : texts) targets.push_back({text, parse_target(text)->ranges});
  return admit(targets, scope, permissions);
}

AddressRange range(std::string_view text) { return parse_target(text)->ranges.front(); }

std::string code_of(const Result<AdmittedTargets>& answer) { return answer ? "admitted" : answer.error().code; }

TEST(Scope, HasThePrivateRangesAndNamedLoopback) {
  for (const auto* text : {"10.255.0.1", "172.16.0.0/24", "172.31.255.254", "192.168.0.0/16", "169.254.1.1", "fd12::1", "fe80::1",
                           "127.0.0.1", "127.0.0.0/24", "::1"})
    EXPECT_EQ(code_of(ask({text})), "admitted") << text;
}

TEST(Scope, LeavesAllOthersToThoseWhoOwnThem) {
  for (const auto* text : {"203.0.113.7", "172.32.0.1", "11.0.0.0/24", "2001:db8::1", "100.64.0.1", "9.255.255.255-10.0.0.1",
                           "64:ff9b::a00:1", "2002:a00:1::1"}) {
    EXPECT_EQ(code_of(ask({text})), "out_of_scope") << text;
    const auto owned = ask({text}, {}, {.i_own_these = true});
    ASSERT_TRUE(owned) << text;
    EXPECT_FALSE(owned->vouched_for().empty()) << text;
  }
  EXPECT_THAT(ask({"10.255.255.255-11.0.0.3"}).error().message, HasSubstr("4 addresses outside"));
  const Scope own{.own = {range("203.0.113.0/24")}, .excluded = {}, .broadcasts = {}};
  EXPECT_EQ(code_of(ask({"203.0.113.7"}, own)), "admitted");
  EXPECT_TRUE(ask({"203.0.113.7"}, own)->vouched_for().empty());
}

TEST(Scope, NeverHasWhatNoHostHas) {
  for (const auto* text : {"0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "240.0.0.1", "::", "ff02::1", "::ffff:10.0.0.1"})
    for (const bool owned : {false, true}) {
      Scope all;
      all.own = {range("0.0.0.0/0"), range("::/0")};
      EXPECT_EQ(code_of(ask({text}, all, {.i_own_these = owned, .more_than_65536 = true})), "nothing_to_scan") << text;
    }
}

TEST(Scope, LosesToExcludeLists) {
  const Scope scope{
      .own = {}, .excluded = {range("10.0.0.5-7"), range("127.0.0.1")}, .broadcasts = {range("10.0.0.0"), range("10.0.0.255")}};
  const auto admitted = ask({"10.0.0.0/24"}, scope, {.i_own_these = true});
  ASSERT_TRUE(admitted);
  EXPECT_EQ(admitted->addresses().size(), 251U);
  for (const auto* text : {"10.0.0.0", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.255"})
    EXPECT_FALSE(admitted->addresses().contains(*parse_address(text))) << text;
  EXPECT_EQ(admitted->left_out().size(), 3U);
  EXPECT_EQ(code_of(ask({"10.0.0.6", "127.0.0.1"}, scope, {.i_own_these = true})), "nothing_to_scan");
}

TEST(Scope, TakesLoopbackOnlyWhenItIsNamedByItself) {
  const auto wide = ask({"126.255.255.0-128.0.0.0"}, {}, {.i_own_these = true, .more_than_65536 = true});
  ASSERT_TRUE(wide) << wide.error().message;
  EXPECT_EQ(wide->addresses().size(), 257U);
  EXPECT_FALSE(wide->addresses().contains(*parse_address("127.0.0.1")));
}

TEST(Scope, NeedsAFlagOfItsOwnForMoreThanASixteenthPartOfAddresses) {
  EXPECT_EQ(code_of(ask({"10.1.0.0/16"})), "admitted");
  EXPECT_EQ(code_of(ask({"10.1.0.0/16", "10.2.0.1"})), "too_many_targets");
  EXPECT_EQ(code_of(ask({"10.1.0.0/16", "10.2.0.1"}, {}, {.i_own_these = true})), "too_many_targets");
  EXPECT_EQ(code_of(ask({"10.1.0.0/16", "10.2.0.1"}, {}, {.more_than_65536 = true})), "admitted");
  EXPECT_EQ(code_of(ask({"fd00::/64"}, {}, {.i_own_these = true, .more_than_65536 = true})), "too_many_targets");
  EXPECT_EQ(code_of(ask({"10.0.0.0/8"}, {}, {.more_than_65536 = true})), "too_many_targets");
}

TEST(Scope, OfIdleScansCannotBeVouchedFor) {
  const auto zombie = [](std::string_view text) { return *parse_address(text); };
  const auto inside = ask({"10.0.0.1"});
  const Scope scope{.own = {}, .excluded = {range("10.0.0.9")}, .broadcasts = {}};
  EXPECT_TRUE(admit_zombie(zombie("10.0.0.2"), *inside, scope));
  for (const auto* text : {"203.0.113.7", "127.0.0.1", "10.0.0.9", "10.0.0.1", "224.0.0.1"})
    EXPECT_FALSE(admit_zombie(zombie(text), *inside, scope)) << text;
  const auto outside = ask({"203.0.113.1"}, {}, {.i_own_these = true});
  EXPECT_EQ(admit_zombie(zombie("10.0.0.2"), *outside, scope).error().code, "out_of_scope");
}

TEST(Pace, IsBelowTheCeiling) {
  EXPECT_EQ(admit_pace({})->ceiling, rate_ceiling);
  EXPECT_EQ(admit_pace({.start = 5, .ceiling = 50, .probes_max = {}})->start, 5);
  EXPECT_EQ(admit_pace({.start = {}, .ceiling = 0.5, .probes_max = {}})->ceiling, 0.5);
  EXPECT_TRUE(admit_pace({.start = {}, .ceiling = 100'000, .probes_max = 1}));
  for (const double rate :
       {0.0, -1.0, 100'001.0, 1e300, 0.0001, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_FALSE(admit_pace({.start = {}, .ceiling = rate, .probes_max = {}})) << rate;
    EXPECT_FALSE(admit_pace({.start = rate, .ceiling = {}, .probes_max = {}})) << rate;
  }
  EXPECT_THAT(admit_pace({.start = 100, .ceiling = 50, .probes_max = {}}).error().message, HasSubstr("above --max-rate"));
  for (const unsigned probes : {0U, 101U}) EXPECT_FALSE(admit_pace({.start = {}, .ceiling = {}, .probes_max = probes}));
}

TEST(Pace, IsWrittenInPacketsPerSecond) {
  EXPECT_EQ(*parse_rate("1000"), 1000);
  EXPECT_EQ(*parse_rate("0.5"), 0.5);
  EXPECT_EQ(*parse_rate("20k"), 20'000);
  for (const auto* text : {"", "k", "fast", "1e5", "inf", "nan", "10/s", "1 000", "0x10"}) EXPECT_FALSE(parse_rate(text)) << text;
}

}  // namespace
}  // namespace drpf::scan
