#include "protocol/ip/too_big.h"

#include <gtest/gtest.h>

#include "ip_packets.h"

namespace drpf {
namespace {

using namespace drpf::test;

TEST(TooBigAnswer, ForIpv4) {
  const auto original = make_packet({.data_size = 1000});
  const auto answer = too_big_answer(original, 1280);
  ASSERT_TRUE(answer);
  EXPECT_EQ(source(*answer), destination(original));
  EXPECT_EQ(destination(*answer), source(original));
  EXPECT_EQ(answer->size(), 20 + 8 + too_big_quote_max);
  EXPECT_EQ((*answer)[20], 3);
  EXPECT_EQ((*answer)[21], 4);
  EXPECT_EQ(load_be16(&(*answer)[26]), 1280);
  EXPECT_EQ(reference_checksum(ByteView(*answer).first(20)), 0);
  EXPECT_EQ(reference_checksum(ByteView(*answer).subspan(20)), 0);
  EXPECT_TRUE(std::equal(answer->begin() + 28, answer->end(), original.begin()));
}

TEST(TooBigAnswer, ForIpv6) {
  const auto original = make_packet({.v6 = true, .udp = true, .data_size = 64});
  const auto answer = too_big_answer(ByteView(original).first(60), 1300);
  ASSERT_TRUE(answer);
  EXPECT_EQ((*answer)[40], 2);
  EXPECT_EQ(load_be32(&(*answer)[44]), 1300U);
  EXPECT_TRUE(checksums_good(*answer));
  EXPECT_EQ(walk(*answer)->length, answer->size());
}

TEST(TooBigAnswer, NotToErrorsFragmentsAndCrowds) {
  auto packet = make_packet({});
  packet[9] = protocol_icmp;
  packet[20] = 3;
  EXPECT_FALSE(too_big_answer(packet, 1280));
  packet[20] = 8;  // an echo request may be answered
  EXPECT_TRUE(too_big_answer(packet, 1280));
  EXPECT_FALSE(too_big_answer(ByteView(packet).first(20), 1280));
  EXPECT_FALSE(too_big_answer(make_packet({.fragment = 5}), 1280));
  packet = make_packet({});
  packet[12] = 224;
  EXPECT_FALSE(too_big_answer(packet, 1280));
  packet = make_packet({});
  packet[16] = 239;
  EXPECT_FALSE(too_big_answer(packet, 1280));
  EXPECT_FALSE(too_big_answer({}, 1280));
  EXPECT_FALSE(too_big_answer(Bytes(10, 0x45), 1280));
}

}  // namespace
}  // namespace drpf
