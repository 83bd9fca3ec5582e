#include "probe/neighbours.h"

#include <gtest/gtest.h>

#include "protocol/ip/checksum.h"
#include "protocol/ip/packet.h"

namespace drpf::probe {
namespace {

const system::MacAddress own{2, 0, 0, 0, 0, 1};
const system::MacAddress theirs{2, 0, 0, 0, 0, 9};

TEST(Neighbours, AnArpReplyIsReadAndNothingElseIs) {
  const NeighbourLink link{1, own, *parse_address("192.0.2.1")};
  auto packet = arp_request(link, *parse_address("192.0.2.7"));
  ASSERT_EQ(packet.size(), 28U);
  EXPECT_FALSE(read_arp_reply(packet));  // a request
  packet[7] = 2;
  std::copy(theirs.begin(), theirs.end(), packet.begin() + 8);
  const auto answer = read_arp_reply(packet);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->mac, theirs);
  EXPECT_EQ(answer->address, *parse_address("192.0.2.1"));
  for (std::size_t size = 0; size < 18; ++size) EXPECT_FALSE(read_arp_reply(ByteView(packet).first(size)));
  packet[8] = 0xff;  // a group is no neighbour
  EXPECT_FALSE(read_arp_reply(packet));
}

TEST(Neighbours, ASolicitationGoesToTheGroupOfItsNodeAndItsAnswerIsRead) {
  namespace ip = protocol::ip;
  const auto wanted = *parse_address("2001:db8::12:3456");
  const NeighbourLink link{1, own, *parse_address("2001:db8::1")};
  auto packet = neighbour_solicitation(link, wanted);
  const auto layout = ip::walk(packet);
  ASSERT_TRUE(layout);
  EXPECT_EQ(ip::destination(packet), *parse_address("ff02::1:ff12:3456"));
  EXPECT_EQ(packet[7], 255);
  const auto body = ByteView(packet).subspan(40);
  EXPECT_EQ(ip::checksum_fold(ip::checksum_add(body, ip::checksum_pseudo_header(ip::addresses(packet), 58, 32))), 0xffff);
  EXPECT_FALSE(read_neighbour_advertisement(packet));
  packet[40] = 136;
  packet[64] = 2;  // now the option names the target
  std::copy(theirs.begin(), theirs.end(), packet.begin() + 66);
  const auto answer = read_neighbour_advertisement(packet);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->address, wanted);
  EXPECT_EQ(answer->mac, theirs);
  packet[7] = 254;  // a router has carried it: not from a neighbour
  EXPECT_FALSE(read_neighbour_advertisement(packet));
}

}  // namespace
}  // namespace drpf::probe
