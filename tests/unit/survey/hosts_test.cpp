// Which hosts are there, by what their neighbours, routers and this machine say of them.
#include <boost/json/parse.hpp>

#include "unit/survey/no_network.h"

namespace drpf::survey {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

std::map<std::string, boost::json::value> by_address(const std::string& text) {
  std::map<std::string, boost::json::value> hosts;
  const auto all = boost::json::parse(text);
  for (const auto& host : all.as_array()) hosts.emplace(host.at("address").as_string(), host);
  return hosts;
}

// A phone drops everything and answers ARP: it is there. Who does not answer ARP cannot be asked anything.
TEST(ScanRun, BelievesTheAnswersOfNeighbours) {
  const FakeMachine machine;
  auto options = with_targets({"10.0.0.5-9", "10.0.0.11", "fd00::5"});
  options.ports = "22";
  FakeScanner scanner;
  const auto card = [](std::uint8_t last) { return probe::LinkAnswer{system::MacAddress{2, 0, 0, 0, 0, last}, true}; };
  scanner.links = {{address("10.0.0.5"), card(5)},
                   {address("10.0.0.7"), {}},
                   {address("10.0.0.11"), card(11)},
                   {address("10.0.0.9"), {system::MacAddress{2, 0, 0, 0, 0, 9}, false}},
                   {address("fd00::5"), card(5)}};
  const auto ran = run_with(scanner, *machine.plan(options), scan::Format::json);
  EXPECT_THAT(texts(scanner.requests[1].targets), ElementsAre("10.0.0.9")) << "the others are known by then";
  EXPECT_THAT(texts(scanner.requests[2].targets), ElementsAre("10.0.0.5", "10.0.0.6", "10.0.0.8", "10.0.0.11"));
  auto hosts = by_address(ran.text);
  EXPECT_EQ(hosts.at("10.0.0.5").at("status_reason").as_string(), "arp-response");
  EXPECT_EQ(hosts.at("10.0.0.5").at("hardware_address").as_string(), "02:00:00:00:00:05");
  EXPECT_EQ(hosts.at("10.0.0.7").at("status").as_string(), "down");
  EXPECT_EQ(hosts.at("10.0.0.7").at("status_reason").as_string(), "nothing answered ARP");
  EXPECT_EQ(hosts.at("10.0.0.9").at("status_reason").as_string(), "nothing answered 6 probes") << "its address was written down by hand";
  EXPECT_EQ(hosts.at("10.0.0.11").at("status").as_string(), "up") << "a host that is named is not looked for, and heard all the same";
  EXPECT_THAT(std::string(hosts.at("10.0.0.11").at("notes").as_array()[0].as_string()), HasSubstr("nothing answered but ARP"));
  EXPECT_EQ(hosts.at("fd00::5").at("status_reason").as_string(), "nd-response");
}

TEST(ScanRun, DoesNotTakeARouterForTheHostsThatItAnswersFor) {
  const FakeMachine machine;
  auto options = with_targets({"10.0.0.5-9"});
  options.only_discovery = true;
  FakeScanner scanner;
  for (const auto* one : {"10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.9"}) scanner.links[address(one)] = {system::MacAddress{2}, true};
  auto ran = run_with(scanner, *machine.plan(options), scan::Format::json);
  EXPECT_EQ(ran.outcome.tail.hosts_up, 2U);
  EXPECT_EQ(by_address(ran.text).at("10.0.0.5").at("status").as_string(), "down");
  EXPECT_THAT(ran.outcome.tail.warnings, ElementsAre(HasSubstr("02:00:00:00:00:00 answers ARP for 4 addresses")));
  scanner.links.erase(address("10.0.0.5"));  // a machine may have a few
  ran = run_with(scanner, *machine.plan(options), scan::Format::json);
  EXPECT_EQ(ran.outcome.tail.hosts_up, 4U);
  EXPECT_THAT(ran.outcome.tail.warnings, IsEmpty());
}

TEST(ScanRun, BelievesARouterThatSaysThatNobodyIsThere) {
  const FakeMachine machine;
  auto options = with_targets({"10.0.0.5"});
  options.ports = "22";
  FakeScanner scanner;
  scanner.links[address("10.0.0.5")] = {system::MacAddress{2}, true};
  scanner.verdicts[address("10.0.0.5")] = {.state = State::filtered, .cause = Cause::host_unreach, .sender = address("10.0.0.1")};
  EXPECT_EQ(run_with(scanner, *machine.plan(options), scan::Format::json).outcome.tail.hosts_up, 0U);
}

// Behind a router silence takes long: the echo and the ports are awaited at the same time, at no more than the rate.
TEST(ScanRun, LooksForFarHostsInBothWaysAtOnce) {
  const FakeMachine machine;
  auto options = with_targets({"10.9.0.4-5"});
  options.only_discovery = true;
  options.max_rate = "300";
  FakeScanner scanner;
  scanner.verdicts[address("10.9.0.5")] = {
      .state = State::filtered, .cause = Cause::host_unreach, .sender = address("10.0.0.1"), .probes = 2};
  const auto ran = run_with(scanner, *machine.plan(options), scan::Format::json);
  ASSERT_THAT(scanner.requests, SizeIs(2));
  for (const auto& request : scanner.requests) {
    EXPECT_THAT(request.targets, SizeIs(2));
    EXPECT_EQ(request.pace.ceiling, 150);
  }
  auto hosts = by_address(ran.text);
  EXPECT_EQ(hosts.at("10.9.0.4").at("status").as_string(), "up");
  EXPECT_EQ(hosts.at("10.9.0.5").at("status_reason").as_string(), "host-unreach from 10.0.0.1");
}

TEST(ScanRun, NeverCallsATroubleOfThisMachineTheTargets) {
  const FakeMachine machine;
  for (const bool only_discovery : {false, true}) {
    auto options = with_targets({"10.9.0.4-5", "nowhere"});
    options.ports = "22,23,24";
    options.only_discovery = only_discovery;
    FakeScanner scanner;
    scanner.verdicts[address("10.9.0.5")] = {.cause = Cause::local_error, .detail = 101, .note = "this machine has no route to it"};
    const auto ran = run_with(scanner, *machine.plan(options), scan::Format::json);
    const auto& tail = ran.outcome.tail;
    EXPECT_EQ(by_address(ran.text).at("10.9.0.4").at("status").as_string(), "up");
    EXPECT_EQ(by_address(ran.text).at("10.9.0.5").at("status").as_string(), "unknown");
    EXPECT_THAT(tail.undecided, ElementsAre(HasSubstr("'nowhere' cannot be resolved"), StartsWith("10.9.0.5: ")));
    EXPECT_FALSE(ran.outcome.error);
    if (only_discovery) continue;
    EXPECT_EQ(tail.tally.undecided, 3U);
    EXPECT_THAT(tail.warnings, ElementsAre(HasSubstr("3 ports of 1 host could not be asked: this machine has no route to it")));
  }
}

TEST(ScanRun, NamesAFewOfManyUndecidedPortsAndTheInterfaceOfALinkLocalAddress) {
  const FakeMachine machine;
  auto options = with_targets({"fe80::5%eth0"});
  options.ports = "1,3,5,7,9,11,13,15";
  FakeScanner scanner;
  scanner.verdicts[address("fe80::5")] = {};
  const auto ran = run_with(scanner, *machine.plan(options), scan::Format::json);
  EXPECT_THAT(ran.outcome.tail.undecided, ElementsAre("fe80::5%eth0: 1,3,5,7,9 and 3 more of tcp"));
  EXPECT_EQ(by_address(ran.text).count("fe80::5%eth0"), 1U);
}

}  // namespace
}  // namespace drpf::survey
