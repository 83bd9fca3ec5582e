#include "scan/own/lease_visit.h"

#include <gtest/gtest.h>

#include "protocol/ip/packet.h"
#include "protocol/ip/wire.h"
#include "scan/ask/udp_payloads.h"

namespace drpf::scan {
namespace {

using protocol::ip::load_be16;
using protocol::ip::load_be32;
using protocol::ip::store_be16;
using protocol::ip::store_be32;

class Counting final : public Random {
 public:
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 1;
};

struct Case {
  const char* from;
  const char* to;
};
constexpr Case v4{"192.0.2.77", "198.51.100.1:20000"};
constexpr Case v6{"2001:db8:6472:7066::77", "[2001:db8:51::1]:20000"};

class LeaseVisitTest : public testing::TestWithParam<Case> {
 protected:
  LeaseVisit visit(Protocol protocol, Port service = Port(8080)) {
    return LeaseVisit(protocol, *parse_address(GetParam().from), *parse_endpoint(GetParam().to), service, random_);
  }
  // The visit's packet with its ends exchanged, as an answer has them.
  static Bytes turned(const LeaseVisit& visit) {
    auto packet = visit.packet();
    const bool is_v4 = packet[0] >> 4 == 4;
    const std::size_t address = is_v4 ? 4 : 16;
    const std::size_t place = is_v4 ? 12 : 8;
    const auto at = [&](std::size_t offset) { return packet.begin() + static_cast<std::ptrdiff_t>(offset); };
    std::swap_ranges(at(place), at(place + address), at(place + address));
    const auto transport = transport_of(packet);
    std::swap_ranges(at(transport), at(transport + 2), at(transport + 2));
    return packet;
  }
  static std::size_t transport_of(const Bytes& packet) { return packet[0] >> 4 == 4 ? 20 : 40; }
  static Bytes answer(const LeaseVisit& visit, std::uint8_t flags, std::uint32_t beyond = 1) {
    auto packet = turned(visit);
    const auto tcp = transport_of(packet);
    const auto sequence = load_be32(&packet[tcp + 4]);
    store_be32(&packet[tcp + 4], 7777);
    store_be32(&packet[tcp + 8], sequence + beyond);
    packet[tcp + 13] = flags;
    return packet;
  }
  Counting random_;
};

TEST_P(LeaseVisitTest, ItsPacketIsAlwaysTheSame) {
  for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
    const auto one = visit(protocol);
    EXPECT_EQ(one.packet(), one.packet());
    const auto walked = protocol::ip::walk(one.packet());
    ASSERT_TRUE(walked);
    EXPECT_EQ(walked->protocol, static_cast<std::uint8_t>(protocol));
    EXPECT_EQ(to_string(one.to()), GetParam().to);
    EXPECT_EQ(to_string(one.from().address), GetParam().from);
    EXPECT_GE(one.from().port.value(), 61'000);
  }
}

TEST_P(LeaseVisitTest, ReadsTheAnswersToASyn) {
  const auto one = visit(Protocol::tcp);
  const auto open = one.answer_in(answer(one, 0x12));
  ASSERT_TRUE(open);
  EXPECT_EQ(open->cause, Cause::syn_ack);
  EXPECT_EQ(open->state, State::open);
  const auto refused = one.answer_in(answer(one, 0x14));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->cause, Cause::reset);
  EXPECT_FALSE(one.answer_in(answer(one, 0x12, 2))) << "another connection's";
  EXPECT_FALSE(one.answer_in(one.packet())) << "its own";
  EXPECT_FALSE(visit(Protocol::tcp).answer_in(answer(one, 0x12))) << "another visit's";
}

TEST_P(LeaseVisitTest, ItsResetFollowsItsSyn) {
  const auto one = visit(Protocol::tcp);
  const auto syn = one.packet();
  const auto reset = one.reset();
  const auto tcp = transport_of(syn);
  EXPECT_EQ(load_be32(&reset[tcp + 4]), load_be32(&syn[tcp + 4]) + 1);
  EXPECT_EQ(reset[tcp + 13], 0x04);
  EXPECT_EQ(load_be16(&reset[tcp]), load_be16(&syn[tcp]));
  EXPECT_EQ(load_be16(&reset[tcp + 2]), 20000);
  EXPECT_EQ(protocol::ip::walk(reset)->length, reset.size());
}

TEST_P(LeaseVisitTest, ReadsTheAnswersToADatagram) {
  const auto one = visit(Protocol::udp);
  const auto open = one.answer_in(turned(one));
  ASSERT_TRUE(open);
  EXPECT_EQ(open->cause, Cause::udp_response);
  auto elsewhere = turned(one);
  store_be16(&elsewhere[transport_of(elsewhere)], 20001);
  EXPECT_FALSE(one.answer_in(elsewhere)) << "from another port";
}

TEST_P(LeaseVisitTest, UdpAsksInTheWordsOfTheServiceBehindTheLease) {
  for (const std::uint16_t service : {std::uint16_t{53}, std::uint16_t{123}, std::uint16_t{20000}}) {
    const auto packet = visit(Protocol::udp, Port(service)).packet();
    EXPECT_EQ(packet.size(), transport_of(packet) + 8 + udp_payload(service, 0).size()) << service;
  }
}

TEST_P(LeaseVisitTest, ReadsErrorsByWhatTheyQuote) {
  const bool is_v4 = GetParam().from == v4.from;
  for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
    const auto one = visit(protocol);
    const auto error = [&](const char* sender, std::uint8_t type, std::uint8_t code) {
      const auto quote = one.packet();
      ByteWriter writer;
      if (is_v4)
        writer.u8(0x45).u8(0).u16_be(static_cast<std::uint16_t>(28 + quote.size())).u32_be(0).u8(60).u8(1).u16_be(0);
      else
        writer.u32_be(0x60000000).u16_be(static_cast<std::uint16_t>(8 + quote.size())).u8(58).u8(60);
      writer.bytes(parse_address(sender)->bytes()).bytes(one.from().address.bytes());
      writer.u8(type).u8(code).u16_be(0).u32_be(0).bytes(quote);
      return writer.take();
    };
    const auto target = to_string(one.to().address);
    const auto unreachable = one.answer_in(is_v4 ? error(target.c_str(), 3, 3) : error(target.c_str(), 1, 4));
    ASSERT_TRUE(unreachable);
    EXPECT_EQ(unreachable->cause, Cause::port_unreach);
    EXPECT_FALSE(unreachable->sender);
    EXPECT_EQ(unreachable->ttl, 60);
    const auto* router = is_v4 ? "203.0.113.9" : "2001:db8:9::9";
    const auto prohibited = one.answer_in(is_v4 ? error(router, 3, 13) : error(router, 1, 1));
    ASSERT_TRUE(prohibited);
    EXPECT_EQ(reason_text(*prohibited), std::string("admin-prohibited from ") + router);
    EXPECT_FALSE(one.answer_in(is_v4 ? error(router, 3, 4) : error(router, 2, 0))) << "a matter of sizes";
    auto other = error(router, is_v4 ? 3 : 1, 0);
    other.resize(other.size() - one.packet().size() + 10);
    EXPECT_FALSE(one.answer_in(other)) << "cut short";
  }
}

INSTANTIATE_TEST_SUITE_P(Families, LeaseVisitTest, testing::Values(v4, v6),
                         [](const auto& family) { return family.param.from[0] == '1' ? "v4" : "v6"; });

}  // namespace
}  // namespace drpf::scan
