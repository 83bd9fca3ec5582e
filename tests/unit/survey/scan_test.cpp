// `drpf scan` without a network: what is refused, and what the run makes of a scanner's verdicts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <sstream>

#include "support/temporary_folder.h"
#include "survey/audit.h"
#include "survey/progress.h"
#include "survey/resume.h"
#include "unit/survey/no_network.h"

namespace drpf::survey {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

// --- Plans
TEST(ScanPlan, IsAThousandTcpPortsBySynOrByConnectWithoutTheRight) {
  FakeMachine machine;
  const auto plan = machine.plan(with_targets({"10.0.0.7"}));
  ASSERT_TRUE(plan) << plan.error().message;
  ASSERT_THAT(plan->passes, SizeIs(1));
  EXPECT_EQ(plan->passes[0].kind, Kind::syn);
  EXPECT_THAT(plan->passes[0].numbers, SizeIs(1000));
  EXPECT_TRUE(std::is_sorted(plan->passes[0].numbers.begin(), plan->passes[0].numbers.end()));
  machine.raw = false;
  for (const bool named : {false, true}) {
    auto options = with_targets({"10.0.0.7"});
    options.syn = named;
    const auto unprivileged = machine.plan(options);
    EXPECT_EQ(unprivileged->passes[0].kind, Kind::connect);
    EXPECT_THAT(unprivileged->remarks, ElementsAre(HasSubstr("connect scan")));
  }
  auto options = with_targets({"10.0.0.7"});
  options.fin = true;
  EXPECT_EQ(machine.plan(options).error().code, "no_permission");
}

TEST(ScanPlan, TakesPortsOfBothProtocols) {
  const FakeMachine machine;
  auto options = with_targets({"10.0.0.7"});
  options.ports = "T:22,80,U:53";
  auto plan = machine.plan(options);
  ASSERT_THAT(plan->passes, SizeIs(2));
  EXPECT_THAT(plan->passes[0].numbers, ElementsAre(22, 80));
  EXPECT_EQ(plan->passes[1].kind, Kind::udp);
  EXPECT_THAT(plan->passes[1].numbers, ElementsAre(53));
  options.ports = "U:53";
  EXPECT_THAT(machine.plan(options)->passes, SizeIs(1));
  options.ports = "53";
  options.udp = true;
  EXPECT_EQ(machine.plan(options)->passes[0].kind, Kind::udp);
  options.syn = true;
  EXPECT_THAT(machine.plan(options)->passes, SizeIs(2));
  options.ports = "";
  plan = machine.plan(options);
  EXPECT_THAT(plan->passes[0].numbers, SizeIs(1000));
  EXPECT_THAT(plan->passes[1].numbers, SizeIs(100));
  options.ports = "U:53";
  EXPECT_FALSE(machine.plan(options));
  options = with_targets({"10.0.0.7"});
  options.ip_protocol = true;
  EXPECT_THAT(machine.plan(options)->passes[0].numbers, SizeIs(256));
  options.syn = true;
  EXPECT_FALSE(machine.plan(options));
}

TEST(ScanPlan, AsksTheFirstAddressOfEachFamilyOfAnOwnNameOrAll) {
  FakeMachine machine;
  auto options = with_targets({"nas"});
  auto plan = machine.plan(options);
  EXPECT_THAT(texts(plan->targets), ElementsAre("10.0.0.7", "fd00::7"));
  EXPECT_THAT(plan->remarks, ElementsAre("'nas' has 3 addresses: asked are fd00::7 and 10.0.0.7; --all-addresses asks them all"));
  EXPECT_EQ(plan->names.at(address("fd00::7")), "nas");
  options.all_addresses = true;
  EXPECT_THAT(texts(machine.plan(options)->targets), ElementsAre("10.0.0.7", "10.0.0.8", "fd00::7"));
  // What lies outside of the scope is not what the name stands for here, unless there is nothing else.
  EXPECT_THAT(texts(machine.plan(with_targets({"hosted"}))->targets), ElementsAre("10.0.0.20"));
  EXPECT_EQ(machine.plan(with_targets({"server"})).error().code, "out_of_scope");
  auto vouched = with_targets({"server"});
  vouched.i_own_these = true;
  EXPECT_THAT(texts(machine.plan(vouched)->targets), ElementsAre("203.0.113.21", "2001:db8::21"));
  options.only_v4 = true;
  EXPECT_THAT(texts(machine.plan(options)->targets), ElementsAre("10.0.0.7", "10.0.0.8"));
  options.only_v6 = true;
  EXPECT_FALSE(machine.plan(options));
  EXPECT_EQ(machine.plan(with_targets({"nowhere"})).error().code, "target_unresolved");
}

// A trouble of this machine is not the others': they are asked all the same.
TEST(ScanPlan, GoesOnWithoutANameThatDoesNotResolve) {
  FakeMachine machine;
  machine.files = {{"list", "10.0.0.4\nnowhere\n"}};
  auto options = with_targets({"10.0.0.7", "neverland"});
  options.targets_files = {"list"};
  const auto plan = machine.plan(options);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_THAT(texts(plan->targets), ElementsAre("10.0.0.4", "10.0.0.7"));
  EXPECT_THAT(plan->unresolved, ElementsAre(HasSubstr("'neverland'"), HasSubstr("'nowhere'")));
  options.exclude = {"nowhere"};
  EXPECT_EQ(machine.plan(options).error().code, "target_unresolved") << "whom an exclude list means must be known";
}

TEST(ScanPlan, WantsTheInterfaceOfALinkLocalAddress) {
  const FakeMachine machine;
  for (const auto* text : {"fe80::1", "fe80::1-fe80::9", "local"}) {
    const auto plan = machine.plan(with_targets({"10.0.0.7", text}));
    ASSERT_FALSE(plan) << text;
    EXPECT_THAT(plan.error().message, HasSubstr("link-local"));
    EXPECT_THAT(plan.error().cure, HasSubstr("fe80::1%eth0 or --interface eth0; with such addresses here: eth0"));
  }
  EXPECT_EQ(machine.plan(with_targets({"fe80::1%eth0"}))->interface, "eth0");
  auto options = with_targets({"fe80::1"});
  options.interface = "eth0";
  EXPECT_TRUE(machine.plan(options));
}

TEST(ScanPlan, SaysThatRawProbesGoAroundOwnRules) {
  FakeMachine machine;
  auto options = with_targets({"10.0.0.7"});
  EXPECT_THAT(machine.plan(options)->remarks, IsEmpty());
  machine.chains = {"inet filter output"};
  EXPECT_THAT(machine.plan(options)->remarks, ElementsAre(HasSubstr("(inet filter output): raw probes go around them")));
  options.through_own_rules = true;
  const auto plan = machine.plan(options);
  EXPECT_THAT(plan->remarks, IsEmpty());
  EXPECT_TRUE(plan->through_own_rules);
  options.connect = true;
  EXPECT_THAT(machine.plan(options)->remarks, ElementsAre(HasSubstr("may look filtered")));
}

TEST(ScanPlan, KnowsWhatIsOwnAndWhatIsExcluded) {
  FakeMachine machine;
  machine.files = {{own_file, "203.0.113.0/24 # our rack\n"},
                   {exclude_file, "10.0.0.9\nstrange\n"},
                   {"more", "10.0.0.10"},
                   {"list", "10.0.0.8 10.0.0.9\n10.0.0.10"}};
  EXPECT_THAT(texts(machine.plan(with_targets({"198.51.100.2"}))->targets), ElementsAre("198.51.100.2"));  // this machine itself
  EXPECT_EQ(machine.plan(with_targets({"198.51.100.3"})).error().code, "out_of_scope");                    // not its neighbours
  EXPECT_TRUE(machine.plan(with_targets({"203.0.113.8"})));
  EXPECT_EQ(machine.plan(with_targets({"strange"})).error().code, "nothing_to_scan");  // excluded wins over own
  auto options = Options();
  options.targets_files = {"list"};
  options.exclude = {"10.0.0.11,10.0.0.12"};
  options.exclude_files = {"more"};
  EXPECT_THAT(texts(machine.plan(options)->targets), ElementsAre("10.0.0.8"));
  machine.files[exclude_file] = "10.0.0.9\nnot/a/target\n";
  EXPECT_THAT(machine.plan(options).error().message, HasSubstr("/etc/drpf/scan-exclude: line 2"));
  options.exclude_files = {"missing"};
  EXPECT_FALSE(machine.plan(options));
  machine.files = {{"-", "10.0.0.8\n"}};
  options = Options();
  options.targets_files = {"-"};
  EXPECT_THAT(texts(machine.plan(options)->targets), ElementsAre("10.0.0.8"));
  options.exclude_files = {"-"};
  EXPECT_THAT(machine.plan(options).error().message, HasSubstr("standard input")) << "the second list would be empty";
}

TEST(ScanPlan, RefusesWhatCannotBe) {
  const FakeMachine machine;
  const auto refused = [&](auto change) {
    auto options = with_targets({"10.0.0.7"});
    change(options);
    const auto plan = machine.plan(options);
    EXPECT_FALSE(plan);
    return plan ? "" : plan.error().message;
  };
  EXPECT_THAT(refused([](auto& o) { o.targets = {}; }), HasSubstr("no target"));
  EXPECT_THAT(refused([](auto& o) { o.syn = o.fin = true; }), HasSubstr("--syn and --fin"));
  EXPECT_THAT(refused([](auto& o) { o.ports = "80", o.top = 5; }), HasSubstr("-p and --top"));
  EXPECT_THAT(refused([](auto& o) { o.ports = "shh"; }), HasSubstr("'shh'"));
  EXPECT_THAT(refused([](auto& o) { o.interface = "eth9"; }), HasSubstr("no interface eth9"));
  EXPECT_THAT(refused([](auto& o) { o.source = "10.0.0.3"; }), HasSubstr("no address of this machine"));
  EXPECT_THAT(refused([](auto& o) { o.idle = "203.0.113.9"; }), HasSubstr("outside"));
  EXPECT_THAT(refused([](auto& o) { o.idle = "fd00::9"; }), HasSubstr("two families"));
  EXPECT_THAT(refused([](auto& o) { o.max_rate = "1000000"; }), HasSubstr("ceiling"));
  EXPECT_THAT(refused([](auto& o) { o.max_rate = "10", o.start_rate = "20"; }), HasSubstr("above --max-rate"));
  EXPECT_THAT(refused([](auto& o) { o.only_v6 = true; }), HasSubstr("other family"));
  EXPECT_THAT(refused([](auto& o) { o.no_discovery = o.only_discovery = true; }), HasSubstr("forbidden at once"));
  EXPECT_THAT(refused([](auto& o) { o.targets = {"fe80::1%eth0", "fe80::2%wan0"}; }), HasSubstr("two interfaces"));
}

// --- Runs
TEST(ScanRun, LooksWhichHostsOfARangeAreThereAndAsksTheirPorts) {
  const FakeMachine machine;
  auto options = with_targets({"10.0.0.4-7", "10.0.0.9"});
  options.ports = "22,23";
  const auto plan = machine.plan(options);
  ASSERT_TRUE(plan);
  FakeScanner scanner;
  const auto ran = run_with(scanner, *plan, scan::Format::json);
  // Discovery by echo, then by ports for the silent ones; then the ports of those that are there, and of the one that was named.
  ASSERT_THAT(scanner.requests, SizeIs(3));
  EXPECT_THAT(texts(scanner.requests[0].targets), ElementsAre("10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7"));
  EXPECT_EQ(scanner.requests[0].kind, Kind::ip_protocol);
  EXPECT_THAT(texts(scanner.requests[1].targets), ElementsAre("10.0.0.5", "10.0.0.7"));
  EXPECT_THAT(texts(scanner.requests[2].targets), ElementsAre("10.0.0.4", "10.0.0.6", "10.0.0.9"));
  const auto hosts = boost::json::parse(ran.text).as_array();
  ASSERT_THAT(hosts, SizeIs(5));
  EXPECT_EQ(hosts[1].at("status").as_string(), "down");
  EXPECT_THAT(hosts[1].at("ports").as_array(), IsEmpty());
  EXPECT_EQ(hosts[4].at("status").as_string(), "unknown");
  EXPECT_THAT(hosts[4].at("ports").as_array(), SizeIs(2));
  EXPECT_EQ(hosts[0].at("ports").as_array()[0].at("state").as_string(), "open");
  EXPECT_EQ(ran.outcome.tail.hosts_up, 2U);
  EXPECT_EQ(ran.outcome.tail.hosts_down, 2U);
  EXPECT_EQ(ran.outcome.tail.tally.decided, 6U);
  EXPECT_EQ(ran.outcome.tail.tally.open, 2U);
}

TEST(ScanRun, SkipsDiscoveryWhereItIsToldTo) {
  const FakeMachine machine;
  auto options = with_targets({"10.0.0.4-7"});
  options.ports = "22";
  options.no_discovery = true;
  FakeScanner scanner;
  run_with(scanner, *machine.plan(options), scan::Format::table);
  ASSERT_THAT(scanner.requests, SizeIs(1));
  EXPECT_THAT(scanner.requests[0].targets, SizeIs(4));
}

TEST(ScanRun, TakesManyHostsInGroupsOfOneFamily) {
  const FakeMachine machine;
  auto options = with_targets({"10.1.0.0/28", "fd00::/126"});
  options.ports = "1-10";
  options.no_discovery = true;
  FakeScanner scanner;
  scanner.verdicts_max = 0;
  const auto first = run_with(scanner, *machine.plan(options), scan::Format::csv, std::nullopt, 125);
  ASSERT_THAT(scanner.requests, SizeIs(1));  // it was interrupted at once
  EXPECT_THAT(scanner.requests[0].targets, SizeIs(12));
  EXPECT_EQ(first.outcome.tail.hosts_not_begun, 8U);
  EXPECT_EQ(first.outcome.tail.tally.undecided, 120U);
  scanner = {};
  const auto whole = run_with(scanner, *machine.plan(options), scan::Format::csv, std::nullopt, 125);
  ASSERT_THAT(scanner.requests, SizeIs(3));
  EXPECT_THAT(scanner.requests[1].targets, SizeIs(4));
  EXPECT_TRUE(scanner.requests[2].targets.front().is_v6());
  EXPECT_EQ(whole.outcome.tail.tally.decided, 200U);
}

// Interrupted after any number of verdicts and resumed from the text of its file, a scan says what it says in one go.
RC_GTEST_PROP(ScanRun, ResumedIsTheSameAsInOneGo, ()) {
  const FakeMachine machine;
  auto options = with_targets({"10.0.0.4-7", "fd00::4"});
  options.ports = "T:20-29,U:53,54";
  const auto plan = machine.plan(options);
  FakeScanner scanner;
  const auto whole = run_with(scanner, *plan, scan::Format::json);
  FakeScanner interrupted;
  interrupted.verdicts_max = *rc::gen::inRange<std::uint64_t>(0, scanner.given);
  const auto part = run_with(interrupted, *plan, scan::Format::json);
  RC_ASSERT(part.outcome.tail.tally.interrupted);
  boost::json::parse(part.text);
  const auto file = scan::parse_resume_file(resume_text(resume_file_of(*plan, part.knowledge, {"10.0.0.4-7"})));
  RC_ASSERT(file.has_value());
  auto knowledge = knowledge_of(*file, *plan);
  RC_ASSERT(knowledge.has_value());
  FakeScanner rest;
  const auto resumed = run_with(rest, *plan, scan::Format::json, std::move(*knowledge));
  RC_ASSERT(boost::json::parse(resumed.text) == boost::json::parse(whole.text));
}

TEST(ScanRun, IsResumedOnlyWithTheSameOptions) {
  const FakeMachine machine;
  auto options = with_targets({"10.0.0.4-7"});
  options.ports = "22,23";
  const auto plan = machine.plan(options);
  const auto file = resume_file_of(*plan, Knowledge(*plan), {});
  EXPECT_TRUE(knowledge_of(file, *plan));
  const auto refused = [&](auto change) {
    auto other = options;
    change(other);
    const auto known = knowledge_of(file, *machine.plan(other));
    return known ? "" : known.error().message;
  };
  EXPECT_THAT(refused([](auto& o) { o.targets = {"10.0.0.4-8"}; }), HasSubstr("other targets"));
  EXPECT_THAT(refused([](auto& o) { o.targets = {"10.0.0.5-8"}; }), HasSubstr("other targets"));
  EXPECT_THAT(refused([](auto& o) { o.ports = "22,24"; }), HasSubstr("other ports"));
  EXPECT_THAT(refused([](auto& o) { o.ack = true; }), HasSubstr("other kinds"));
}

TEST(ScanResume, KeepsNoPermissions) {
  EXPECT_THAT(words_to_keep({"203.0.113.1", "--i-own-these", "--more-than-65536", "--resume", "x", "--resume-file=y", "--i-own-these=true",
                             "--json"}),
              ElementsAre("203.0.113.1", "--json"));
}

// Whatever is combined: nobody is asked who may not be, and nothing is faster than the ceiling.
void try_a_combination() {
  FakeMachine machine;
  machine.raw = *rc::gen::inRange(0, 8) > 0;
  machine.files = {{exclude_file, "10.0.0.66\n203.0.113.66\nfd00::66"}, {"targets", "203.0.113.9\n10.0.0.66\n"}};
  const auto flag = [] { return *rc::gen::arbitrary<bool>(); };
  const auto one_of = [](std::vector<std::string> words) { return *rc::gen::elementOf(words); };
  Options options;
  options.targets = *rc::gen::resize(5, rc::gen::container<std::vector<std::string>>(rc::gen::elementOf(std::vector<std::string>{
                                            "10.0.0.1",       "10.0.0.1",     "10.0.0.66", "10.0.0.0/24",       "10.1.0.0/16",
                                            "203.0.113.0/28", "203.0.113.66", "8.8.8.8",   "0.255.0.0-1.0.0.9", "0.0.0.0",
                                            "127.0.0.1",      "127.0.0.0/8",  "224.0.0.1", "255.255.255.255",   "fd00::1",
                                            "fd00::66",       "2001:db8::1",  "ff02::1",   "::ffff:8.8.8.8",    "::",
                                            "fe80::1%eth0",   "nas",          "strange",   "126-128.0.0.1"})));
  if (flag()) options.targets_files = {"targets"};
  if (flag()) options.exclude = {"10.0.0.5"};
  options.i_own_these = flag() || flag();
  options.more_than_65536 = flag() || flag();
  options.all_addresses = flag();
  options.idle = flag() && flag() ? one_of({"10.0.0.77", "203.0.113.77", "8.8.4.4:53", "strange", "127.0.0.1", "10.0.0.66"}) : "";
  options.syn = options.idle.empty() && flag();
  options.udp = flag();
  options.ports = one_of({"", "80", "U:53", "T:22,U:53"});
  options.max_rate = one_of({"", "", "", "0.5", "100000", "100001", "nan"});
  options.start_rate = one_of({"", "", "", "1", "100000", "500k"});
  options.retries = one_of({"", "x"}).empty() ? -1 : 0;
  options.no_discovery = flag();
  options.discovery = flag();
  options.source = one_of({"", "", "", "10.0.0.2", "8.8.8.8"});
  const auto plan = machine.plan(options);
  RC_TAG(plan ? "admitted" : plan.error().code);
  if (!plan) return;
  RC_ASSERT(plan->targets.size() <= scan::targets_without_asking_max || options.more_than_65536);
  if (plan->targets.size() > 1000) return;  // the run is tried with fewer
  FakeScanner scanner;
  scanner.verdicts_max = 1000;
  run_with(scanner, *plan, scan::Format::csv);
  for (const auto& request : scanner.requests) {
    RC_ASSERT(request.pace.ceiling <= scan::rate_ceiling);
    RC_ASSERT(request.pace.start.value_or(0) <= request.pace.ceiling);
    RC_ASSERT(request.source.value_or(address("10.0.0.2")) == address("10.0.0.2"));
    for (const auto& target : request.targets) {
      for (const auto* never : {"10.0.0.66", "203.0.113.66", "fd00::66", "10.0.0.0", "10.0.0.255", "::", "::ffff:8.8.8.8"})
        RC_ASSERT(target != address(never));
      RC_ASSERT(!target.is_multicast() && !target.is_unspecified());
      RC_ASSERT(!(target.is_v4() && (target.bytes()[0] == 0 || target.bytes()[0] >= 224)));
      const auto& prefixes = scan::private_prefixes();
      const bool inside = target.is_loopback() ||
                          std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) { return prefix.contains(target); });
      RC_ASSERT(inside || options.i_own_these);
      RC_ASSERT(inside || options.idle.empty());
      RC_ASSERT(inside || plan->admitted.vouched_for().contains(target));
    }
    if (request.zombie) RC_ASSERT(request.zombie->address == address("10.0.0.77"));
  }
}

