#include "protocol/ip/splitter.h"

#include <gtest/gtest.h>

#include "ip_packets.h"
#include "protocol/ip/checksum.h"

namespace drpf {
namespace {

using namespace drpf::test;

OffloadHeader gso_header(const PacketSpec& spec, std::uint16_t gso_size) {
  const auto ip_header = static_cast<std::uint16_t>(spec.v6 ? 40 : 20 + spec.ip_options.size());
  OffloadHeader header{.flags = OffloadHeader::needs_checksum, .gso_size = gso_size, .checksum_start = ip_header};
  header.gso_type = spec.udp ? OffloadHeader::gso_udp : spec.v6 ? OffloadHeader::gso_tcp6 : OffloadHeader::gso_tcp4;
  header.checksum_offset = spec.udp ? 6 : 16;
  return header;
}

std::vector<Bytes> split_all(const OffloadHeader& header, ByteView packet) {
  auto splitter = Splitter::start(header, packet);
  std::vector<Bytes> out;
  while (splitter && !splitter->done()) {
    Bytes one(splitter->next_size());
    EXPECT_LE(one.size(), splitter->size_max());
    EXPECT_EQ(splitter->next(one), one.size());
    out.push_back(std::move(one));
  }
  return out;
}

class SplitEveryKind : public testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  PacketSpec spec(std::size_t data_size) const {
    return {.v6 = std::get<0>(GetParam()), .udp = std::get<1>(GetParam()), .tcp_options = Bytes(12, 1), .data_size = data_size};
  }
};
INSTANTIATE_TEST_SUITE_P(Ip, SplitEveryKind, testing::Combine(testing::Bool(), testing::Bool()));

TEST_P(SplitEveryKind, GivesWhatTheSenderWouldHaveSentOneByOne) {
  auto big = spec(1000 * 3 + 77);
  big.flags = tcp_ack | tcp_psh | tcp_fin;
  const auto whole = make_packet(big);
  const auto parts = split_all(gso_header(big, 1000), whole);
  ASSERT_EQ(parts.size(), 4U);
  const auto headers = walk(whole)->data_offset();
  Bytes joined;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& part = parts[i];
    ASSERT_TRUE(checksums_good(part)) << i;
    EXPECT_EQ(walk(part)->length, part.size());
    EXPECT_EQ(part.size() - headers, i < 3 ? 1000U : 77U);
    joined.insert(joined.end(), part.begin() + static_cast<std::ptrdiff_t>(headers), part.end());
    const auto at = walk(part)->payload_offset;
    if (!big.v6) {
      EXPECT_EQ(load_be16(&part[4]), 100 + i);
    }
    if (big.udp) {
      EXPECT_EQ(load_be16(&part[at + 4]), part.size() - at);
    } else {
      EXPECT_EQ(load_be32(&part[at + 4]), 1 + 1000 * i);
      EXPECT_EQ(part[at + 13], i < 3 ? tcp_ack : big.flags) << i;  // PSH and FIN on the last only
    }
  }
  EXPECT_TRUE(std::equal(joined.begin(), joined.end(), whole.begin() + static_cast<std::ptrdiff_t>(headers), whole.end()));
}

TEST_P(SplitEveryKind, DoesNotBelieveTheHeaderLength) {
  const auto big = spec(2500);
  const auto whole = make_packet(big);
  auto header = gso_header(big, 1000);
  const auto honest = split_all(header, whole);
  for (const std::uint16_t lie :
       {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{1400}, static_cast<std::uint16_t>(whole.size()), std::uint16_t{0xffff}}) {
    header.header_length = lie;
    EXPECT_EQ(split_all(header, whole), honest) << lie;
  }
}

