#include "scan/own/lease_diagnosis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include <set>

namespace drpf::scan {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr WallTime noon{std::chrono::seconds(1'772'366'400)};  // 2026-03-01T12:00:00Z

// A lease that leads to a connected device, with the rules standing; nobody has come yet.
LeaseEvidence standing(Protocol protocol = Protocol::tcp) {
  LeaseEvidence evidence;
  evidence.protocol = protocol;
  evidence.public_side = *parse_endpoint("198.51.100.1:20000");
  evidence.now = noon;
  evidence.holder = LeaseEvidence::Holder{"laptop", "ann", *parse_endpoint("10.77.0.2:8080")};
  evidence.active = true;
  evidence.connected = true;
  evidence.last_handshake = noon - std::chrono::seconds(56);
  evidence.visitor = *parse_address("192.0.2.77");
  return evidence;
}

// The same, visited: what went into the tunnel is remembered by the connection table, and the tunnel was heard.
LeaseEvidence visited(Cause cause, Protocol protocol = Protocol::tcp) {
  auto evidence = standing(protocol);
  evidence.visit = Verdict{.cause = cause, .rtt = std::chrono::microseconds(12'340), .probes = 1};
  evidence.led_to = evidence.holder->at;
  evidence.tunnel_sent = true;
  evidence.tunnel_answered = true;
  return evidence;
}

void expect(const LeaseEvidence& evidence, Finding finding, const char* sentence, const char* cure) {
  const auto diagnosis = diagnose(evidence);
  EXPECT_EQ(to_string(diagnosis.finding), to_string(finding)) << diagnosis.sentence;
  EXPECT_THAT(diagnosis.sentence, HasSubstr(sentence));
  EXPECT_TRUE(diagnosis.sentence.ends_with('.')) << diagnosis.sentence;
  EXPECT_THAT(diagnosis.cure, HasSubstr(cure));
  EXPECT_EQ(diagnosis.cure.empty(), finding == Finding::answers) << diagnosis.cure;
}

TEST(LeaseDiagnosis, AProgramAnswers) {
  expect(visited(Cause::syn_ack), Finding::answers, "the program on the device laptop answers at TCP port 8080 within 12.3 ms.", "");
  expect(visited(Cause::udp_response, Protocol::udp), Finding::answers, "answers at UDP port 8080 within", "");
}

TEST(LeaseDiagnosis, NobodyListens) {
  auto refused = visited(Cause::reset);
  refused.led_to.reset();  // the kernel forgets a connection that was refused
  expect(refused, Finding::nobody_listens, "nothing listens there at TCP port 8080: it answers with a reset",
         "lease set 20000/tcp --local PORT");
  expect(visited(Cause::port_unreach, Protocol::udp), Finding::nobody_listens, "UDP port 8080: it answers with port unreachable",
         "not on 127.0.0.1");
}

TEST(LeaseDiagnosis, AResetThatNeverWasInTheTunnelIsNotTheDevices) {
  auto evidence = visited(Cause::reset);
  evidence.led_to.reset();
  evidence.tunnel_sent = false;
  expect(evidence, Finding::blocked_on_gateway, "does not get into the tunnel", "drpf check");
}

TEST(LeaseDiagnosis, TheDevicesFirewall) {
  expect(visited(Cause::port_unreach), Finding::rejected_by_device, "its own firewall refuses them: it answers with port-unreach",
         "came from 192.0.2.77");
  expect(visited(Cause::admin_prohibited, Protocol::udp), Finding::rejected_by_device, "admin-prohibited", "Allow UDP port 8080");
  auto dropped = visited(Cause::no_response);
  dropped.answers_gateway = dropped.answers_elsewhere = false;
  expect(dropped, Finding::dropped_by_device, "the firewall of the device laptop drops TCP port 8080 without a word, for it is as silent",
         "Allow TCP port 8080 from everywhere");
  auto choosy = visited(Cause::no_response);
  choosy.connections = 5;
  choosy.answered = 3;
  expect(choosy, Finding::dropped_by_device, "3 of 5 others that are remembered got an answer", "192.0.2.77");
}

// The device refuses at other ports, so no firewall drops everything and the tunnel brings its answers here.
TEST(LeaseDiagnosis, AServerThatHangsIsNotTheFirewallsFault) {
  auto hangs = visited(Cause::no_response);
  hangs.answers_gateway = false;
  hangs.answers_elsewhere = true;
  expect(hangs, Finding::silent, "the program there hangs (the queue of connections that it has not taken is full), or a rule",
         "restart it");
  hangs.connections = hangs.answered = 2;  // before it hung
  expect(hangs, Finding::silent, "the program there hangs", "ss -ltn");
}

TEST(LeaseDiagnosis, AnswersThatDoNotComeBackAreNotTheFirewallsFault) {
  auto evidence = visited(Cause::no_response);
  evidence.public_side = *parse_endpoint("[2001:db8:51::1]:20000");
  evidence.holder->at = *parse_endpoint("[fd77::2]:8080");
  evidence.led_to = evidence.holder->at;
  evidence.answers_gateway = true;
  evidence.answers_elsewhere = true;
  expect(evidence, Finding::no_way_back, "answers the gateway itself at TCP port 8080, and strangers over IPv6 not", "AllowedIPs = ::/0");
  evidence.answers_gateway = evidence.answers_elsewhere = false;
  evidence.answers_other_family = true;
  expect(evidence, Finding::no_way_back, "Over IPv6 nothing of the device laptop comes back, and over IPv4 it answers",
         "AllowedIPs = ::/0");
  evidence.answers_elsewhere = true;  // something comes back
  expect(evidence, Finding::silent, "the program there hangs", "restart it");
  auto udp = visited(Cause::no_response, Protocol::udp);
  udp.answers_gateway = true;
  expect(udp, Finding::no_way_back, "strangers over IPv4 not", "AllowedIPs = 0.0.0.0/0");
}

TEST(LeaseDiagnosis, WithoutOtherQuestionsSilenceIsNotExplained) {
  expect(visited(Cause::no_response), Finding::silent, "a program that hangs, a firewall that drops, or answers that go another way",
         "on the device itself");
  expect(visited(Cause::no_response, Protocol::udp), Finding::silent, "no program at all, or a firewall that drops",
         "on the device itself");
  auto udp = visited(Cause::no_response, Protocol::udp);
  udp.answers_gateway = udp.answers_elsewhere = false;
  expect(udp, Finding::silent, "and nothing from a port where nobody listens", "Allow UDP port 8080");
}

TEST(LeaseDiagnosis, SilenceOverUdpSaysWhatItCannotTell) {
  auto strange = visited(Cause::no_response, Protocol::udp);
  strange.answers_elsewhere = true;
  expect(strange, Finding::silent, "does not answer strangers, or a firewall that drops them", "--passive");
  auto wireguard = visited(Cause::no_response, Protocol::udp);
  wireguard.answers_elsewhere = true;
  wireguard.holder->at.port = Port(51820);
  wireguard.led_to = wireguard.holder->at;
  expect(wireguard, Finding::silent, "how the service of UDP port 51820 answers everybody that it does not know", "a client that it knows");
  auto served = visited(Cause::no_response, Protocol::udp);
  served.connections = 2;
  served.answered = 1;
  expect(served, Finding::answers, "1 of 2 that are remembered got an answer", "");
}

TEST(LeaseDiagnosis, ErrorsThatAreNotTheDevicesAreTheGateways) {
  auto evidence = visited(Cause::host_unreach);
  evidence.visit->sender = *parse_address("10.77.0.1");
  expect(evidence, Finding::blocked_on_gateway, "host-unreach from 10.77.0.1", "Docker");
  evidence = visited(Cause::admin_prohibited);
  evidence.led_to.reset();  // refused in the name of the public address, before the connection table took it in
  expect(evidence, Finding::blocked_on_gateway, "(admin-prohibited)", "Docker");
  evidence = visited(Cause::port_unreach, Protocol::udp);
  evidence.visit->sender = *parse_address("10.77.0.1");
  expect(evidence, Finding::blocked_on_gateway, "port-unreach from 10.77.0.1", "Docker");
}

TEST(LeaseDiagnosis, WhatDoesNotGetIntoTheTunnelIsBlockedHere) {
  auto evidence = visited(Cause::no_response);
  evidence.led_to.reset();
  expect(evidence, Finding::blocked_on_gateway, "(without a word)", "drpf check");
  evidence.connections = 3;
  evidence.answered = 2;
  expect(evidence, Finding::answers,
         "2 of 3 that are remembered got an answer; a rule on this gateway that is not drpf's stops our own visit", "");
}

TEST(LeaseDiagnosis, SomethingElseAnswers) {
  auto evidence = visited(Cause::syn_ack);
  evidence.led_to = *parse_endpoint("172.17.0.2:80");
  expect(evidence, Finding::gone_astray, "is led to 172.17.0.2:80 and not to the device laptop", "drpf check");
}

TEST(LeaseDiagnosis, TheTunnelIsSilent) {
  auto evidence = visited(Cause::no_response);
  evidence.tunnel_answered = false;
  expect(evidence, Finding::tunnel_silent, "not even when it is called; its last handshake was at 11:59:04 UTC.", "PersistentKeepalive");
}

TEST(LeaseDiagnosis, ATunnelThatCannotBeCalledLeavesItOpen) {
  auto evidence = visited(Cause::no_response);
  evidence.tunnel_answered = evidence.tunnel_called = false;
  expect(evidence, Finding::silent,
         "either cannot be reached just now, or drops TCP port 8080 without a word; its last handshake was at 11:59:04", "192.0.2.77");
}

TEST(LeaseDiagnosis, TheTunnelIsDown) {
  auto evidence = standing();
  evidence.active = evidence.connected = false;
  evidence.before = LeaseEvidence::Past{"laptop", "ann", noon - std::chrono::minutes(3)};
  expect(evidence, Finding::tunnel_down, "laptop is not connected since 11:57:00 UTC; port 20000/tcp", "Start the tunnel");
  evidence.before->until = noon - std::chrono::hours(13);
  expect(evidence, Finding::tunnel_down, "since 23:00:00 UTC on 2026-02-28;", "Start the tunnel");
  evidence.before->device = "tower";  // who had it before says nothing of when this one left
  expect(evidence, Finding::tunnel_down, "its last handshake was at 11:59:04 UTC", "Start the tunnel");
  evidence.last_handshake.reset();
  expect(evidence, Finding::tunnel_down, "has not been since it was added", "Start the tunnel");
  evidence.connected = true;
  expect(evidence, Finding::tunnel_down, "which is connected, but it is not open", "drpf status");
}

TEST(LeaseDiagnosis, TheAccountIsSuspended) {
  auto evidence = standing();
  evidence.suspended = true;
  evidence.active = false;
  expect(evidence, Finding::account_suspended, "The account ann is suspended", "drpf account set ann --resume");
}

TEST(LeaseDiagnosis, ThereIsNoLease) {
  LeaseEvidence evidence;
  evidence.public_side = *parse_endpoint("198.51.100.1:20000");
  evidence.now = noon;
  expect(evidence, Finding::lease_unknown, "none is remembered", "drpf lease add DEVICE 20000/tcp");
  evidence.before = LeaseEvidence::Past{"laptop", "ann", noon - std::chrono::hours(1)};
  expect(evidence, Finding::lease_ended, "it led to the device laptop (account ann) until 11:00:00 UTC.",
         "drpf lease add laptop 20000/tcp");
  evidence.leasable = false;
  expect(evidence, Finding::lease_unknown, "it is not in the pool", "[ports] pool");
}

TEST(LeaseDiagnosis, TheRulesAreMissing) {
  auto evidence = standing();
  evidence.rules = LeaseEvidence::Rules::lost;
  expect(evidence, Finding::rule_missing, "rule set (nftables table inet drpf) is gone", "drpf status");
  evidence.rules = LeaseEvidence::Rules::element_missing;
  expect(evidence, Finding::rule_missing, "The rule that leads port 20000/tcp to the device laptop is missing", "drpf check");
}

TEST(LeaseDiagnosis, WithoutAVisitOnlyWhatHasHappenedIsTold) {
  auto evidence = standing();
  expect(evidence, Finding::not_visited, "Nobody has knocked at port 20000/tcp since it was opened (no visit was made).",
         "provider's firewall");
  evidence.no_visit_reason = "there are no TUN devices here";
  expect(evidence, Finding::not_visited, "(no visit could be made: there are no TUN devices here)", "provider's firewall");
  evidence.visits = 1;
  expect(evidence, Finding::not_answered, "1 visit came to port 20000/tcp since it was opened, and none of them is remembered",
         "without --passive");
  evidence.visits = 4;
  evidence.connections = 3;
  expect(evidence, Finding::not_answered, "4 visits came", "device's firewall");
  evidence.answered = 2;
  expect(evidence, Finding::answers, "2 of 3 that are remembered got an answer", "");
}

TEST(LeaseDiagnosis, WhatCouldNotBeSentSaysNothing) {
  auto evidence = visited(Cause::local_error);
  evidence.visit->detail = 105;  // ENOBUFS
  evidence.led_to.reset();
  expect(evidence, Finding::no_statement, "the visit could not be made (local-error", "Try again");
  expect(visited(Cause::none), Finding::no_statement, "could not be made", "Try again");
}

// Whatever is known: one sentence, and a cure wherever something is wrong.
RC_GTEST_PROP(LeaseDiagnosis, SaysOneSentenceAndOneCure, ()) {
  LeaseEvidence evidence = standing(*rc::gen::element(Protocol::tcp, Protocol::udp));
  const auto flag = [] { return *rc::gen::arbitrary<bool>(); };
  if (flag()) evidence.holder.reset();
  evidence.active = flag();
  evidence.connected = flag();
  evidence.suspended = *rc::gen::inRange(0, 8) == 0;
  evidence.leasable = flag();
  if (flag()) evidence.last_handshake.reset();
  if (flag())
    evidence.before =
        LeaseEvidence::Past{flag() ? "laptop" : "tower", "ann", flag() ? std::optional(noon - std::chrono::hours(1)) : std::nullopt};
  evidence.tunnel_answered = flag();
  evidence.tunnel_called = flag();
  evidence.tunnel_sent = flag();
  if (flag()) evidence.answers_gateway = flag();
  if (flag()) evidence.answers_elsewhere = flag();
  evidence.answers_other_family = flag();
  evidence.rules = static_cast<LeaseEvidence::Rules>(*rc::gen::inRange(0, 8) / 6 * *rc::gen::inRange(0, 3));
  evidence.visits = *rc::gen::inRange<std::uint64_t>(0, 4);
  evidence.connections = *rc::gen::inRange<std::uint64_t>(0, evidence.visits + 1);
  evidence.answered = *rc::gen::inRange<std::uint64_t>(0, evidence.connections + 1);
  if (flag()) evidence.visit = Verdict{.cause = static_cast<Cause>(*rc::gen::inRange(0, static_cast<int>(Cause::local_error) + 1))};
  if (evidence.visit && flag()) evidence.visit->sender = *parse_address("203.0.113.9");
  if (flag()) evidence.led_to = *parse_endpoint(flag() ? "10.77.0.2:8080" : "172.17.0.2:80");
  const auto diagnosis = diagnose(evidence);
  RC_ASSERT(!diagnosis.sentence.empty());
  RC_ASSERT(diagnosis.sentence.back() == '.');
  RC_ASSERT(diagnosis.sentence.front() < 'a');  // a capital, or a number
  RC_ASSERT(diagnosis.cure.empty() == (diagnosis.finding == Finding::answers));
  // Nothing is called open without an answer, and nothing wrong of a device that was not reached.
  if (diagnosis.finding == Finding::answers)
    RC_ASSERT(evidence.answered > 0 || (evidence.visit && evidence.visit->cause != Cause::no_response));
  // The firewall is blamed only where it is known that nothing else is as silent by itself.
  if (diagnosis.finding == Finding::dropped_by_device)
    RC_ASSERT(evidence.tunnel_answered && evidence.answers_elsewhere != true && evidence.answers_gateway != true &&
              (evidence.answers_elsewhere == false || evidence.answered > 0));
  if (!evidence.holder) RC_ASSERT(diagnosis.finding == Finding::lease_unknown || diagnosis.finding == Finding::lease_ended);
}

TEST(LeaseDiagnosis, EveryFindingHasAWordOfItsOwn) {
  std::set<std::string_view> words;
  for (auto finding = Finding::answers; finding <= Finding::no_statement;
       finding = Finding{static_cast<std::uint8_t>(static_cast<int>(finding) + 1)})
    words.insert(to_string(finding));
  EXPECT_EQ(words.size(), 17U);
  EXPECT_EQ(words.count("nobody_listens"), 1U);
  EXPECT_EQ(to_string(Finding::no_statement), "no_statement");
}

}  // namespace
}  // namespace drpf::scan
