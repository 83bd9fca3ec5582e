#include "protocol/dns/address_query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/encoding.h"

namespace drpf::protocol::dns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Bytes hex(std::string_view text) { return from_hex(text).value(); }
constexpr std::uint16_t id = 0x1a2b;
// vpn.example.net, type A, class IN
const std::string question = "0376706e076578616d706c65036e65740000010001";

TEST(DnsAddressQuery, AsksAsRfc1035Says) {
  EXPECT_EQ(to_hex(encode_query(id, "vpn.example.net", Family::v4).value()), "1a2b01000001000000000000" + question);
  EXPECT_EQ(to_hex(encode_query(id, "vpn.example.net.", Family::v6).value()),
            "1a2b010000010000000000000376706e076578616d706c65036e657400001c0001");
}

TEST(DnsAddressQuery, RefusesNamesThatDnsCannotCarry) {
  for (const std::string& name : {std::string(), std::string("."), std::string("a..b"), std::string(64, 'a'), std::string(254, 'a')}) {
    EXPECT_FALSE(encode_query(id, name, Family::v4)) << name;
  }
}

TEST(DnsAddressQuery, ReadsAnAnswerWithAnAliasAndCompressedNames) {
  const auto answer = hex("1a2b81800001000300000000" + question +
                          "c00c000500010000003c0006036e7331c010"  // CNAME ns1.example.net
                          "c02d000100010000003c0004c6336401"      // A 198.51.100.1
                          "c02d000100010000003c0004c6336402");    // A 198.51.100.2
  EXPECT_THAT(decode_answer(answer, id, "VPN.example.net", Family::v4).value(),
              ElementsAre(parse_address("198.51.100.1").value(), parse_address("198.51.100.2").value()));
}

TEST(DnsAddressQuery, ReadsIpv6AndSkipsOtherTypes) {
  const std::string question6 = "0376706e076578616d706c65036e657400001c0001";
  const auto answer = hex("1a2b81800001000200000000" + question6 + "c00c000100010000003c0004c6336401" +
                          "c00c001c00010000003c001020010db8000000000000000000000001");
  EXPECT_THAT(decode_answer(answer, id, "vpn.example.net", Family::v6).value(), ElementsAre(parse_address("2001:db8::1").value()));
}

TEST(DnsAddressQuery, AnAnswerMayBeEmptyOrCutOff) {
  EXPECT_THAT(decode_answer(hex("1a2b81800001000000000000" + question), id, "vpn.example.net", Family::v4).value(), IsEmpty());
  EXPECT_THAT(decode_answer(hex("1a2b83800001000200000000" + question + "c00c000100010000003c0004c6336401c00c0001"), id, "vpn.example.net",
                            Family::v4)
                  .value(),
              ElementsAre(parse_address("198.51.100.1").value()));
}

TEST(DnsAddressQuery, SaysThatTheServerSaidNo) {
  const auto answer = decode_answer(hex("1a2b81830001000000000000" + question), id, "vpn.example.net", Family::v4);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "dns_refused");
}

TEST(DnsAddressQuery, RefusesWhatIsNotTheAnswer) {
  for (const std::string& text : {std::string(), std::string("1a2b"), "1a2c81800001000000000000" + question,
                                  "1a2b01000001000000000000" + question, "1a2b81800000000000000000" + question,
                                  std::string("1a2b818000010000000000000376706e00000100011"
                                              "0"),
                                  std::string("1a2b81800001000000000000c00c00010001"), std::string("1a2b818000010000000000003f")}) {
    const auto answer = decode_answer(hex(text), id, "vpn.example.net", Family::v4);
    ASSERT_FALSE(answer) << text;
    EXPECT_EQ(answer.error().code, "dns_malformed");
  }
}

}  // namespace
}  // namespace drpf::protocol::dns
