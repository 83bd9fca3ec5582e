#include "tunnel/kernel/peer_watch.h"

#include <gtest/gtest.h>

namespace drpf::tunnel::kernel {
namespace {

using namespace std::chrono_literals;

class KernelPeerWatch : public ::testing::Test {
 protected:
  KernelPeerWatch() {
    report_.public_key = key_;
    report_.endpoint = *parse_endpoint("203.0.113.9:40000");
    watch_.add(key_);
  }
  void pass(Duration duration) {
    now_ += duration;
    wall_ += duration;
  }
  std::vector<Event> look() { return watch_.look({&report_, 1}, now_, wall_); }
  void shake_hands() { report_.last_handshake = wall_; }

  const Key key_{1, 2, 3};
  PeerWatch watch_{180s};
  system::WireGuardPeerReport report_;
  Time now_{1000s};
  WallTime wall_{1'800'000'000s};
};

template <class T>
const T* only(const std::vector<Event>& events) {
  return events.size() == 1 ? std::get_if<T>(&events.front()) : nullptr;
}

TEST_F(KernelPeerWatch, ItComesWithAHandshakeAndGoesAfterSilence) {
  EXPECT_TRUE(look().empty());
  shake_hands();
  const auto came = look();
  const auto* connected = only<PeerConnected>(came);
  ASSERT_NE(connected, nullptr);
  EXPECT_EQ(connected->public_key, key_);
  EXPECT_EQ(connected->endpoint, *report_.endpoint);
  pass(179s);
  EXPECT_TRUE(look().empty());
  pass(1s);
  EXPECT_NE(only<PeerDisconnected>(look()), nullptr);
  EXPECT_TRUE(look().empty());
}

TEST_F(KernelPeerWatch, WhatArrivesKeepsItHereAndWhatIsSentDoesNot) {
  shake_hands();
  (void)look();
  pass(170s);
  report_.bytes_received += 32;
  EXPECT_TRUE(look().empty());
  pass(170s);
  report_.bytes_sent += 1000;
  EXPECT_TRUE(look().empty());
  pass(10s);
  EXPECT_NE(only<PeerDisconnected>(look()), nullptr);
}

TEST_F(KernelPeerWatch, AfterARestartTheAgeOfTheHandshakeDecides) {
  shake_hands();
  pass(179s);
  EXPECT_NE(only<PeerConnected>(look()), nullptr);
  pass(1s);
  EXPECT_NE(only<PeerDisconnected>(look()), nullptr);
  PeerWatch later(180s);
  later.add(key_);
  report_.bytes_received = 5000;  // of a time before this process
  EXPECT_TRUE(later.look({&report_, 1}, now_, wall_).empty());
}

TEST_F(KernelPeerWatch, ItIsToldWhenItMoves) {
  shake_hands();
  (void)look();
  report_.endpoint = *parse_endpoint("[2001:db8::9]:1");
  const auto events = look();
  const auto* roamed = only<PeerRoamed>(events);
  ASSERT_NE(roamed, nullptr);
  EXPECT_EQ(roamed->endpoint, *report_.endpoint);
  EXPECT_TRUE(look().empty());
}

TEST_F(KernelPeerWatch, AfterAGoodByeOnlyAHandshakeBringsItBack) {
  shake_hands();
  (void)look();
  watch_.depart(key_);
  report_.bytes_received += 100;
  EXPECT_TRUE(look().empty());
  pass(1s);
  shake_hands();
  EXPECT_NE(only<PeerConnected>(look()), nullptr);
}

TEST_F(KernelPeerWatch, AJumpOfTheWallClockDisconnectsNobody) {
  shake_hands();
  (void)look();
  wall_ += std::chrono::hours(48);
  pass(1s);
  EXPECT_TRUE(look().empty());
  wall_ -= std::chrono::hours(96);
  shake_hands();
  EXPECT_TRUE(look().empty());
  pass(179s);
  EXPECT_TRUE(look().empty());
}

TEST_F(KernelPeerWatch, StrangersAreNotTold) {
  report_.public_key = Key{9};
  shake_hands();
  EXPECT_TRUE(look().empty());
  EXPECT_FALSE(watch_.knows(report_.public_key));
  EXPECT_EQ(watch_.status(report_.public_key), std::nullopt);
}

TEST_F(KernelPeerWatch, StatusIsWhatTheKernelSaid) {
  shake_hands();
  report_.bytes_received = 10;
  report_.bytes_sent = 20;
  (void)look();
  const auto status = watch_.status(key_);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->endpoint, report_.endpoint);
  EXPECT_EQ(status->last_handshake, wall_);
  EXPECT_EQ(status->last_authenticated, now_);
  EXPECT_EQ(status->bytes_received, 10U);
  EXPECT_EQ(status->bytes_sent, 20U);
  EXPECT_EQ(watch_.status().size(), 1U);
}

}  // namespace
}  // namespace drpf::tunnel::kernel