TEST_P(SplitEveryKind, CutsFarMoreThan128Segments) {
  const auto big = spec(20'000);
  const auto parts = split_all(gso_header(big, 88), make_packet(big));
  ASSERT_EQ(parts.size(), (20'000 + 87) / 88U);
  for (const auto& part : parts) ASSERT_TRUE(checksums_good(part));
  EXPECT_EQ(split_all(gso_header(big, 1), make_packet(big)).size(), 20'000U);
}

TEST_P(SplitEveryKind, FinishesTheChecksumOfASinglePacket) {
  auto packet = make_packet(spec(333));
  const auto complete = packet;
  const auto layout = *walk(packet);
  const auto offset = static_cast<std::uint16_t>(layout.protocol == protocol_udp ? 6 : 16);
  const auto pseudo =
      checksum_pseudo_header(addresses(packet), layout.protocol, static_cast<std::uint32_t>(packet.size() - layout.payload_offset));
  store_native(&packet[layout.payload_offset + offset], checksum_fold(pseudo));
  const OffloadHeader header{.flags = OffloadHeader::needs_checksum,
                             .checksum_start = static_cast<std::uint16_t>(layout.payload_offset),
                             .checksum_offset = offset};
  EXPECT_EQ(split_all(header, packet), std::vector<Bytes>{complete});
}

TEST_P(SplitEveryKind, LeavesAFinishedPacketAlone) {
  const auto packet = make_packet(spec(10));
  EXPECT_EQ(split_all({}, packet), std::vector<Bytes>{packet});
}

TEST_P(SplitEveryKind, RefusesContradictions) {
  const auto big = spec(2500);
  const auto packet = make_packet(big);
  const auto good = gso_header(big, 1000);
  auto bad = good;
  bad.gso_size = 0;
  EXPECT_FALSE(Splitter::start(bad, packet));
  bad = good;
  bad.checksum_start += 2;
  EXPECT_FALSE(Splitter::start(bad, packet));
  bad = good;
  bad.gso_type = 3;  // UFO was never asked for
  EXPECT_FALSE(Splitter::start(bad, packet));
  bad = good;
  bad.gso_type = big.udp ? OffloadHeader::gso_tcp4 : OffloadHeader::gso_udp;
  EXPECT_FALSE(Splitter::start(bad, packet));
  if (!big.udp) {
    bad = good;
    bad.gso_type = big.v6 ? OffloadHeader::gso_tcp4 : OffloadHeader::gso_tcp6;
    EXPECT_FALSE(Splitter::start(bad, packet));
  }
  EXPECT_FALSE(Splitter::start(good, ByteView(packet).first(39)));
  bad = {.flags = OffloadHeader::needs_checksum, .checksum_start = static_cast<std::uint16_t>(packet.size() - 1), .checksum_offset = 0};
  EXPECT_FALSE(Splitter::start(bad, packet));
}

TEST(Splitter, WritesAZeroUdpChecksumAsItsEqual) {
  PacketSpec spec{.udp = true, .data_size = 2};
  bool seen = false;
  for (unsigned value = 0; value < 0x10000 && !seen; ++value) {
    auto packet = make_packet(spec);
    packet[28] = static_cast<std::uint8_t>(value >> 8);
    packet[29] = static_cast<std::uint8_t>(value);
    store_native(&packet[26], checksum_fold(checksum_pseudo_header(addresses(packet), 17, 10)));
    const auto out = split_all({.flags = OffloadHeader::needs_checksum, .checksum_start = 20, .checksum_offset = 6}, packet);
    ASSERT_EQ(out.size(), 1U);
    ASSERT_NE(load_be16(&out[0][26]), 0);
    seen = load_be16(&out[0][26]) == 0xffff;
  }
  EXPECT_TRUE(seen);
}

TEST(Splitter, KeepsCwrOnTheFirstSegmentOnly) {
  const PacketSpec spec{.flags = tcp_ack | tcp_cwr, .data_size = 3000};
  auto header = gso_header(spec, 1000);
  header.gso_type |= OffloadHeader::gso_ecn;
  const auto parts = split_all(header, make_packet(spec));
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_EQ(parts[0][33] & tcp_cwr, tcp_cwr);
  EXPECT_EQ(parts[1][33] & tcp_cwr, 0);
  EXPECT_EQ(parts[2][33] & tcp_cwr, 0);
}

TEST(Splitter, CopiesIpv4Options) {
  const PacketSpec spec{.ip_options = Bytes(8, 1), .data_size = 2000};
  const auto parts = split_all(gso_header(spec, 900), make_packet(spec));
  ASSERT_EQ(parts.size(), 3U);
  for (const auto& part : parts) EXPECT_TRUE(checksums_good(part));
}

}  // namespace
}  // namespace drpf
