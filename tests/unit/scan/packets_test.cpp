#include <array>

#include <gtest/gtest.h>

#include "protocol/ip/checksum.h"
#include "protocol/ip/packet.h"
#include "protocol/ip/wire.h"
#include "scan/ask/probe_packet.h"
#include "scan/ask/reply_packet.h"

namespace drpf::scan {
namespace {

namespace ip = protocol::ip;

class Seeded final : public Random {
 public:
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = next_ = static_cast<std::uint8_t>(next_ * 5 + 77);
  }

 private:
  std::uint8_t next_ = 3;
};

ProbeKey test_key() {
  Seeded random;
  return ProbeKey(random);
}

struct Ends {
  Address local;
  Address target;
};
Ends ends(Family family) {
  if (family == Family::v4) return {*parse_address("192.0.2.1"), *parse_address("192.0.2.77")};
  return {*parse_address("2001:db8::1"), *parse_address("2001:db8::77")};
}

constexpr SourcePorts ports{61000};

Bytes probe(Kind kind, Family family, std::uint16_t number, std::uint16_t source_port = ports.first) {
  const auto [local, target] = ends(family);
  Bytes out(probe_size_max);
  out.resize(write_probe(out, kind, {local, target, source_port, number}, test_key()));
  return out;
}

ReplyReader reader(Kind kind, Family family) { return {kind, test_key(), ports, ends(family).local}; }

// The kernel of the target, as far as it is needed here: a TCP segment back, built without the code under test.
Bytes tcp_answer(ByteView asked, std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledgement, std::uint16_t window = 0) {
  Bytes out(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(asked[0] >> 4 == 4 ? 40 : 60));
  const bool v4 = asked[0] >> 4 == 4;
  const std::size_t start = v4 ? 20 : 40;
  if (v4) {
    std::copy_n(asked.begin() + 16, 4, out.begin() + 12);
    std::copy_n(asked.begin() + 12, 4, out.begin() + 16);
    ip::store_be16(&out[2], 40);
  } else {
    std::copy_n(asked.begin() + 24, 16, out.begin() + 8);
    std::copy_n(asked.begin() + 8, 16, out.begin() + 24);
    ip::store_be16(&out[4], 20);
  }
  std::copy_n(asked.begin() + static_cast<std::ptrdiff_t>(start) + 2, 2, out.begin() + static_cast<std::ptrdiff_t>(start));
  std::copy_n(asked.begin() + static_cast<std::ptrdiff_t>(start), 2, out.begin() + static_cast<std::ptrdiff_t>(start) + 2);
  ip::store_be32(&out[start + 4], sequence);
  ip::store_be32(&out[start + 8], acknowledgement);
  out[start + 12] = 0x50;
  out[start + 13] = flags;
  ip::store_be16(&out[start + 14], window);
  return out;
}

Bytes icmp_error(ByteView asked, const Address& sender, std::uint8_t type, std::uint8_t code, std::size_t quoted) {
  const auto quote = asked.first(std::min(quoted, asked.size()));
  const bool v4 = sender.is_v4();
  ByteWriter out;
  if (v4) {
    out.u16_be(0x4500)
        .u16_be(static_cast<std::uint16_t>(28 + quote.size()))
        .u32_be(0)
        .u8(61)
        .u8(1)
        .u16_be(0)
        .bytes(sender.bytes())
        .bytes(asked.subspan(12, 4));
  } else {
    out.u32_be(0x60000000)
        .u16_be(static_cast<std::uint16_t>(8 + quote.size()))
        .u8(58)
        .u8(61)
        .bytes(sender.bytes())
        .bytes(asked.subspan(8, 16));
  }
  return out.u8(type).u8(code).u16_be(0).u32_be(0).bytes(quote).take();
}

std::uint32_t sequence_of(ByteView packet) { return ip::load_be32(&packet[(packet[0] >> 4 == 4 ? 20U : 40U) + 4]); }
std::uint32_t acknowledgement_of(ByteView packet) { return ip::load_be32(&packet[(packet[0] >> 4 == 4 ? 20U : 40U) + 8]); }

class BothFamilies : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(Packets, BothFamilies, testing::Values(Family::v4, Family::v6),
                         [](const auto& parameter) { return std::string(parameter.param == Family::v4 ? "v4" : "v6"); });

TEST_P(BothFamilies, EveryProbeIsAWellFormedPacketWithRightChecksums) {
  for (const auto kind : kinds()) {
    if (kind == Kind::connect || kind == Kind::idle) continue;
    for (const int wanted : {1, 6, 17, 53, 58, 123, 161, 255}) {
      const auto number = static_cast<std::uint16_t>(wanted);
      const auto packet = probe(kind, GetParam(), number);
      const auto layout = ip::walk(packet);
      ASSERT_TRUE(layout) << to_string(kind);
      EXPECT_EQ(layout->length, packet.size());
      EXPECT_EQ(ip::source(packet), ends(GetParam()).local);
      EXPECT_EQ(ip::destination(packet), ends(GetParam()).target);
      if (GetParam() == Family::v4) {
        EXPECT_EQ(ip::checksum_fold(ip::checksum_add(ByteView(packet).first(20))), 0xffff);
      }
      if (layout->protocol != 6 && layout->protocol != 17 && !(layout->protocol == 58 && GetParam() == Family::v6)) continue;
      const auto body = ByteView(packet).subspan(layout->payload_offset);
      const auto sum = ip::checksum_pseudo_header(ip::addresses(packet), layout->protocol, static_cast<std::uint32_t>(body.size()));
      EXPECT_EQ(ip::checksum_fold(ip::checksum_add(body, sum)), 0xffff) << to_string(kind) << ' ' << number;
    }
  }
}

TEST_P(BothFamilies, AnswersOfAKernelBelongToTheirProbe) {
  struct Case {
    Kind kind;
    std::uint32_t length;  // that a RST|ACK acknowledges
  };
  for (const auto [kind, length] : {Case{Kind::syn, 1}, Case{Kind::fin, 1}, Case{Kind::null, 0}, Case{Kind::xmas, 1}}) {
    const auto asked = probe(kind, GetParam(), 443, 61003);
    Reply reply;
    ASSERT_EQ(reader(kind, GetParam()).read(tcp_answer(asked, 0x14, 0, sequence_of(asked) + length), reply), Reading::reply)
        << to_string(kind);
    EXPECT_EQ(reply.answer.type, AnswerType::reset);
    EXPECT_EQ(reply.target, ends(GetParam()).target);
    EXPECT_EQ(reply.number, 443);
    EXPECT_EQ(reply.source_port, 61003);
  }
  for (const auto kind : {Kind::ack, Kind::window, Kind::maimon}) {
    const auto asked = probe(kind, GetParam(), 443);
    Reply reply;
    ASSERT_EQ(reader(kind, GetParam()).read(tcp_answer(asked, 0x04, acknowledgement_of(asked), 0, 512), reply), Reading::reply);
    EXPECT_EQ(reply.answer.type, AnswerType::reset);
    EXPECT_EQ(reply.answer.window, 512);
    EXPECT_EQ(reader(kind, GetParam()).read(tcp_answer(asked, 0x04, acknowledgement_of(asked) + 1, 0), reply), Reading::stray);
  }
  const auto asked = probe(Kind::syn, GetParam(), 443);
  Reply reply;
  ASSERT_EQ(reader(Kind::syn, GetParam()).read(tcp_answer(asked, 0x12, 99, sequence_of(asked) + 1), reply), Reading::reply);
  EXPECT_EQ(reply.answer.type, AnswerType::syn_ack);
}

TEST_P(BothFamilies, ForgedAndForeignAnswersAreStrays) {
  const auto asked = probe(Kind::syn, GetParam(), 443);
  const auto read = [&](ByteView packet) {
    Reply reply;
    return reader(Kind::syn, GetParam()).read(packet, reply);
  };
  EXPECT_EQ(read(tcp_answer(asked, 0x12, 1, sequence_of(asked))), Reading::stray);      // SYN/ACK of another sequence
  EXPECT_EQ(read(tcp_answer(asked, 0x14, 0, sequence_of(asked) + 2)), Reading::stray);  // RST likewise
  EXPECT_EQ(read(tcp_answer(asked, 0x04, 0, 0)), Reading::stray);                       // RST out of the blue
  EXPECT_EQ(read(tcp_answer(asked, 0x10, 1, sequence_of(asked) + 1)), Reading::stray);  // ACK alone
  auto elsewhere = tcp_answer(asked, 0x12, 1, sequence_of(asked) + 1);
  elsewhere[GetParam() == Family::v4 ? 19 : 39] ^= 1;  // to another address of ours
  EXPECT_EQ(read(elsewhere), Reading::not_ours);
  auto other_port = tcp_answer(asked, 0x12, 1, sequence_of(asked) + 1);
  ip::store_be16(&other_port[(GetParam() == Family::v4 ? 20U : 40U) + 2], 40000);
  EXPECT_EQ(read(other_port), Reading::not_ours);
  const auto whole = tcp_answer(asked, 0x12, 1, sequence_of(asked) + 1);
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_EQ(read(ByteView(whole).first(size)), Reading::not_ours);
  EXPECT_EQ(read(asked), Reading::not_ours);  // our own probe, as loopback shows it
}

TEST_P(BothFamilies, AnIcmpErrorIsReadWithTheEightBytesThatOldRoutersQuote) {
  const auto router = GetParam() == Family::v4 ? *parse_address("198.51.100.9") : *parse_address("2001:db8:9::9");
  const auto target = ends(GetParam()).target;
  const std::size_t header = GetParam() == Family::v4 ? 20 : 40;
  const std::uint8_t type = GetParam() == Family::v4 ? 3 : 1;
  for (const auto kind : {Kind::syn, Kind::ack, Kind::udp, Kind::ip_protocol}) {
    const auto asked = probe(kind, GetParam(), kind == Kind::ip_protocol ? 103 : 53, 61001);
    for (const auto& sender : {router, target}) {
      Reply reply;
      ASSERT_EQ(reader(kind, GetParam()).read(icmp_error(asked, sender, type, 1, header + 8), reply), Reading::reply) << to_string(kind);
      EXPECT_EQ(reply.target, target);
      EXPECT_EQ(reply.number, kind == Kind::ip_protocol ? 103 : 53);
      EXPECT_EQ(reply.answer.sender, sender);
      EXPECT_EQ(reply.answer.from_target, sender == target);
      EXPECT_EQ(reply.answer.ttl, 61);
      EXPECT_EQ(reply.answer.icmp, (IcmpError{type, 1}));
    }
  }
  const auto asked = probe(Kind::syn, GetParam(), 53);
  Reply reply;
  EXPECT_EQ(reader(Kind::syn, GetParam()).read(icmp_error(asked, router, type, 1, header + 7), reply), Reading::not_ours);
  auto forged = icmp_error(asked, router, type, 1, header + 8);
  forged.back() ^= 1;  // the sequence number
  EXPECT_EQ(reader(Kind::syn, GetParam()).read(forged, reply), Reading::stray);
  EXPECT_EQ(reader(Kind::udp, GetParam()).read(icmp_error(asked, router, type, 1, header + 8), reply), Reading::not_ours);
}

TEST(Packets, AnIpv6ProbeOfAProtocolWithoutPortsIsKnownByWhatItCarries) {
  const auto asked = probe(Kind::ip_protocol, Family::v6, 103, 61001);
  ASSERT_EQ(asked.size(), 48U);
  // A router that verifies the checksum of every protocol rejects it nevertheless.
  const auto sum = ip::checksum_pseudo_header(ip::addresses(asked), 103, 8);
  EXPECT_EQ(ip::checksum_finish(ip::checksum_add(ByteView(asked).subspan(40), sum)), 0);
  const auto known = reader(Kind::ip_protocol, Family::v6);
  Reply reply;
  ASSERT_EQ(known.read(icmp_error(asked, ends(Family::v6).target, 4, 1, 48), reply), Reading::reply);
  EXPECT_EQ(reply.source_port, 61001);
  EXPECT_EQ(known.read(icmp_error(asked, ends(Family::v6).target, 4, 1, 47), reply), Reading::not_ours);
  auto forged = asked;
  forged[40] ^= 1;
  EXPECT_EQ(known.read(icmp_error(forged, ends(Family::v6).target, 4, 1, 48), reply), Reading::stray);
  EXPECT_EQ(probe(Kind::ip_protocol, Family::v6, 43).size(), 40U);  // to a routing header it would be a route
}

TEST_P(BothFamilies, OnLoopbackAProbeIsNoAnswerToItself) {
  const auto own = ends(GetParam()).local;
  for (const auto protocol : {std::uint16_t{2}, std::uint16_t{132}, std::uint16_t{200}}) {
    Bytes asked(probe_size_max);
    asked.resize(write_probe(asked, Kind::ip_protocol, {own, own, 61003, protocol}, test_key()));
    Reply reply;
    EXPECT_EQ(reader(Kind::ip_protocol, GetParam()).read(asked, reply), Reading::not_ours);
    asked[GetParam() == Family::v4 ? 4 : 40] ^= 1;  // somebody else's packet of that protocol
    EXPECT_EQ(reader(Kind::ip_protocol, GetParam()).read(asked, reply), Reading::reply);
    EXPECT_EQ(reply.number, protocol);
  }
}

TEST(Packets, TheKeyIsSipHash) {
  // The first entries of the reference test vectors of SipHash-2-4: key 00..0f, messages of 0 and 8 bytes 00..07.
  constexpr SipHashKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  EXPECT_EQ(sip_hash(key, {}), 0x726fdb47dd0e0e31U);
  constexpr std::uint64_t word[] = {0x0706050403020100};
  EXPECT_EQ(sip_hash(key, word), 0x93f5f5799a932462U);
}

TEST(Packets, ExtensionHeadersBeforeTheAnswerAreStepped) {
  const auto asked = probe(Kind::syn, Family::v6, 443);
  auto answer = tcp_answer(asked, 0x12, 1, sequence_of(asked) + 1);
  const Bytes options{6, 0, 1, 4, 0, 0, 0, 0};
  answer.insert(answer.begin() + 40, options.begin(), options.end());
  answer[6] = 60;
  ip::store_be16(&answer[4], 28);
  Reply reply;
  EXPECT_EQ(reader(Kind::syn, Family::v6).read(answer, reply), Reading::reply);
  EXPECT_EQ(reply.answer.type, AnswerType::syn_ack);
}

}  // namespace
}  // namespace drpf::scan
