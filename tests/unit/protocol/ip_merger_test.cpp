#include "protocol/ip/merger.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "ip_packets.h"
#include "protocol/ip/splitter.h"

namespace drpf {
namespace {

using namespace drpf::test;

struct Written {
  OffloadHeader header;
  Bytes packet;
  std::size_t segments;
};

std::vector<Written> merge(std::vector<Bytes>& packets, MergeFeatures features = {}) {
  Merger merger;
  merger.set_features(features);
  std::vector<Written> out;
  for (auto& packet : packets) merger.add(packet, *walk(packet));
  merger.finish([&](const Merger::Output& output) {
    Written written{output.header, {}, output.segments};
    for (const auto piece : output.pieces) written.packet.insert(written.packet.end(), piece.begin(), piece.end());
    out.push_back(std::move(written));
  });
  EXPECT_TRUE(merger.empty());
  return out;
}

std::vector<std::size_t> segment_counts(std::vector<Bytes> packets, MergeFeatures features = {}) {
  std::vector<std::size_t> counts;
  for (const auto& written : merge(packets, features)) counts.push_back(written.segments);
  return counts;
}

std::vector<Bytes> split_again(const std::vector<Written>& all) {
  std::vector<Bytes> out;
  for (const auto& written : all) {
    auto splitter = Splitter::start(written.header, written.packet);
    EXPECT_TRUE(splitter);
    while (splitter && !splitter->done()) {
      Bytes one(splitter->next_size());
      splitter->next(one);
      out.push_back(std::move(one));
    }
  }
  return out;
}

using Counts = std::vector<std::size_t>;

class MergeEveryKind : public testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  PacketSpec spec() const { return {.v6 = std::get<0>(GetParam()), .udp = std::get<1>(GetParam()), .data_size = 500}; }
};
INSTANTIATE_TEST_SUITE_P(Ip, MergeEveryKind, testing::Combine(testing::Bool(), testing::Bool()));

TEST_P(MergeEveryKind, JoinsATrainWithAShortTail) {
  auto packets = make_train(spec(), 10, 123);
  const auto originals = packets;
  const auto out = merge(packets);
  ASSERT_EQ(out.size(), 1U);
  const auto layout = *walk(out[0].packet);
  EXPECT_EQ(out[0].segments, 10U);
  EXPECT_EQ(layout.length, out[0].packet.size());
  EXPECT_EQ(layout.data_size(), 9 * 500U + 123U);
  const auto& header = out[0].header;
  EXPECT_EQ(header.flags, OffloadHeader::needs_checksum);
  EXPECT_EQ(header.gso_type, spec().udp ? OffloadHeader::gso_udp : spec().v6 ? OffloadHeader::gso_tcp6 : OffloadHeader::gso_tcp4);
  EXPECT_EQ(header.gso_size, 500);
  EXPECT_EQ(header.header_length, layout.data_offset());
  EXPECT_EQ(header.checksum_start, layout.payload_offset);
  EXPECT_EQ(header.checksum_offset, spec().udp ? 6 : 16);
  // The field holds the plain pseudo-header sum: what the reference computes, not inverted.
  const auto pseudo = static_cast<std::uint16_t>(
      ~reference_checksum({}, reference_pseudo_sum(out[0].packet, layout.protocol, layout.length - layout.payload_offset)));
  EXPECT_EQ(load_be16(&out[0].packet[layout.payload_offset + header.checksum_offset]), pseudo);
  EXPECT_EQ(split_again(out), originals);
}

TEST_P(MergeEveryKind, NothingFollowsAShorterSegment) {
  auto a = make_train(spec(), 3, 100);
  auto next = spec();
  next.sequence += 2 * 500 + 100;
  next.identification += 3;
  for (auto& packet : make_train(next, 2)) a.push_back(packet);
  EXPECT_EQ(segment_counts(a), (Counts{3, 2}));
}

TEST_P(MergeEveryKind, ALongerSegmentStartsAnew) {
  auto packets = make_train(spec(), 2);
  auto longer = spec();
  longer.sequence += 1000;
  longer.data_size = 501;
  packets.push_back(make_packet(longer));
  EXPECT_EQ(segment_counts(packets), (Counts{2, 1}));
}

TEST_P(MergeEveryKind, NeverLaundersABadChecksum) {
  for (std::size_t broken = 0; broken < 3; ++broken) {
    auto packets = make_train(spec(), 3);
    packets[broken].back() ^= 0x40;
    const auto originals = packets;
    const auto out = merge(packets);
    EXPECT_EQ(out.size(), broken == 0 ? 2U : broken == 1 ? 3U : 2U);
    EXPECT_EQ(split_again(out), originals);  // the broken one leaves as broken as it came
  }
}

TEST_P(MergeEveryKind, DifferentIpHeadersStayApart) {
  const auto with = [&](auto change) {
    auto packets = make_train(spec(), 2);
    auto other = spec();
    other.sequence += 500;
    other.identification += 1;
    change(other);
    packets[1] = make_packet(other);
    return segment_counts(packets);
  };
  EXPECT_EQ(with([](PacketSpec&) {}), (Counts{2}));
  EXPECT_EQ(with([](PacketSpec& other) { other.hop_limit = 63; }), (Counts{1, 1}));
  EXPECT_EQ(with([](PacketSpec& other) { other.traffic_class = 3; }), (Counts{1, 1}));  // ECN CE
  EXPECT_EQ(with([](PacketSpec& other) { other.source_port = 1001; }), (Counts{1, 1}));
  EXPECT_EQ(with([](PacketSpec& other) { other.source_host = 2; }), (Counts{1, 1}));
  if (!spec().v6) {
    EXPECT_EQ(with([](PacketSpec& other) { other.fragment = 0; }), (Counts{1, 1}));  // DF differs
  }
}

TEST_P(MergeEveryKind, StopsAtTheSegmentLimit) {
  auto small = spec();
  small.data_size = 40;
  const std::size_t limit = small.udp ? 64 : 128;
  EXPECT_EQ(segment_counts(make_train(small, 300)), small.udp ? (Counts{64, 64, 64, 64, 44}) : (Counts{128, 128, 44}));
  EXPECT_EQ(limit, small.udp ? Merger::udp_segments_max : Merger::tcp_segments_max);
}

TEST_P(MergeEveryKind, StopsAtTheLengthLimit) {
  auto big = spec();
  big.data_size = 1400;
  for (auto packets = make_train(big, 60); const auto& written : merge(packets)) EXPECT_LE(written.packet.size(), 65535U);
}

TEST_P(MergeEveryKind, FlowsThatInterleaveAreBothJoined) {
  auto other = spec();
  other.source_port = 2000;
  const auto a = make_train(spec(), 5);
  const auto b = make_train(other, 5);
  std::vector<Bytes> mixed;
  for (std::size_t i = 0; i < 5; ++i) {
    mixed.push_back(a[i]);
    mixed.push_back(b[i]);
  }
  EXPECT_EQ(segment_counts(mixed), (Counts{5, 5}));
}

TEST_P(MergeEveryKind, CanBeSwitchedOff) {
  const auto train = make_train(spec(), 3);
  EXPECT_EQ(segment_counts(train, {.tcp = spec().udp, .udp = !spec().udp}), (Counts{1, 1, 1}));
}

TEST(Merger, FragmentsAndIpv4OptionsStayAlone) {
  EXPECT_EQ(segment_counts(make_train({.fragment = 0x2000}, 2)), (Counts{1, 1}));
  EXPECT_EQ(segment_counts(make_train({.udp = true, .fragment = 0x2000}, 2)), (Counts{1, 1}));
  EXPECT_EQ(segment_counts(make_train({.fragment = 0x0001}, 2)), (Counts{1, 1}));
  EXPECT_EQ(segment_counts(make_train({.ip_options = Bytes(4, 1)}, 2)), (Counts{1, 1}));
}

TEST(Merger, Ipv6ExtensionHeadersStayAlone) {
  auto packets = make_train({.v6 = true, .udp = true}, 2);
  for (auto& packet : packets) {
    const Bytes options = {17, 0, 1, 4, 0, 0, 0, 0};
    packet[6] = 60;
    packet.insert(packet.begin() + 40, options.begin(), options.end());
    store_be16(&packet[4], static_cast<std::uint16_t>(packet.size() - 40));
  }
  EXPECT_EQ(segment_counts(packets), (Counts{1, 1}));
}

TEST(Merger, WithoutDfTheIdentificationMustCount) {
  EXPECT_EQ(segment_counts(make_train({.fragment = 0}, 3)), (Counts{3}));
  auto packets = make_train({.fragment = 0}, 3);
  packets[2] = make_packet({.sequence = 201, .identification = 555, .fragment = 0});
  EXPECT_EQ(segment_counts(packets), (Counts{2, 1}));
}

TEST(Merger, TcpMergesOnlyAckAndPsh) {
  for (const int flags : {0x00, 0x02, 0x11, 0x12, 0x14, 0x30, 0x50, 0x90})
    EXPECT_EQ(segment_counts(make_train({.flags = static_cast<std::uint8_t>(flags)}, 2)), (Counts{1, 1})) << flags;
}

TEST(Merger, PshEndsTheGroupAndIsKept) {
  auto packets = make_train({}, 5);
  packets[2] = make_packet({.sequence = 201, .flags = tcp_ack | tcp_psh, .identification = 102});
  const auto originals = packets;
  const auto out = merge(packets);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].segments, 3U);
  EXPECT_EQ(out[0].packet[33], tcp_ack | tcp_psh);
  EXPECT_EQ(out[1].packet[33], tcp_ack);
  EXPECT_EQ(split_again(out)[2][33], tcp_ack | tcp_psh);
}

