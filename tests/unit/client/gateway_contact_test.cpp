#include "client/connect/gateway_contact.h"

#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using namespace std::chrono_literals;
using Due = GatewayContact::Due;

constexpr Time start{Duration(1000s)};
constexpr Due nothing{};
constexpr Due other_way{false, false, true};

TEST(GatewayContact, ASilentGatewayIsTriedAnotherWayNowAndThen) {
  GatewayContact contact;
  contact.tried(start);
  EXPECT_EQ(contact.tick(start + 14s, {}), nothing);
  EXPECT_EQ(contact.tick(start + 15s, {}), other_way);
  contact.tried(start + 15s);
  EXPECT_EQ(contact.tick(start + 29s, {}), nothing);
  EXPECT_EQ(contact.tick(start + 30s, {}), other_way);
}

TEST(GatewayContact, OneThatWasHeardOfLatelyOnlyNeedsTime) {
  GatewayContact contact;
  contact.tried(start);
  EXPECT_EQ(contact.tick(start + 60s, start + 41s), nothing);
  EXPECT_EQ(contact.tick(start + 61s, start + 41s), other_way);
}

TEST(GatewayContact, OneThatAnswersIsNotTriedAnotherWay) {
  GatewayContact contact;
  contact.tried(start);
  EXPECT_FALSE(contact.answers());
  contact.answers(true);
  EXPECT_TRUE(contact.answers());
  EXPECT_EQ(contact.tick(start + 600s, start), nothing);
  contact.answers(false);
  EXPECT_EQ(contact.tick(start + 600s, start), other_way);
}

TEST(GatewayContact, WhoMovedShowsItselfUntilTheGatewayIsHeard) {
  GatewayContact contact;
  contact.answers(true);
  contact.moved(start);
  EXPECT_EQ(contact.tick(start + 1s, start - 1s), (Due{true, false, false}));
  EXPECT_EQ(contact.tick(start + 4s, start), (Due{true, false, false})) << "that may have been sent to the old place";
  EXPECT_EQ(contact.tick(start + 5s, {}), (Due{true, true, false}));
  EXPECT_EQ(contact.tick(start + 6s, {}), (Due{true, false, false})) << "a handshake each five seconds";
  EXPECT_EQ(contact.tick(start + 10s, {}), (Due{true, true, false}));
  EXPECT_EQ(contact.tick(start + 11s, start + 1s), nothing);
  EXPECT_EQ(contact.tick(start + 12s, {}), nothing) << "it was heard";
}

TEST(GatewayContact, AMoveIsAnAttemptToo) {
  GatewayContact contact;
  contact.moved(start);
  EXPECT_FALSE(contact.tick(start + 14s, {}).other_way);
  EXPECT_TRUE(contact.tick(start + 15s, {}).other_way);
}

}  // namespace
}  // namespace drpf::client
