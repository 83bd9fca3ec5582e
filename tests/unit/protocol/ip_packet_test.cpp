#include "protocol/ip/packet.h"

#include <gtest/gtest.h>

#include <random>

#include "ip_packets.h"
#include "protocol/ip/checksum.h"

namespace drpf {
namespace {

using namespace drpf::test;

TEST(IpChecksum, AgreesWithTheDefinitionForEveryLengthAndAlignment) {
  std::mt19937 random(1);
  Bytes buffer(400);
  for (auto& byte : buffer) byte = static_cast<std::uint8_t>(random() % 4 == 0 ? 0xff : random());
  for (std::size_t start = 0; start < 9; ++start) {
    for (std::size_t size = 0; size + start <= buffer.size(); ++size) {
      const auto part = ByteView(buffer).subspan(start, size);
      std::uint8_t stored[2];
      store_native(stored, checksum_finish(checksum_add(part)));
      ASSERT_EQ(load_be16(stored), reference_checksum(part)) << start << "+" << size;
      Bytes copy(size);
      ASSERT_EQ(checksum_fold(checksum_copy(part, copy)), checksum_fold(checksum_add(part)));
      ASSERT_TRUE(std::equal(part.begin(), part.end(), copy.begin()));
    }
  }
}

TEST(IpChecksum, CarriesOverAllOnes) {
  const Bytes ones(64, 0xff);
  EXPECT_EQ(checksum_fold(checksum_add(ones)), 0xffff);
  EXPECT_EQ(checksum_fold(checksum_add(ones, ~std::uint64_t{0})), 0xffff);
}

TEST(IpPacket, FindsTheHeadersOfBothFamilies) {
  const auto v4 = make_packet({.tcp_options = Bytes(12, 1), .data_size = 5});
  const auto layout = walk(v4);
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->payload_offset, 20U);
  EXPECT_EQ(layout->transport_header, 32U);
  EXPECT_EQ(layout->data_size(), 5U);
  EXPECT_EQ(source(v4), Address::v4(0x0a000001));
  EXPECT_EQ(destination(v4), Address::v4(0x0a000009));
  const auto v6 = make_packet({.v6 = true, .udp = true, .data_size = 0});
  ASSERT_TRUE(walk(v6));
  EXPECT_EQ(walk(v6)->transport_header, 8U);
  EXPECT_EQ(source(v6), *parse_address("fd00::1"));
  EXPECT_EQ(destination(v6), *parse_address("fd00::9"));
}

TEST(IpPacket, IgnoresPaddingBehindThePacket) {
  auto packet = make_packet({.data_size = 3});
  const auto size = packet.size();
  packet.resize(size + 13);
  EXPECT_EQ(total_length(packet), size);
}

TEST(IpPacket, RefusesEveryTruncation) {
  for (const bool v6 : {false, true}) {
    const auto packet = make_packet({.v6 = v6});
    for (std::size_t size = 0; size < packet.size(); ++size) EXPECT_FALSE(walk(ByteView(packet).first(size))) << size;
  }
}

TEST(IpPacket, RefusesHeadersThatContradictThemselves) {
  auto packet = make_packet({});
  packet[0] = 0x44;  // header of 16 bytes
  EXPECT_FALSE(walk(packet));
  packet[0] = 0x45;
  store_be16(&packet[2], 19);  // shorter than its header
  EXPECT_FALSE(walk(packet));
  packet = make_packet({});
  packet[0] = 0x55;
  EXPECT_FALSE(walk(packet));
  packet = make_packet({});
  packet[20 + 12] = 0x40;  // TCP header of 16 bytes
  ASSERT_TRUE(walk(packet));
  EXPECT_EQ(walk(packet)->transport_header, 0U);
  packet[20 + 12] = 0xf0;  // longer than what there is
  packet.resize(20 + 30);
  store_be16(&packet[2], 50);
  EXPECT_EQ(walk(packet)->transport_header, 0U);
}

TEST(IpPacket, SeesFragments) {
  EXPECT_FALSE(walk(make_packet({}))->fragment);
  const auto first = walk(make_packet({.fragment = 0x2000}));
  EXPECT_TRUE(first->fragment);
  EXPECT_EQ(first->transport_header, 20U);
  const auto later = walk(make_packet({.fragment = 0x0010}));
  EXPECT_TRUE(later->fragment);
  EXPECT_EQ(later->transport_header, 0U);
}

TEST(IpPacket, WalksIpv6ExtensionHeaders) {
  auto packet = make_packet({.v6 = true, .udp = true, .data_size = 4});
  const Bytes hop_by_hop = {60, 0, 1, 4, 0, 0, 0, 0};
  const Bytes destination_options = {17, 0, 1, 4, 0, 0, 0, 0};
  packet[6] = 0;
  packet.insert(packet.begin() + 40, destination_options.begin(), destination_options.end());
  packet.insert(packet.begin() + 40, hop_by_hop.begin(), hop_by_hop.end());
  store_be16(&packet[4], static_cast<std::uint16_t>(packet.size() - 40));
  const auto layout = walk(packet);
  ASSERT_TRUE(layout);
  EXPECT_EQ(layout->protocol, 17);
  EXPECT_EQ(layout->payload_offset, 56U);
  EXPECT_EQ(layout->transport_header, 8U);
  EXPECT_FALSE(layout->plain_header);
  packet[41] = 200;  // points past the end
  EXPECT_EQ(walk(packet)->protocol, 59);
}

TEST(IpPacket, GivesUpOnAnEndlessHeaderChain) {
  Bytes packet = make_packet({.v6 = true, .udp = true, .data_size = 200});
  packet[6] = 0;
  for (std::size_t at = 40; at + 8 <= packet.size(); at += 8) {
    packet[at] = 0;
    packet[at + 1] = 0;
  }
  EXPECT_EQ(walk(packet)->protocol, 59);
}

}  // namespace
}  // namespace drpf