TEST(Merger, TcpHeadersMustAgree) {
  const auto with = [](auto change) {
    PacketSpec second{.sequence = 101, .tcp_options = Bytes(12, 1), .identification = 101};
    change(second);
    return segment_counts({make_packet({.tcp_options = Bytes(12, 1)}), make_packet(second)});
  };
  EXPECT_EQ(with([](PacketSpec&) {}), (Counts{2}));
  EXPECT_EQ(with([](PacketSpec& second) { second.acknowledgement = 8; }), (Counts{1, 1}));
  EXPECT_EQ(with([](PacketSpec& second) { second.window = 5001; }), (Counts{1, 1}));
  EXPECT_EQ(with([](PacketSpec& second) { second.tcp_options[5] = 2; }), (Counts{1, 1}));
  EXPECT_EQ(with([](PacketSpec& second) { second.tcp_options.resize(8); }), (Counts{1, 1}));
  EXPECT_EQ(with([](PacketSpec& second) { second.sequence = 102; }), (Counts{1, 1}));
  EXPECT_EQ(with([](PacketSpec& second) { second.data_size = 0; }), (Counts{1, 1}));
}

TEST(Merger, MendsSwappedTcpSegments) {
  auto packets = make_train({}, 4, 30);
  const auto originals = packets;
  std::swap(packets[0], packets[1]);
  const auto out = merge(packets);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].header.gso_size, 100);
  EXPECT_EQ(split_again(out), originals);
}

