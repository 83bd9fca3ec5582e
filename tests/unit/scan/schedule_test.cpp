#include "scan/ask/schedule.h"

#include <gtest/gtest.h>

#include "unit/scan/simulated_network.h"

namespace drpf::scan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Answer syn_ack{.type = AnswerType::syn_ack};
const Answer reset{.type = AnswerType::reset};
const Answer port_unreachable{.type = AnswerType::icmp, .icmp = {3, 3}};

std::optional<Answer> ordinary(std::size_t, std::uint16_t port) { return port % 300 == 0 ? syn_ack : reset; }
std::optional<Answer> filtering(std::size_t, std::uint16_t port) {
  if (port % 300 == 0) return syn_ack;
  return std::nullopt;
}

TEST(Schedule, AsksEachPortOfACleanHostOnceAndTellsEachOnce) {
  SimulatedNetwork network({.answer = ordinary});
  const auto request = request_for(Kind::syn, 1, 1, 65535);
  network.scan(request, rate_start_on_link);
  EXPECT_EQ(network.verdicts.size(), 65535U);
  EXPECT_EQ(network.told_twice, 0U);
  EXPECT_EQ(network.count(State::open), 218U);
  EXPECT_EQ(network.count(State::closed), 65317U);
  EXPECT_LT(network.took, milliseconds(1000));
  EXPECT_LT(network.tally.probes, 66000U);
  EXPECT_EQ(network.tally.undecided, 0U);
  EXPECT_EQ(network.tally.open, 218U);
  EXPECT_EQ(network.tally.miss_probability, 0);
}

struct Line {
  double loss;
  Duration at_most;
};
class LossyLines : public testing::TestWithParam<Line> {};
INSTANTIATE_TEST_SUITE_P(Schedule, LossyLines,
                         testing::Values(Line{0.05, milliseconds(2000)}, Line{0.2, milliseconds(4000)}, Line{0.33, milliseconds(8000)}),
                         [](const auto& line) { return std::to_string(static_cast<int>(line.param.loss * 100)) + "percent"; });

TEST_P(LossyLines, LossIsMeasuredAndMadeUpForWithoutSlowingDown) {
  SimulatedNetwork network({.loss = GetParam().loss, .answer = ordinary});
  network.scan(request_for(Kind::syn, 1, 1, 65535), rate_start_on_link);
  EXPECT_EQ(network.count(State::open), 218U);
  EXPECT_GE(network.count(State::closed), 65316U);
  EXPECT_LT(network.took, GetParam().at_most);
  const double both = 1 - (1 - GetParam().loss) * (1 - GetParam().loss);
  ASSERT_TRUE(network.tally.loss);
  EXPECT_NEAR(*network.tally.loss, both, 0.02);
}

// Canaries alone measure the loss of a host that filters nearly everything.
TEST_P(LossyLines, OpenPortsAmongFilteredOnesAreFound) {
  SimulatedNetwork network({.loss = GetParam().loss, .answer = filtering});
  network.scan(request_for(Kind::syn, 1, 1, 3000), rate_start_on_link);
  EXPECT_EQ(network.count(State::open), 10U);
  EXPECT_EQ(network.count(State::filtered), 2990U);
  EXPECT_LT(network.tally.miss_probability, 1e-5);
  EXPECT_GT(network.tally.miss_probability, 0);
}

