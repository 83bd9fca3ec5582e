// The layouts are those of RFC 6886 sections 3.2, 3.3 and 3.5, written out by hand.
#include "protocol/nat_pmp/messages.h"

#include <gtest/gtest.h>

#include "core/encoding.h"

namespace drpf::protocol::nat_pmp {
namespace {

Received read(std::string_view hex) { return read_request(from_hex(hex).value()); }

MapRequest map(Protocol protocol, std::uint16_t internal, std::uint16_t external, std::uint32_t lifetime_s) {
  return {protocol, Port{internal}, Port{external}, lifetime_s};
}

TEST(NatPmpMessages, ReadsAnAddressRequest) { EXPECT_EQ(read("0000"), Received(ExternalAddressRequest{})); }

TEST(NatPmpMessages, ReadsMappingRequestsOfBothProtocols) {
  EXPECT_EQ(read("000100001ae11ae200001c20"), Received(map(Protocol::udp, 6881, 6882, 7200)));
  EXPECT_EQ(read("00020000000100000000003c"), Received(map(Protocol::tcp, 1, 0, 60)));
}

TEST(NatPmpMessages, ReservedBytesAndPaddingDoNotMatter) {
  EXPECT_EQ(read("0001ffff1ae11ae200001c20ff"), Received(map(Protocol::udp, 6881, 6882, 7200)));
}

TEST(NatPmpMessages, TellsDeletesApart) {
  EXPECT_FALSE(map(Protocol::tcp, 80, 0, 1).is_delete());
  EXPECT_TRUE(map(Protocol::tcp, 80, 0, 0).is_delete());
  EXPECT_FALSE(map(Protocol::tcp, 80, 0, 0).is_delete_all());
  EXPECT_TRUE(map(Protocol::tcp, 0, 0, 0).is_delete_all());
}

TEST(NatPmpMessages, KeepsSilentAboutWhatIsNoRequest) {
  for (const auto* hex : {"", "00", "0080", "008100000000", "0001", "000100001ae1", "000100001ae11ae200001c"})
    EXPECT_EQ(read(hex), Received(NoRequest{})) << hex;
  EXPECT_EQ(read_request(Bytes(request_size_max + 1, 0)), Received(NoRequest{}));
}

TEST(NatPmpMessages, AnswersForeignVersionsAndOpcodesWithTheirCode) {
  EXPECT_EQ(read("0103"), Received(BadRequest{3, ResultCode::unsupported_version}));
  EXPECT_EQ(read("0003"), Received(BadRequest{3, ResultCode::unsupported_opcode}));
  EXPECT_EQ(to_hex(error_response({3, ResultCode::unsupported_opcode}, 7)), "0083000500000007");
  EXPECT_EQ(to_hex(error_response({3, ResultCode::unsupported_version}, 7)), "0083000100000007");
}

TEST(NatPmpMessages, WritesTheAnswers) {
  const auto request = map(Protocol::tcp, 6881, 0, 7200);
  EXPECT_EQ(to_hex(external_address_response(0x01020304, Address::v4(0xc6336401))), "0080000001020304c6336401");
  EXPECT_EQ(to_hex(external_address_error(9, ResultCode::network_failure)), "008000030000000900000000");
  EXPECT_EQ(to_hex(map_response(request, 9, Port{20000}, 3600)), "00820000000000091ae14e2000000e10");
  EXPECT_EQ(to_hex(map_error(request, 9, ResultCode::out_of_resources)), "00820004000000091ae1000000001c20");
}

}  // namespace
}  // namespace drpf::protocol::nat_pmp
