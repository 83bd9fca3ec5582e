#include "system/netlink_message.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>

#include "core/encoding.h"

namespace drpf::system {
namespace {

TEST(NetlinkWriter, WritesLengthsPaddingAndNesting) {
  NetlinkWriter writer;
  writer.message(0x0a0b, NLM_F_REQUEST, 7).header(Bytes{1, 2, 3, 4});
  const auto nested = writer.open(9);
  writer.u32_big_endian(1, 0x01020304).text(2, "ab").close(nested);
  writer.u8(3, 0xff).add_flags(NLM_F_ACK);
  EXPECT_EQ(to_hex(writer.bytes()),
            "300000000b0a0500070000000000000001020304"  // header: 48 bytes, type, flags, sequence, port 0; the fixed header
            "1400098008000100010203040700020061620000"  // nested 9: 4 bytes big-endian, "ab" and its zero, one byte of padding
            "05000300ff000000");
}

TEST(NetlinkWriter, StartsTheNextMessageWhereTheLastEnded) {
  NetlinkWriter writer;
  writer.message(1, 0, 1).text(1, "x");
  writer.message(2, 0, 2);
  NetlinkMessages messages(writer.bytes());
  const auto first = messages.next();
  const auto second = messages.next();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->type, 1);
  EXPECT_EQ(find_attribute(first->payload, 1)->text(), "x");
  EXPECT_EQ(second->sequence, 2U);
  EXPECT_TRUE(second->payload.empty());
  EXPECT_FALSE(messages.next());
}

TEST(NetlinkAttributes, StopsAtLengthsThatDoNotFit) {
  EXPECT_FALSE(NetlinkAttributes(Bytes{3, 0, 1, 0}).next()) << "shorter than its own header";
  EXPECT_FALSE(NetlinkAttributes(Bytes{9, 0, 1, 0, 1, 2, 3, 4}).next()) << "longer than the bytes";
  EXPECT_FALSE(NetlinkAttributes(Bytes{4, 0, 1}).next());
  const Bytes unpadded{5, 0, 1, 0, 42};
  NetlinkAttributes walk(unpadded);
  EXPECT_EQ(walk.next()->u8(), 42);
  EXPECT_FALSE(walk.next());
}

TEST(NetlinkAttribute, OfAnotherSizeIsZero) {
  const Bytes three{1, 2, 3};
  const NetlinkAttribute attribute{1, three};
  EXPECT_EQ(attribute.u32(), 0U);
  EXPECT_EQ(attribute.u16_big_endian(), 0U);
  EXPECT_EQ(attribute.u64_big_endian(), 0U);
}

TEST(NetlinkMessages, StopAtLengthsThatDoNotFit) {
  EXPECT_FALSE(NetlinkMessages(Bytes(15)).next());
  EXPECT_FALSE(NetlinkMessages(Bytes(16)).next()) << "length 0 would be read for ever";
  Bytes longer(16);
  longer[0] = 17;
  EXPECT_FALSE(NetlinkMessages(longer).next());
}

TEST(ReadAnswer, TakesErrnoAndTheKernelsWords) {
  NetlinkWriter writer;
  writer.message(NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, 0);
  writer.header(
      *from_hex("feffffff"                             // -ENOENT
                "14000000ffff010005000000aabbccdd"));  // the request's header: sequence 5
  writer.text(NLMSGERR_ATTR_MSG, "no such thing");
  const auto answer = read_answer(*NetlinkMessages(writer.bytes()).next());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error, 2);
  EXPECT_EQ(answer->sequence, 5U);
  EXPECT_EQ(answer->explanation, "no such thing");
}

TEST(ReadAnswer, RefusesWhatIsNoAnswer) {
  EXPECT_FALSE(read_answer(NetlinkMessage{.type = NLMSG_ERROR, .payload = {}}));
  EXPECT_FALSE(read_answer(NetlinkMessage{.type = NLMSG_DONE, .payload = {}}));
  const Bytes positive = *from_hex("0100000014000000ffff010005000000aabbccdd");
  EXPECT_FALSE(read_answer(NetlinkMessage{.type = NLMSG_ERROR, .payload = positive}));
}

}  // namespace
}  // namespace drpf::system
