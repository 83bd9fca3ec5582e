// A scan ends: every kind, whoever answers, however many ports, and with probes that cannot leave. In virtual time.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "unit/scan/simulated_network.h"

namespace drpf::scan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class Who { target, router, nobody, host_is_off };

std::string_view name_of(Who who) {
  switch (who) {
    case Who::target:
      return "target";
    case Who::router:
      return "router";
    case Who::nobody:
      return "nobody";
    case Who::host_is_off:
      break;
  }
  return "host is off";
}

std::optional<Answer> answer_of(Who who, Kind kind) {
  const auto router = Address::v4(0x0a000001);
  switch (who) {
    case Who::nobody:
      return std::nullopt;
    case Who::router:
      return Answer{.type = AnswerType::icmp, .sender = router, .from_target = false, .icmp = {3, 13}};
    case Who::host_is_off:
      return Answer{.type = AnswerType::icmp, .sender = router, .from_target = false, .icmp = {3, 1}};
    case Who::target:
      break;
  }
  if (kind == Kind::udp) return Answer{.type = AnswerType::icmp, .icmp = {3, 3}};
  if (kind == Kind::ip_protocol) return Answer{.type = AnswerType::icmp, .icmp = {3, 2}};
  return Answer{.type = AnswerType::reset};
}

constexpr double errors_per_second = 1;

class EveryScanEnds : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Schedule, EveryScanEnds,
                         testing::Values(Kind::syn, Kind::ack, Kind::window, Kind::fin, Kind::null, Kind::xmas, Kind::maimon, Kind::udp,
                                         Kind::ip_protocol),
                         [](const auto& kind) {
                           std::string name(to_string(kind.param));
                           std::erase(name, '-');
                           return name;
                         });

// Where silence would mean something else than an error: those are waited for.
bool told_by_errors(Kind kind, Who who) {
  const bool by_reset = who == Who::target && kind != Kind::udp && kind != Kind::ip_protocol;
  return meaning_of_silence(kind).state == State::open_filtered && who != Who::nobody && !by_reset;
}

// As fast as the errors that are allowed come, where each port is told by one; and at once elsewhere.
Duration bound(Kind kind, Who who, int ports) {
  const bool one_error_each = told_by_errors(kind, who);
  return seconds(30) + (one_error_each ? seconds(1) * (ports * 3 / 2) : seconds(0));
}

TEST_P(EveryScanEnds, WhoeverAnswers) {
  const auto kind = GetParam();
  for (const auto who : {Who::target, Who::router, Who::nobody, Who::host_is_off})
    for (const int ports : {1, 8, 15, 100, 1000}) {
      for (const bool all_leave : {true, false}) {
        SCOPED_TRACE(fmt::format("{}, {} ports, {}", name_of(who), ports, all_leave ? "all leave" : "not all leave"));
        SimulatedNetwork network({.errors_per_second = errors_per_second, .answer = [&](auto, auto) { return answer_of(who, kind); }});
        if (!all_leave) network.line().cannot_leave = [](std::uint16_t port) { return port % 10 == 2 || port % 10 == 7; };
        // The router looks for the host that is off for three seconds, then complains of all that waited for it.
        if (who == Who::host_is_off) network.line().delay = seconds(3);
        network.scan(request_for(kind, 1, 1, ports), rate_start_routed, {HostStart{first_timeout_routed, {}}});
        EXPECT_LT(network.took, bound(kind, who, ports));
        EXPECT_EQ(network.verdicts.size(), static_cast<std::size_t>(ports));
        for (const auto& [key, verdict] : network.verdicts) {
          const bool left = all_leave || !(key.second % 10 == 2 || key.second % 10 == 7);
          EXPECT_EQ(verdict.cause == Cause::local_error, !left) << key.second;
          if (left && told_by_errors(kind, who)) {
            EXPECT_EQ(verdict.state, who == Who::target ? State::closed : State::filtered) << key.second;
          }
        }
      }
    }
}

TEST(Schedule, WhereNothingIsSentAndNothingIsUnderWayItIsOver) {
  const auto request = request_for(Kind::syn, 3, 1, 10);
  const auto start = Time(seconds(5));
  std::size_t told = 0;
  Schedule schedule(request, std::vector<HostStart>(3), 10'000, {61000}, 1, start, [&](auto, auto, const Verdict&) { ++told; });
  auto now = start;
  for (; !schedule.finished(now) && now - start < seconds(300); now += milliseconds(50)) schedule.next(now, {});
  EXPECT_LT(now - start, seconds(60));
  EXPECT_EQ(told, 30U);
}

}  // namespace
}  // namespace drpf::scan
