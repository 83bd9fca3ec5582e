#include "firewall/host/host_ruleset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firewall/host/host_judge.h"
#include "firewall/host/host_ruleset_text.h"
#include "firewall/host/rule_sets.h"
#include "firewall/host/service_names.h"

namespace drpf::firewall {
namespace {

using testing::Contains;
using testing::HasSubstr;

HostRule rule_of(std::string_view line) {
  auto rule = parse_host_rule(line, ServiceNames());
  EXPECT_TRUE(rule) << line << ": " << rule.error().message;
  return rule ? *rule : HostRule{};
}

HostRuleset ruleset_of(std::initializer_list<const char*> lines) {
  HostRuleset ruleset;
  ruleset.on = true;
  for (const auto* line : lines) ruleset.rules.push_back(rule_of(line));
  return ruleset;
}

HostPacket visit_from(std::string_view source, std::uint16_t port, Protocol protocol = Protocol::tcp) {
  HostPacket packet;
  packet.interface = "eth0";
  packet.protocol = static_cast<std::uint8_t>(protocol);
  packet.source = *parse_address(source);
  packet.destination = *parse_address(packet.source.is_v4() ? "192.0.2.1" : "2001:db8::1");
  packet.source_port = Port{40000};
  packet.destination_port = Port{port};
  return packet;
}

std::string verdict_on(const HostRuleset& ruleset, const HostPacket& packet) { return to_string(judge(ruleset, packet), ruleset); }

TEST(HostRuleset, TheFirstRuleThatFitsDecides) {
  const auto ruleset = ruleset_of({"deny from 10.6.6.6", "allow ssh from 10.0.0.0/8", "reject 113/tcp", "limit http"});
  EXPECT_EQ(verdict_on(ruleset, visit_from("10.6.6.6", 22)), "deny, by rule 1: deny in any from 10.6.6.6/32");
  EXPECT_EQ(verdict_on(ruleset, visit_from("10.6.6.7", 22)), "allow, by rule 2: allow in ssh from 10.0.0.0/8");
  EXPECT_THAT(verdict_on(ruleset, visit_from("11.0.0.1", 113)), HasSubstr("reject, by rule 3"));
  EXPECT_THAT(verdict_on(ruleset, visit_from("2001:db8::9", 80)), HasSubstr("limit, by rule 4"));
  EXPECT_EQ(verdict_on(ruleset, visit_from("11.0.0.1", 22)), "deny: what is not allowed does not come in");
  EXPECT_THAT(verdict_on(ruleset, visit_from("10.0.0.1", 22, Protocol::udp)), HasSubstr("deny:"));
  auto out = visit_from("192.0.2.1", 25);
  out.direction = Direction::out;
  EXPECT_THAT(verdict_on(ruleset, out), HasSubstr("allow: what is not denied"));
  EXPECT_THAT(verdict_on(ruleset_of({"deny out smtp"}), out), HasSubstr("deny, by rule 1"));
}

TEST(HostRuleset, LeasedPortsAreThoseThatAreHeldNow) {
  auto ruleset = ruleset_of({"allow in leased"});
  EXPECT_EQ(judge(ruleset, visit_from("10.0.0.1", 20000)).treatment, Treatment::deny);
  ruleset.leased = {{Protocol::tcp, PortRange(Port{20000}, Port{20004})}};
  EXPECT_EQ(judge(ruleset, visit_from("10.0.0.1", 20000)).treatment, Treatment::allow);
  EXPECT_EQ(judge(ruleset, visit_from("10.0.0.1", 20000, Protocol::udp)).treatment, Treatment::deny);
}

TEST(HostRuleset, InPanicOnlyTheSessionPasses) {
  auto ruleset = ruleset_of({"allow 22"});
  const auto session = visit_from("10.0.0.1", 22);
  ruleset.panic = true;
  ruleset.session = HostSession{{session.source, session.source_port}, {session.destination, session.destination_port}};
  EXPECT_EQ(judge(ruleset, session).treatment, Treatment::allow);
  auto other = session;
  other.source_port = Port{40001};
  EXPECT_EQ(judge(ruleset, other).treatment, Treatment::deny);
}

TEST(HostRuleset, ANewRuleGoesWhereItDecides) {
  auto ruleset = ruleset_of({"allow 80/tcp"});
  auto placed = place(ruleset, rule_of("deny 80/tcp from 10.6.6.6"), {});
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->number, 1u);
  EXPECT_THAT(placed->remarks, Contains(HasSubstr("before rule 1 (allow in 80/tcp)")));
  placed = place(ruleset, rule_of("allow ssh"), {});
  EXPECT_EQ(placed->number, 3u);
  placed = place(ruleset, rule_of("allow ssh"), {});
  EXPECT_FALSE(placed->changed);
  placed = place(ruleset, rule_of("deny ssh"), {});
  EXPECT_EQ(placed->number, 3u);
  EXPECT_THAT(placed->remarks, Contains(HasSubstr("takes the place of rule 3")));
  placed = place(ruleset, rule_of("deny 80/tcp"), 1);
  EXPECT_THAT(placed->remarks, Contains(HasSubstr("does not decide any more")));
  placed = place(ruleset, rule_of("allow 80/tcp from 10.7.7.7"), 4);
  EXPECT_THAT(placed->remarks, Contains(HasSubstr("never decides: rule 1")));
  EXPECT_FALSE(place(ruleset, rule_of("allow http"), 99));
  auto other = ruleset_of({"allow ssh from 10.0.0.0/8"});
  EXPECT_EQ(place(other, rule_of("deny from 10.6.6.6"), {})->number, 1u) << "neither holds the other: the newer decides";
  EXPECT_EQ(place(other, rule_of("reject in any from 10.0.0.0/7"), {})->number, 3u) << "what holds the others comes after them";
  EXPECT_EQ(place(other, rule_of("deny out ssh"), {})->number, 4u);
  EXPECT_TRUE(remove_rule(ruleset, rule_of("deny 80/tcp")));
  EXPECT_FALSE(remove_rule(ruleset, rule_of("deny 81/tcp")));
  EXPECT_FALSE(remove_rule(ruleset, 0));
}

TEST(HostRuleset, ItsFileIsReadWholeOrNotAtAll) {
  const auto ruleset = ruleset_of({"allow in ssh from 10.0.0.0/8", "deny out smtp comment \"no mail\""});
  const auto read = parse_host_ruleset(to_string(ruleset), ServiceNames());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, ruleset);
  EXPECT_THAT(parse_host_ruleset("drpf-firewall 1\non\n\nallow shs\n", ServiceNames()).error().message, HasSubstr("line 4"));
  EXPECT_FALSE(parse_host_ruleset("", ServiceNames()));
  EXPECT_FALSE(parse_host_ruleset("on\n", ServiceNames()));
}

