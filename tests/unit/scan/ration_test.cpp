// Limits of answers are not loss: they are found, named, and kept, and every port is told right.
#include "scan/ask/ration.h"

#include <gtest/gtest.h>

#include "unit/scan/simulated_network.h"

namespace drpf::scan {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::optional<Answer> device(std::size_t, std::uint16_t port) {
  return Answer{.type = port % 100 == 0 ? AnswerType::syn_ack : AnswerType::reset};
}

struct Rationed {
  std::string name;
  SimulatedNetwork::Line line;
  int ports;
  double limit;
  double probes_per_port;
  Duration at_most;
};

class Rations : public testing::TestWithParam<Rationed> {};
INSTANTIATE_TEST_SUITE_P(
    Schedule, Rations,
    testing::Values(Rationed{"resets1", {.resets_per_second = 1, .answer = device}, 30, 1, 8, seconds(60)},
                    Rationed{"resets20", {.resets_per_second = 20, .answer = device}, 300, 20, 3, seconds(22)},
                    Rationed{"resets200", {.resets_per_second = 200, .answer = device}, 1000, 200, 3, seconds(12)},
                    Rationed{"resets200of20000", {.resets_per_second = 200, .answer = device}, 20000, 200, 1.5, seconds(140)},
                    Rationed{"resets200by_the_second",
                             {.resets_per_second = 200, .resets_by_the_second = true, .answer = device},
                             1000,
                             200,
                             3.5,
                             seconds(12)},
                    Rationed{"flows100", {.probes_per_second = 100, .answer = device}, 1000, 100, 3, seconds(15)},
                    Rationed{"resets20lossy", {.loss = 0.05, .resets_per_second = 20, .answer = device}, 300, 20, 4, seconds(40)}),
    [](const auto& line) { return line.param.name; });

TEST_P(Rations, AreFoundNamedAndKept) {
  const auto& param = GetParam();
  for (const double start_rate : {rate_start_routed, rate_start_on_link})
    for (const std::uint64_t seed : {1, 2, 3}) {
      SCOPED_TRACE(testing::Message() << "seed " << seed << ", from " << start_rate);
      SimulatedNetwork network(param.line, seed);
      const auto first = start_rate == rate_start_routed ? first_timeout_routed : first_timeout_on_link;
      network.scan(request_for(Kind::syn, 1, 1, param.ports), start_rate, {HostStart{first, {}}});
      EXPECT_EQ(network.count(State::open), static_cast<std::size_t>(param.ports / 100));
      EXPECT_EQ(network.count(State::closed), static_cast<std::size_t>(param.ports - param.ports / 100));
      EXPECT_LT(static_cast<double>(network.tally.probes), param.probes_per_port * param.ports);
      EXPECT_LT(network.took, param.at_most);
      ASSERT_TRUE(network.tally.answers_limited_to);
      EXPECT_NEAR(*network.tally.answers_limited_to, param.limit, param.limit * 0.4);
      for (const auto& [port, count] : network.sent) EXPECT_LT(port.second % 100 == 0 ? count : 0, 60U) << port.second;
    }
}

// One of many hosts is slow; the others are not held up, and it is right as well.
TEST(Schedule, ARationOfOneHostIsItsOwn) {
  SimulatedNetwork network(
      {.resets_per_second = 50, .answer = [](std::size_t target, std::uint16_t port) -> std::optional<Answer> {
         return Answer{.type = target != 3 ? AnswerType::syn_ack : port % 100 == 0 ? AnswerType::syn_ack : AnswerType::reset};
       }});
  network.scan(request_for(Kind::syn, 8, 1, 200), rate_start_on_link);
  EXPECT_EQ(network.count(State::open), 7U * 200 + 2);
  EXPECT_EQ(network.count(State::closed), 198U);
  EXPECT_LT(network.took, seconds(12));
  EXPECT_LT(network.tally.probes, 7U * 200 + 3 * 200 + 400);
}

TEST(Schedule, OneServiceAmongSilentPortsIsNotLoaded) {
  SimulatedNetwork network({.loss = 0.1, .answer = [](std::size_t, std::uint16_t port) -> std::optional<Answer> {
                              if (port != 80) return std::nullopt;
                              return Answer{.type = AnswerType::syn_ack};
                            }});
  network.scan(request_for(Kind::syn, 1, 1, 5000), rate_start_on_link);
  EXPECT_EQ(network.count(State::open), 1U);
  EXPECT_LT((network.sent[{0, 80}]), Schedule::canaries_of_open_port + 16U);
}

}  // namespace
}  // namespace drpf::scan
