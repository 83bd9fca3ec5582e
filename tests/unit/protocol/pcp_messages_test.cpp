// The layouts are those of RFC 6887 sections 7.1, 7.2, 7.3, 11.1 and 13, and of RFC 7753 section 4.1, written out by hand.
#include "protocol/pcp/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/encoding.h"

namespace drpf::protocol::pcp {
namespace {

const std::string client = "00000000000000000000ffff0a4d0002";  // ::ffff:10.77.0.2
const std::string header =
    "02010000"
    "00000e10" +
    client;  // MAP for an hour
const std::string nonce = "000102030405060708090a0b";
const std::string tcp_6881 = nonce +
                             "06000000"
                             "1ae1"
                             "4e20"
                             "00000000000000000000ffff00000000";  // suggests 20000, any IPv4 address

Bytes bytes(std::string_view hex) { return from_hex(hex).value(); }
Received read(std::string_view hex) { return read_request(bytes(hex)); }
MapRequest map(std::string_view hex) { return std::get<MapRequest>(read(hex)); }
Received bad(ResultCode code) { return BadRequest{code}; }

TEST(PcpMessages, ReadsAMapRequest) {
  const auto request = map(header + tcp_6881);
  EXPECT_EQ(to_string(request.client), "10.77.0.2");
  EXPECT_EQ(request.lifetime_s, 3600U);
  EXPECT_EQ(to_hex(request.nonce), nonce);
  EXPECT_EQ(request.protocol, 6);
  EXPECT_EQ(request.internal_port, Port{6881});
  EXPECT_EQ(request.suggested_external_port, Port{20000});
  EXPECT_TRUE(request.suggested_external_address.is_v4());
  EXPECT_TRUE(request.suggested_external_address.is_unspecified());
  EXPECT_FALSE(request.prefer_failure);
}

TEST(PcpMessages, ReadsAnAnnounce) {
  EXPECT_EQ(read("02000000"
                 "00000000" +
                 client),
            Received(AnnounceRequest{Address::v4(0x0a4d0002)}));
}

TEST(PcpMessages, ReadsOptions) {
  const auto request = map(header + tcp_6881 + "02000000" +
                           "03000014"
                           "007801bb00000000000000000000ffffc0000200" +  // 192.0.2.0/24 port 443
                           "82000005"
                           "00041ae101000000");  // four ports, with parity
  EXPECT_TRUE(request.prefer_failure);
  ASSERT_EQ(request.filters.size(), 1U);
  EXPECT_EQ(to_string(request.filters[0].remote), "192.0.2.0/24");
  EXPECT_EQ(request.filters[0].remote_port, Port{443});
  EXPECT_EQ(request.port_set, (PortSet{4, Port{6881}, true}));
}

TEST(PcpMessages, AFilterOfLengthZeroRemovesFilters) {
  const auto request = map(header + tcp_6881 +
                           "03000014"
                           "00000000"
                           "00000000000000000000000000000000");
  ASSERT_EQ(request.filters.size(), 1U);
  EXPECT_TRUE(request.filters[0].removes_all);
}

TEST(PcpMessages, KeepsSilentAboutWhatIsNoRequest) {
  for (const auto* hex : {"", "02", "0281", "02810000000000000000000000000000000000000000000000"})
    EXPECT_EQ(read(hex), Received(NoRequest{})) << hex;
}

TEST(PcpMessages, RefusesInTheOrderOfTheRfc) {
  EXPECT_EQ(read("0301"), bad(ResultCode::unsupported_version)) << "before the length is looked at";
  EXPECT_EQ(read("0201"), bad(ResultCode::malformed_request));
  EXPECT_EQ(read(header), bad(ResultCode::malformed_request)) << "no MAP data";
  EXPECT_EQ(read(header + tcp_6881 + "0000"), bad(ResultCode::malformed_request)) << "not a multiple of four";
  EXPECT_EQ(read_request(Bytes(message_size_max + 4, 2)), bad(ResultCode::malformed_request));
  EXPECT_EQ(read("02020000"
                 "00000e10" +
                 client),
            bad(ResultCode::unsupported_opcode))
      << "PEER";
  EXPECT_EQ(read(header + nonce +
                 "00000000"
                 "1ae1"
                 "0000" +
                 client),
            bad(ResultCode::malformed_request))
      << "every protocol, one port";
}

TEST(PcpMessages, RefusesOptionsThatAreWrong) {
  const auto with = [](std::string_view option) { return read(header + tcp_6881 + std::string(option)); };
  EXPECT_EQ(with("01000010"
                 "00000000000000000000ffff0a4d0003"),
            bad(ResultCode::unsupported_option))
      << "THIRD_PARTY";
  EXPECT_EQ(with("7f000000"), bad(ResultCode::unsupported_option)) << "unknown and mandatory";
  EXPECT_TRUE(std::holds_alternative<MapRequest>(with("ff000000"))) << "unknown and optional";
  EXPECT_EQ(with("02000004"
                 "00000000"),
            bad(ResultCode::malformed_option))
      << "PREFER_FAILURE carries nothing";
  EXPECT_EQ(with("02000000"
                 "02000000"),
            bad(ResultCode::malformed_option))
      << "twice";
  EXPECT_EQ(with("0300ffff"), bad(ResultCode::malformed_option)) << "longer than the packet";
  EXPECT_EQ(with("03000014"
                 "008101bb00000000000000000000ffffc0000200"),
            bad(ResultCode::malformed_option))
      << "129 bits";
  EXPECT_EQ(with("03000014"
                 "001001bb00000000000000000000ffffc0000200"),
            bad(ResultCode::malformed_option))
      << "IPv4 with 16 of 128 bits";
  EXPECT_EQ(with("82000005"
                 "00001ae100000000"),
            bad(ResultCode::malformed_option))
      << "no ports";
  EXPECT_EQ(with("82000005"
                 "00041ae200000000"),
            bad(ResultCode::malformed_option))
      << "another first port than the request's";
}

TEST(PcpMessages, BoundsTheNumberOfOptions) {
  std::string options;
  for (std::size_t i = 0; i < options_max; ++i) options += "ff000000";
  EXPECT_TRUE(std::holds_alternative<MapRequest>(read(header + tcp_6881 + options)));
  EXPECT_EQ(read(header + tcp_6881 + options + "ff000000"), bad(ResultCode::malformed_request));
}

TEST(PcpMessages, WritesAMapAnswerWithItsOptions) {
  const auto request = map(header + tcp_6881 +
                           "02000000"
                           "03000014"
                           "007801bb00000000000000000000ffffc0000200");
  const auto answer = map_response(request, 7, {1800, Port{20001}, Address::v4(0xc6336401), std::nullopt});
  EXPECT_EQ(to_hex(answer),
            "02810000"
            "00000708"
            "00000007"
            "000000000000000000000000" +
                nonce +
                "06000000"
                "1ae1"
                "4e21" +
                "00000000000000000000ffffc6336401"
                "02000000"
                "03000014"
                "007801bb00000000000000000000ffffc0000200");
}

TEST(PcpMessages, AnErrorRepeatsTheRequest) {
  const auto request = bytes(header + tcp_6881);
  EXPECT_EQ(to_hex(error_response(request, 7, ResultCode::user_exceeds_quota, 30)),
            "0281000a"
            "0000001e"
            "00000007"
            "000000000000000000000000" +
                tcp_6881);
  EXPECT_EQ(to_hex(error_response(bytes("0301"), 7, ResultCode::unsupported_version, 30)),
            "02810001"
            "0000001e"
            "00000007"
            "000000000000000000000000");
  EXPECT_EQ(error_response(Bytes(5000, 2), 7, ResultCode::malformed_request, 30).size(), message_size_max);
}

TEST(PcpMessages, AddressesGoThroughTheWireUnchanged) {
  for (const auto* text : {"0.0.0.0", "10.77.0.2", "::", "2001:db8::7"}) {
    const auto address = parse_address(text).value();
    EXPECT_EQ(address_from_wire(wire_address(address)), address) << text;
  }
}

}  // namespace
}  // namespace drpf::protocol::pcp
