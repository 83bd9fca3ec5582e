#include "probe/connect_scan.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "system/fd.h"

namespace drpf::probe {
namespace {

using scan::Cause;
using scan::State;
using testing::HasSubstr;

const bool never = false;
const std::function<bool()> go_on = [] { return never; };

class Collector : public ScanObserver {
 public:
  void on_verdict(std::size_t target, std::size_t number, const scan::Verdict& verdict) override {
    EXPECT_TRUE(verdicts.emplace(std::pair(target, number), verdict).second) << "told twice";
  }
  void on_progress(const scan::Tally& tally) override { latest = tally; }
  State state(std::size_t target, std::size_t number) const { return verdicts.at({target, number}).state; }

  std::map<std::pair<std::size_t, std::size_t>, scan::Verdict> verdicts;
  scan::Tally latest;
};

// A TCP port of the loopback, which nobody answers on until it listens.
struct LocalPort {
  explicit LocalPort(bool listens) : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof own;
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&own), size), 0);
    if (listens) {
      EXPECT_EQ(::listen(fd.get(), 16), 0);
    }
    EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
    number = ntohs(own.sin_port);
  }
  system::Fd fd;
  std::uint16_t number = 0;
};

scan::Request request(std::vector<Address> targets, std::vector<std::uint16_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  scan::Request made;
  made.kind = scan::Kind::connect;
  made.targets = std::move(targets);
  made.numbers = std::move(numbers);
  return made;
}

const Address loopback = Address::v4(0x7f000001);

TEST(ConnectScan, OpenAndClosedPortsOfTwoAddresses) {
  const LocalPort open(true);
  const LocalPort closed(false);
  const auto asked = request({loopback, Address::v4(0x7f000002)}, {open.number, closed.number});
  const std::size_t open_at = open.number < closed.number ? 0 : 1;
  Collector found;
  const auto tally = run_connect_scan(asked, found, go_on);
  ASSERT_TRUE(tally) << tally.error().message;
  EXPECT_EQ(found.state(0, open_at), State::open);
  EXPECT_EQ(found.state(1, open_at), State::closed);  // it listens on the first address only
  EXPECT_EQ(found.state(0, 1 - open_at), State::closed);
  EXPECT_EQ(found.verdicts.at({0, open_at}).cause, Cause::syn_ack);
  EXPECT_EQ(found.verdicts.at({0, 1 - open_at}).cause, Cause::reset);
  EXPECT_TRUE(found.verdicts.at({0, open_at}).rtt);
  EXPECT_EQ(tally->decided, 4U);
  EXPECT_EQ(tally->open, 1U);
  EXPECT_EQ(tally->answers, 4U);
  EXPECT_EQ(found.latest.decided, 4U);
}

TEST(ConnectScan, EveryPortOfAHostIsToldOnce) {
  std::vector<std::uint16_t> all;
  for (unsigned port = 1; port <= 6000; ++port) all.push_back(static_cast<std::uint16_t>(port));
  auto asked = request({Address::v4(0x7f00000a)}, all);
  asked.pace.start = scan::rate_ceiling;
  Collector found;
  const auto tally = run_connect_scan(asked, found, go_on);
  ASSERT_TRUE(tally);
  EXPECT_EQ(found.verdicts.size(), all.size());
  EXPECT_EQ(tally->undecided, 0U);
}

TEST(ConnectScan, StoppedItTellsTheRestAsUndecided) {
  auto asked = request({loopback}, {});
  for (std::uint16_t port = 1; port <= 500; ++port) asked.numbers.push_back(port);
  asked.pace.ceiling = 100;
  Collector found;
  const std::function<bool()> stop = [&] { return found.verdicts.size() >= 3; };
  const auto tally = run_connect_scan(asked, found, stop);
  ASSERT_TRUE(tally);
  EXPECT_TRUE(tally->interrupted);
  EXPECT_EQ(found.verdicts.size(), 500U);
  EXPECT_GT(tally->undecided, 400U);
  EXPECT_EQ(tally->decided + tally->undecided, 500U);
}

TEST(ConnectScan, ResumedItAsksOnlyWhatWasUndecided) {
  auto asked = request({loopback}, {1, 2, 3, 4});
  asked.resume = scan::Progress{.seed = 7, .verdicts = std::vector<scan::Verdict>(4)};
  asked.resume->verdicts[1] = {.state = State::filtered, .cause = Cause::no_response, .probes = 5};
  asked.resume->verdicts[2] = {.state = State::open, .cause = Cause::syn_ack, .probes = 1};
  Collector found;
  const auto tally = run_connect_scan(asked, found, go_on);
  ASSERT_TRUE(tally);
  EXPECT_EQ(tally->probes, 2U);
  EXPECT_EQ(found.state(0, 0), State::closed);
  EXPECT_EQ(found.state(0, 1), State::filtered);
  EXPECT_EQ(found.state(0, 2), State::open);
  EXPECT_EQ(tally->decided, 4U);
  EXPECT_EQ(tally->open, 1U);
}

TEST(ConnectScan, TheNumberOfProbesMayBeForced) {
  const LocalPort closed(false);
  auto asked = request({loopback}, {closed.number});
  asked.pace.probes_max = 1;
  Collector found;
  const auto tally = run_connect_scan(asked, found, go_on);
  ASSERT_TRUE(tally);
  EXPECT_EQ(tally->probes, 1U);
  EXPECT_EQ(found.state(0, 0), State::closed);
}

TEST(ConnectScan, AnUnknownInterfaceIsNamed) {
  auto asked = request({loopback}, {1});
  asked.interface = "nosuch0";
  Collector found;
  const auto tally = run_connect_scan(asked, found, go_on);
  ASSERT_FALSE(tally);
  EXPECT_THAT(tally.error().message, HasSubstr("nosuch0"));
}

TEST(ConnectScan, NothingAskedIsNothingFound) {
  Collector found;
  const auto tally = run_connect_scan(request({}, {1}), found, go_on);
  ASSERT_TRUE(tally);
  EXPECT_TRUE(found.verdicts.empty());
}

}  // namespace
}  // namespace drpf::probe