TEST(Schedule, ASilentHostIsAskedThreeTimesAtTheStartRateAndLossIsNotClaimed) {
  SimulatedNetwork network({.answer = [](auto, auto) { return std::nullopt; }});
  network.scan(request_for(Kind::syn, 1, 1, 1000), 10'000);
  EXPECT_EQ(network.count(State::filtered), 1000U);
  EXPECT_EQ(network.tally.probes, 3000U);
  EXPECT_FALSE(network.tally.loss);
  EXPECT_EQ(network.tally.loss_measured_by, "nothing answered");
  EXPECT_EQ(network.tally.miss_probability, 1);
  EXPECT_GT(network.took, milliseconds(350));
  EXPECT_LT(network.took, milliseconds(800));
}

TEST(Schedule, CongestionSlowsDown) {
  SimulatedNetwork network({.capacity = 8'000, .answer = ordinary});
  network.scan(request_for(Kind::syn, 1, 1, 65535), rate_start_on_link);
  EXPECT_EQ(network.count(State::open), 218U);
  EXPECT_EQ(network.count(State::closed), 65317U);
  // 8.2 s at the least. Without control nine of ten probes would be lost.
  EXPECT_LT(network.took, seconds(25));
  EXPECT_LT(network.tally.probes, 65535U * 3);
}

TEST(Schedule, NeverFasterThanTheCeiling) {
  auto request = request_for(Kind::syn, 1, 1, 2000);
  request.pace.ceiling = 500;
  SimulatedNetwork network({.answer = ordinary});
  network.scan(request, rate_start_on_link);
  EXPECT_GE(network.took, milliseconds(3990));
  EXPECT_EQ(network.count(State::undecided), 0U);
}

TEST(Schedule, LateAnswersAreTakenAndTheirTimeIsRight) {
  for (const auto delay : {milliseconds(20), milliseconds(200), milliseconds(900)}) {
    SimulatedNetwork network({.delay = delay, .answer = ordinary});
    network.scan(request_for(Kind::syn, 1, 200, 400), rate_start_routed, {HostStart{first_timeout_routed, {}}});
    EXPECT_EQ(network.count(State::open), 1U);
    EXPECT_EQ(network.count(State::closed), 200U);
    for (const auto& [key, verdict] : network.verdicts) {
      ASSERT_TRUE(verdict.rtt);
      EXPECT_NEAR(static_cast<double>(verdict.rtt->count()), static_cast<double>(Duration(delay).count()), 2e6);
    }
    EXPECT_LT(*network.tally.loss, 0.01);
  }
}

TEST(Schedule, ForcedProbesAreMarkedAndSilenceOnALossyLineStaysUndecided) {
  auto request = request_for(Kind::syn, 1, 1, 2000);
  request.pace.probes_max = 1;
  SimulatedNetwork network({.loss = 0.2, .answer = ordinary});
  network.scan(request, rate_start_on_link);
  EXPECT_EQ(network.count(State::filtered), 0U);
  EXPECT_NEAR(static_cast<double>(network.count(State::undecided)), 720, 100);
  EXPECT_EQ(network.tally.undecided, network.count(State::undecided));
  for (const auto& [key, verdict] : network.verdicts) EXPECT_EQ(verdict.note, "forced");
}

TEST(Schedule, AStoppedScanTellsEveryPortAndGoesOnWhereItWas) {
  auto request = request_for(Kind::syn, 3, 1, 5000);
  SimulatedNetwork network({.answer = ordinary});
  network.scan(request, 10'000, {}, milliseconds(100));
  EXPECT_EQ(network.verdicts.size(), 15000U);
  EXPECT_TRUE(network.tally.interrupted);
  const auto left = network.count(State::undecided);
  EXPECT_GT(left, 1000U);
  EXPECT_LT(left, 14900U);
  Progress progress{.seed = 11, .verdicts = std::vector<Verdict>(15000)};
  for (const auto& [key, verdict] : network.verdicts) progress.verdicts[key.first * 5000 + key.second - 1] = verdict;
  request.resume = progress;
  SimulatedNetwork rest({.answer = ordinary});
  rest.scan(request, 10'000);
  EXPECT_EQ(rest.count(State::open), 48U);
  EXPECT_EQ(rest.count(State::closed), 14952U);
  EXPECT_LT(rest.tally.probes, left + 400);
}

TEST(Schedule, HostsThatCannotBeReachedAreNotAsked) {
  SimulatedNetwork network({.answer = ordinary});
  Verdict settled{.state = State::filtered, .cause = Cause::host_unreach};
  network.scan(request_for(Kind::syn, 2, 1, 100), 10'000,
               {HostStart{first_timeout_on_link, settled}, HostStart{first_timeout_on_link, {}}});
  EXPECT_EQ(network.count(State::filtered), 100U);
  EXPECT_EQ(network.count(State::closed), 100U);
  EXPECT_LT(network.tally.probes, 140U);
}

TEST(Schedule, AnAnswerFromNearerThanTheHostIsNoted) {
  SimulatedNetwork network({.answer = [](std::size_t, std::uint16_t port) -> std::optional<Answer> {
    return Answer{.type = port == 80 ? AnswerType::syn_ack : AnswerType::reset, .ttl = static_cast<std::uint8_t>(port == 23 ? 64 : 63)};
  }});
  network.scan(request_for(Kind::syn, 1, 20, 80), 10'000);
  for (const auto& [key, verdict] : network.verdicts)
    EXPECT_EQ(verdict.note, key.second == 23 ? "answered by a device nearer than the host" : "") << key.second;
}

TEST(Schedule, SendErrorsAreNoStatementAboutThePort) {
  const auto request = request_for(Kind::syn, 1, 1, 10);
  std::vector<Verdict> told;
  const auto start = Time(seconds(5));
  Schedule schedule(request, {HostStart{first_timeout_on_link, {}}}, 10'000, {61000}, 1, start,
                    [&](auto, auto, const Verdict& verdict) { told.push_back(verdict); });
  std::vector<Probe> probes(64);
  auto now = start;
  while (!schedule.finished(now) && now - start < seconds(60)) {
    const auto count = schedule.next(now, probes);
    for (std::size_t i = 0; i < count; ++i) schedule.not_sent(probes[i], 105, now);
    now += milliseconds(1);
  }
  ASSERT_EQ(told.size(), 10U);
  for (const auto& verdict : told) {
    EXPECT_EQ(verdict.state, State::undecided);
    EXPECT_EQ(verdict.cause, Cause::local_error);
    EXPECT_EQ(verdict.detail, 105);
  }
  EXPECT_LT(now - start, seconds(5));
  EXPECT_EQ(schedule.tally(now).undecided, 10U);
  EXPECT_EQ(schedule.tally(now).probes, 0U);
}

TEST(Schedule, AnswersThatWereNotAskedForAreRefused) {
  const auto request = request_for(Kind::syn, 1, 1, 10);
  const auto start = Time(seconds(5));
  Schedule schedule(request, {HostStart{first_timeout_on_link, {}}}, 10'000, {61000}, 1, start, [](auto, auto, const Verdict&) {});
  const auto refused = [&](const Address& target, std::uint16_t port, std::uint16_t source_port) {
    return !schedule.answered({target, port, source_port, syn_ack}, start);
  };
  EXPECT_TRUE(refused(request.targets[0], 5, 61000));  // not asked yet
  std::vector<Probe> probes(64);
  ASSERT_GE(schedule.next(start + milliseconds(5), probes), 10U);
  EXPECT_TRUE(refused(request.targets[0], 5, 61001));  // only once so far
  EXPECT_TRUE(refused(request.targets[0], 11, 61000));
  EXPECT_TRUE(refused(Address::v4(1), 5, 61000));
  EXPECT_FALSE(refused(request.targets[0], 5, 61000));
}

TEST(Schedule, ALimitOnIcmpErrorsIsFoundSaidAndKept) {
  struct Case {
    double limit;
    Duration at_most;
  };
  for (const auto [limit, at_most] : {Case{1, seconds(140)}, Case{10, seconds(30)}}) {
    SimulatedNetwork network({.errors_per_second = limit, .answer = [](std::size_t, std::uint16_t port) -> std::optional<Answer> {
                                if (port % 50 == 0) return Answer{.type = AnswerType::udp};
                                if (port % 50 == 1) return std::nullopt;
                                return port_unreachable;
                              }});
    network.scan(request_for(Kind::udp, 1, 30000, 30099), rate_start_on_link);
    EXPECT_EQ(network.count(State::open), 2U);
    EXPECT_EQ(network.count(State::closed), 96U);
    EXPECT_EQ(network.count(State::open_filtered), 2U);
    ASSERT_TRUE(network.tally.answers_limited_to);
    EXPECT_NEAR(*network.tally.answers_limited_to, limit, limit * 0.4);
    EXPECT_LT(network.took, at_most) << limit;
  }
}

TEST(Schedule, ErrorsThatWereUsedUpBeforeTheScanAreWaitedFor) {
  const auto firewalled = [](std::size_t, std::uint16_t port) -> std::optional<Answer> {
    if (port < 11) return reset;
    if (port < 21) return Answer{.type = AnswerType::icmp, .icmp = {3, 13}};
    return std::nullopt;
  };
  for (const auto kind : {Kind::fin, Kind::null, Kind::xmas, Kind::maimon, Kind::udp, Kind::ip_protocol}) {
    for (const int first : {1, 11}) {  // a host that answers something else meanwhile, and one that answers nothing
      if (first == 1 && (kind == Kind::udp || kind == Kind::ip_protocol)) continue;  // no reset answers those
      SimulatedNetwork network({.errors_per_second = 1, .errors_used_up = true, .answer = firewalled});
      network.scan(request_for(kind, 1, first, 22), rate_start_on_link);
      EXPECT_EQ(network.count(State::filtered), 10U) << static_cast<int>(kind) << " from " << first;
      EXPECT_EQ(network.count(State::open_filtered), 2U) << static_cast<int>(kind) << " from " << first;
    }
  }
}

TEST(Schedule, UdpWithoutALimitIsNotHeldUp) {
  SimulatedNetwork network({.answer = [](auto, auto) { return port_unreachable; }});
  network.scan(request_for(Kind::udp, 1, 1, 2000), rate_start_on_link);
  EXPECT_EQ(network.count(State::closed), 2000U);
  EXPECT_FALSE(network.tally.answers_limited_to);
  EXPECT_LT(network.took, milliseconds(500));
}

TEST(Schedule, FastUdpDoesNotWaitForALimit) {
  auto request = request_for(Kind::udp, 1, 1, 200);
  request.udp_fast = true;
  SimulatedNetwork network({.errors_per_second = 1, .answer = [](auto, auto) { return port_unreachable; }});
  network.scan(request, rate_start_on_link);
  EXPECT_LT(network.took, seconds(2));
  EXPECT_GT(network.count(State::closed_filtered), 0U);
  EXPECT_GT(network.count(State::open_filtered), 0U);
}

// Many hosts, more than one group of them.
TEST(Schedule, GroupsOfHostsAreWorkedThroughOneAfterAnother) {
  SimulatedNetwork network({.answer = ordinary});
  network.scan(request_for(Kind::syn, 18, 1, 60000), 100'000);  // a group holds the cells of 17
  EXPECT_EQ(network.verdicts.size(), 18U * 60000);
  EXPECT_EQ(network.told_twice, 0U);
  EXPECT_EQ(network.count(State::open), 18U * 200);
  static_assert(17U * 60000 < PortTable::cells_max && PortTable::cells_max < 18U * 60000);
  EXPECT_EQ(network.tally.undecided, 0U);
}

TEST(Loss, ProbesNeededAreThoseOfTheFormula) {
  EXPECT_EQ(probes_needed(0.01, 1000), 3U);
  EXPECT_EQ(probes_needed(0.0975, 1000), 6U);
  EXPECT_EQ(probes_needed(0.19, 1000), 9U);
  EXPECT_EQ(probes_needed(0.36, 1000), 14U);
  EXPECT_EQ(probes_needed(0.01, 65536), 4U);
  EXPECT_EQ(probes_needed(0.0975, 65536), 8U);
  EXPECT_EQ(probes_needed(0.19, 65536), 11U);
  EXPECT_EQ(probes_needed(0.36, 65536), 18U);
  EXPECT_EQ(probes_needed(0, 1000), probes_min);
  EXPECT_EQ(probes_needed(1, 1000), probes_limit);
}

TEST(RoundTrip, FollowsRfc6298InItsBox) {
  RoundTrip trip(milliseconds(100));
  EXPECT_EQ(trip.timeout(), milliseconds(100));
  trip.add(milliseconds(80));  // srtt 80, rttvar 40
  EXPECT_EQ(trip.timeout(), milliseconds(240));
  trip.add(milliseconds(160));  // rttvar 40 + (80 - 40) / 4 = 50, srtt 90
  EXPECT_EQ(trip.timeout(), milliseconds(290));
  for (int i = 0; i < 200; ++i) trip.add(std::chrono::microseconds(100));
  EXPECT_EQ(trip.timeout(), RoundTrip::timeout_min);
  trip.add(seconds(100));
  EXPECT_EQ(trip.timeout(), RoundTrip::timeout_max);
}

}  // namespace
}  // namespace drpf::scan