TEST(Merger, AShortHeadCanOnlyBeTheLast) {
  auto packets = make_train({}, 2, 30);  // 100 then 30, arriving backwards
  const auto originals = packets;
  std::swap(packets[0], packets[1]);
  packets.push_back(make_packet({.sequence = 131, .identification = 102}));
  const auto out = merge(packets);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].segments, 2U);
  EXPECT_EQ(split_again(out)[0], originals[0]);
  EXPECT_EQ(split_again(out)[1], originals[1]);
}

TEST(Merger, UdpIsNeverReordered) {
  auto packets = make_train({.udp = true}, 4);
  packets[2] = make_packet({.udp = true, .identification = 102, .data_size = 300});
  auto originals = packets;
  EXPECT_EQ(split_again(merge(packets)), originals);
}

TEST(Merger, UdpWithoutChecksumStaysAloneAndWithout) {
  auto packets = make_train({.udp = true, .no_udp_checksum = true}, 3);
  const auto originals = packets;
  const auto out = merge(packets);
  EXPECT_EQ(out.size(), 3U);
  EXPECT_EQ(split_again(out), originals);
}

TEST(Merger, UdpLengthShorterThanThePacketStaysAlone) {
  auto packets = make_train({.udp = true}, 2);
  store_be16(&packets[1][24], 50);
  EXPECT_EQ(segment_counts(packets), (Counts{1, 1}));
}