RC_GTEST_PROP(ScanGate, IsNotPassedByAnyCombinationOfOptions, ()) {
  for (int i = 0; i < 5; ++i) try_a_combination();
}

// --- What is written beside the report
TEST(ScanAudit, IsALineWithWhoWhatWhenAndHowFast) {
  const test::TemporaryFolder folder;
  const auto path = folder / "log/scan.log";
  const AuditEntry entry{WallTime(std::chrono::seconds(1'772'366'400)), "ann (uid 1000)", "203.0.113.0/28\nx; syn: 3 ports", 500};
  ASSERT_TRUE(write_audit(path, entry));
  ASSERT_TRUE(write_audit(path, entry));
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  EXPECT_EQ(
      line,
      R"(2026-03-01T12:00:00Z ann (uid 1000) scans 203.0.113.0/28\x0ax; syn: 3 ports at up to 500 packets/s, saying that these addresses are theirs)");
  EXPECT_TRUE(std::getline(file, line));
  EXPECT_FALSE(write_audit(folder / "log", entry));
}

TEST(ScanProgress, IsALineOrJson) {
  const ProgressState state{"syn scan", 250, 1000, 3, 1234.5, std::chrono::seconds(61)};
  EXPECT_EQ(progress_text(ProgressForm::line, state), "syn scan: 25.0 % of 1000, 3 open, 1234 packets/s, 61 s left");
  const auto json = boost::json::parse(progress_text(ProgressForm::json, state)).at("progress");
  EXPECT_EQ(json.at("done").as_int64(), 250);
  EXPECT_EQ(json.at("time_left_s").to_number<double>(), 61.0);
  EXPECT_EQ(progress_form("auto", false), ProgressForm::none);
  EXPECT_EQ(progress_form("auto", true), ProgressForm::line);
  EXPECT_FALSE(progress_form("often", true));
}

}  // namespace
}  // namespace drpf::survey