TEST(RuleSets, ElementsDoNotMeet) {
  const auto wide = *parse_prefix("10.0.0.0/8");
  const auto narrow = *parse_prefix("10.1.0.0/16");
  const auto range = [](std::uint16_t first, std::uint16_t last) { return PortRange(Port{first}, Port{last}); };
  const auto apart = disjoint({{wide, range(20, 30)}, {narrow, range(25, 40)}, {wide, range(28, 65535)}});
  ASSERT_TRUE(apart);
  EXPECT_THAT(*apart, testing::UnorderedElementsAre(PortsOfNetwork{wide, range(20, 65535)}));
  const auto other = disjoint({{narrow, range(20, 30)}, {wide, range(25, 26)}});
  EXPECT_THAT(*other, testing::UnorderedElementsAre(PortsOfNetwork{narrow, range(20, 24)}, PortsOfNetwork{wide, range(25, 26)},
                                                    PortsOfNetwork{narrow, range(27, 30)}));
}

TEST(HostRulesetText, TheWayBackIsASetThatEndsByItself) {
  HostTrial trial{ruleset_of({"allow ssh"}), std::chrono::seconds(30)};
  const auto text = host_nft_text(ruleset_of({"deny ssh"}), trial);
  EXPECT_THAT(text, HasSubstr("add element inet drpf_host on_trial { ipv4 timeout 30s, ipv6 timeout 30s }"));
  EXPECT_THAT(text, HasSubstr("input meta nfproto @on_trial goto judge_input\n"));
  EXPECT_THAT(text, HasSubstr("judge_input_before tcp dport 22 counter accept"));
  EXPECT_THAT(host_nft_text(ruleset_of({"deny ssh"})), testing::Not(HasSubstr("goto judge_input_before")));
}

TEST(HostRulesetText, ManyRulesCostWhatOneDoes) {
  HostRuleset ruleset;
  ruleset.on = true;
  for (unsigned i = 0; i < 2000; ++i)
    ruleset.rules.push_back(
        rule_of("allow " + std::to_string(1024 + i) + "/tcp from 10." + std::to_string(i / 256) + "." + std::to_string(i % 256) + ".0/24"));
  const auto text = host_nft_text(ruleset);
  EXPECT_THAT(text, HasSubstr("ip saddr . tcp dport { "));
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = text.find("add rule inet drpf_host judge_input ", at)) != std::string::npos; ++at) ++lines;
  EXPECT_LT(lines, 16u);
}

}  // namespace
}  // namespace drpf::firewall