TEST(Merger, AnAckBetweenDataKeepsItsPlace) {
  std::vector<Bytes> packets = {make_packet({.sequence = 1}), make_packet({.sequence = 101, .acknowledgement = 9, .data_size = 0}),
                                make_packet({.sequence = 101, .acknowledgement = 7})};
  const auto originals = packets;
  EXPECT_EQ(split_again(merge(packets)), originals);
}

TEST(Merger, TakesAFullBatch) {
  std::vector<Bytes> packets;
  for (std::size_t i = 0; i < Merger::packets_max; ++i)
    packets.push_back(make_packet({.udp = true, .source_port = static_cast<std::uint16_t>(i + 1), .data_size = 1}));
  EXPECT_EQ(merge(packets).size(), Merger::packets_max);
}

// Whatever comes in comes out, byte for byte and in order per flow. Identifications are left out where DF makes them meaningless.
RC_GTEST_PROP(MergerProperty, SplitUndoesMerge, ()) {
  std::vector<Bytes> packets;
  struct Flow {
    PacketSpec spec;
  };
  std::vector<Flow> flows(4);
  for (std::size_t i = 0; i < flows.size(); ++i) {
    flows[i].spec.v6 = i % 2 == 1;
    flows[i].spec.udp = i >= 2;
    flows[i].spec.source_port = static_cast<std::uint16_t>(1000 + i);
    flows[i].spec.fragment = *rc::gen::element<std::uint16_t>(0x4000, 0);
  }
  const auto count = *rc::gen::inRange<std::size_t>(1, 200);
  for (std::size_t i = 0; i < count; ++i) {
    auto& spec = flows[*rc::gen::inRange<std::size_t>(0, flows.size())].spec;
    const auto dice = *rc::gen::inRange(0, 40);
    spec.data_size = dice < 30 ? 200 : *rc::gen::inRange<std::size_t>(0, 400);
    if (dice == 31) spec.sequence += 1;
    if (dice == 32) spec.acknowledgement += 1;
    if (dice == 33) spec.hop_limit = static_cast<std::uint8_t>(spec.hop_limit ^ 1);
    spec.flags = dice == 34 ? tcp_ack | tcp_psh : dice == 35 ? tcp_ack | tcp_fin : tcp_ack;
    spec.no_udp_checksum = dice == 36;
    spec.first_byte = static_cast<std::uint8_t>(i);
    auto packet = make_packet(spec);
    if (dice == 37) packet.back() ^= 1;
    packets.push_back(std::move(packet));
    spec.sequence += static_cast<std::uint32_t>(spec.data_size);
    spec.identification = static_cast<std::uint16_t>(spec.identification + 1);
  }
  const auto by_flow = [](std::vector<Bytes> all) {
    std::map<std::uint16_t, std::vector<Bytes>> sorted;
    for (auto& packet : all) {
      const auto port = load_be16(&packet[walk(packet)->payload_offset]);
      if (packet[0] >> 4 == 4 && (packet[6] & 0x40) != 0) packet[4] = packet[5] = packet[10] = packet[11] = 0;
      sorted[port].push_back(std::move(packet));
    }
    return sorted;
  };
  const auto expected = by_flow(packets);
  RC_ASSERT(by_flow(split_again(merge(packets))) == expected);
}

}  // namespace
}  // namespace drpf
