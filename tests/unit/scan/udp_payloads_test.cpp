#include "scan/ask/udp_payloads.h"

#include <gtest/gtest.h>

#include "scan/ask/probe_packet.h"

namespace drpf::scan {
namespace {

TEST(UdpPayloads, ThirtySevenServicesAreAskedInTheirOwnWordsAndEachFitsAProbe) {
  int services = 0;
  for (int port = 0; port <= 65535; ++port) {
    const auto number = static_cast<std::uint16_t>(port);
    const auto payload = udp_payload(number, 0x01020304);
    EXPECT_EQ(payload.empty(), !has_udp_payload(number)) << port;
    EXPECT_LE(40 + 8 + payload.size(), probe_size_max) << port;
    services += payload.empty() ? 0 : 1;
  }
  EXPECT_EQ(services, 37);
}

TEST(UdpPayloads, FieldsThatAnAnswerRepeatsCarryTheCookie) {
  const auto begins_with = [](const Bytes& bytes, std::initializer_list<int> head) {
    std::size_t at = 0;
    for (const auto byte : head)
      if (at >= bytes.size() || bytes[at++] != byte) return false;
    return true;
  };
  EXPECT_TRUE(begins_with(udp_payload(53, 0xaabbccdd), {0xcc, 0xdd, 0x01, 0x00, 0, 1}));
  EXPECT_TRUE(begins_with(udp_payload(3478, 0xaabbccdd), {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0xaa, 0xbb, 0xcc, 0xdd}));
  EXPECT_TRUE(begins_with(udp_payload(111, 0xaabbccdd), {0xaa, 0xbb, 0xcc, 0xdd, 0, 0, 0, 0, 0, 0, 0, 2}));
  const auto ntp = udp_payload(123, 0xaabbccdd);
  ASSERT_EQ(ntp.size(), 48U);
  EXPECT_EQ(ntp[40], 0xaa);
  EXPECT_GE(udp_payload(443, 1).size(), 1200U);
}

TEST(UdpPayloads, LengthsInsideAreRight) {
  const auto ike = udp_payload(500, 7);
  EXPECT_EQ(static_cast<std::size_t>(ike[26] << 8 | ike[27]), ike.size());
  EXPECT_EQ(udp_payload(4500, 7).size(), ike.size() + 4);
  for (const int port : {161, 389}) {
    const auto ber = udp_payload(static_cast<std::uint16_t>(port), 7);
    EXPECT_EQ(ber[0], 0x30);
    EXPECT_EQ(ber[1] + 2U, ber.size()) << port;
  }
  const auto l2tp = udp_payload(1701, 7);
  EXPECT_EQ(static_cast<std::size_t>(l2tp[2] << 8 | l2tp[3]), l2tp.size());
}

}  // namespace
}  // namespace drpf::scan
