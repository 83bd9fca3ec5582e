#include "client/follow/port_follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using Kind = FollowJob::Kind;
using News = FollowNews::Kind;
using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

const Address gateway = *parse_address("198.51.100.1");

FollowChoice listening(std::vector<FollowWish> wishes) { return {std::move(wishes), {}}; }
FollowWish on(std::uint16_t port, bool tcp = true, bool udp = false) { return {"game", Port{port}, tcp, udp}; }
FollowLease lease(std::uint16_t public_port, std::uint16_t local_port, bool udp = false) {
  return {"main", gateway, Port{public_port}, Port{local_port}, true, udp};
}
PublishedPort published(std::uint16_t public_port, std::uint16_t local_port, Protocol protocol = Protocol::tcp) {
  return {gateway, protocol, Port{public_port}, Port{local_port}};
}
Time at(std::chrono::seconds seconds) { return Time{} + seconds; }

std::vector<News> news(PortFollower& ports) {
  std::vector<News> kinds;
  for (const auto& one : ports.take_news()) kinds.push_back(one.kind);
  return kinds;
}

TEST(PortFollower, APortComesAndGoesWithItsProgram) {
  PortFollower ports;
  ports.listening(listening({on(25565)}));
  EXPECT_FALSE(ports.next(at(0s))) << "the gateway has not answered yet";
  ports.reported({});
  const auto ask = ports.next(at(0s));
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->kind, Kind::ask);
  EXPECT_EQ(ask->wish, on(25565));
  EXPECT_FALSE(ports.next(at(0s))) << "one at a time";
  ports.done(lease(20000, 25565), at(1s));
  EXPECT_THAT(news(ports), ElementsAre(News::opened));
  ports.reported({published(20000, 25565)});
  EXPECT_FALSE(ports.next(at(2s)));
  EXPECT_EQ(ports.program_at(Port{25565}), "game");

  ports.listening(listening({}));
  const auto release = ports.next(at(3s));
  ASSERT_TRUE(release);
  EXPECT_EQ(release->kind, Kind::release);
  EXPECT_EQ(release->lease, lease(20000, 25565));
  ports.done(std::nullopt, at(3s));
  EXPECT_THAT(news(ports), ElementsAre(News::closed));
  EXPECT_FALSE(ports.next(at(1000s)));
  EXPECT_EQ(ports.program_at(Port{25565}), "");
}

TEST(PortFollower, WhatStaysClosedIsToldOfOnceForEachPort) {
  PortFollower ports;
  ports.listening({{}, {on(8080), on(9091)}});
  EXPECT_THAT(news(ports), ElementsAre(News::left_closed, News::left_closed));
  ports.listening({{}, {on(8080), on(9091)}});
  EXPECT_THAT(news(ports), IsEmpty());
  ports.listening({{}, {on(8080), on(9092)}});
  EXPECT_THAT(news(ports), ElementsAre(News::left_closed)) << "a new one";
}

TEST(PortFollower, WhatIsReachedAlreadyIsNotAskedFor) {
  PortFollower ports;
  ports.reported({published(20000, 20000), published(20000, 20000, Protocol::udp)});
  ports.listening(listening({on(20000, true, true)}));
  EXPECT_FALSE(ports.next(at(0s)));
  EXPECT_FALSE(ports.next(at(1s)));
  EXPECT_THAT(news(ports), ElementsAre(News::reached_already));
  ports.reported({published(20000, 20000)});
  EXPECT_TRUE(ports.next(at(2s))) << "not over UDP any more";
}

TEST(PortFollower, PortsByWhichOthersAreReachedAreInUse) {
  PortFollower ports;
  ports.reported({published(20000, 20000), published(20001, 20001)});
  ports.listening(listening({on(20000), on(25565)}));
  const auto ask = ports.next(at(0s));
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->wish, on(25565));
  EXPECT_THAT(ask->in_use, ElementsAre(Port{20000}));
}

TEST(PortFollower, RenewsAndAsksAgainForWhatWasLost) {
  PortFollower ports;
  ports.reported({});
  ports.listening(listening({on(25565)}));
  ASSERT_TRUE(ports.next(at(0s)));
  ports.done(lease(20000, 25565), at(0s));
  EXPECT_FALSE(ports.next(at(1s))) << "not reported yet is not lost";
  ports.reported({published(20000, 25565)});
  EXPECT_FALSE(ports.next(at(239s)));
  const auto renewal = ports.next(at(240s));
  ASSERT_TRUE(renewal);
  EXPECT_EQ(renewal->lease, lease(20000, 25565));
  ports.done(lease(20000, 25565), at(240s));
  EXPECT_FALSE(ports.next(at(241s)));

  ports.offline();
  EXPECT_FALSE(ports.next(at(1000s)));
  ports.reported({});
  const auto again = ports.next(at(1001s));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->lease, lease(20000, 25565)) << "the same number, if that is possible";
  ports.done(lease(20007, 25565), at(1001s));
  EXPECT_THAT(news(ports), ElementsAre(News::opened, News::opened));
}

TEST(PortFollower, AnotherProtocolJoinsThePort) {
  PortFollower ports;
  ports.reported({});
  ports.listening(listening({on(25565)}));
  ASSERT_TRUE(ports.next(at(0s)));
  ports.done(lease(20000, 25565), at(0s));
  ports.reported({published(20000, 25565)});
  ports.listening(listening({on(25565, true, true)}));
  const auto more = ports.next(at(1s));
  ASSERT_TRUE(more);
  EXPECT_EQ(more->lease, lease(20000, 25565));
  ports.done(lease(20000, 25565, true), at(1s));
  EXPECT_FALSE(ports.next(at(2s)));
}

TEST(PortFollower, ARefusalIsToldOnceAndTriedAgainLater) {
  PortFollower ports;
  ports.reported({});
  ports.listening(listening({on(25565)}));
  ASSERT_TRUE(ports.next(at(0s)));
  ports.done(fail(refusal("quota_exhausted", "no more")), at(0s));
  EXPECT_THAT(news(ports), ElementsAre(News::refused));
  EXPECT_FALSE(ports.next(at(29s)));
  ASSERT_TRUE(ports.next(at(30s)));
  ports.done(fail(refusal("quota_exhausted", "no more")), at(30s));
  EXPECT_THAT(news(ports), IsEmpty());
  ports.listening(listening({}));
  EXPECT_FALSE(ports.next(at(100s)));
}

TEST(PortFollower, AProgramThatEndsWhileItIsAskedForKeepsNothing) {
  PortFollower ports;
  ports.reported({});
  ports.listening(listening({on(25565)}));
  ASSERT_TRUE(ports.next(at(0s)));
  ports.listening(listening({}));
  ports.done(lease(20000, 25565), at(1s));
  const auto release = ports.next(at(1s));
  ASSERT_TRUE(release);
  EXPECT_EQ(release->kind, Kind::release);
}

TEST(PortFollower, GivesAllBackAtTheEnd) {
  PortFollower ports;
  ports.reported({});
  ports.listening(listening({on(1), on(2)}));
  ASSERT_TRUE(ports.next(at(0s)));
  ports.done(lease(20000, 1), at(0s));
  const auto jobs = ports.at_the_end();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs.front().lease, lease(20000, 1));
  EXPECT_FALSE(ports.next(at(1s)));
}

}  // namespace
}  // namespace drpf::client
