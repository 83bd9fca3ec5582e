#include "system/conntrack.h"

#include <gtest/gtest.h>

#include "core/encoding.h"

namespace drpf::system {
namespace {

TEST(Conntrack, ReadsByMarkAndMask) {
  EXPECT_EQ(to_hex(Conntrack::encode_read(MarkBlock{5}, 9).bytes()),
            "24000000010101030900000000000000"
            "00000000"          // any family
            "0800080000000005"  // mark 5
            "08001500ffffffff");
  EXPECT_EQ(to_hex(Conntrack::encode_read({}, 9).bytes()),
            "14000000010101030900000000000000"
            "00000000");
}

TEST(Conntrack, CannotBeToldToEmptyTheTable) {
  NetlinkWriter nothing;
  EXPECT_FALSE(Conntrack::put_deletion(nothing, ConntrackEntry{}, 1, true)) << "no tuple: the kernel would delete all";
  EXPECT_EQ(nothing.size(), 0U);
}

NetlinkWriter entry_message(bool with_reply) {
  NetlinkWriter message;
  message.message(0x0100, 0, 1).header(Bytes{2, 0, 0, 0});
  for (std::uint16_t which = 1; which <= 2; ++which) {
    if (which == 2 && !with_reply) break;
    const auto tuple = message.open(which);
    const auto ip = message.open(1);
    message.attribute(1, Bytes{203, 0, 113, 9}).attribute(2, which == 1 ? Bytes{198, 51, 100, 1} : Bytes{10, 77, 0, 2}).close(ip);
    const auto proto = message.open(2);
    message.u8(1, 17).u16_big_endian(2, 4000).u16_big_endian(3, 20000).close(proto).close(tuple);
  }
  message.u32_big_endian(8, 7).u32(12, 0x01020304);
  return message;
}

TEST(Conntrack, ReadsAnEntryAndNamesExactlyIt) {
  auto message = entry_message(true);
  const auto entry = Conntrack::parse_entry(*NetlinkMessages(message.bytes()).next());
  ASSERT_TRUE(entry);
  EXPECT_EQ(to_string(entry->original.source), "203.0.113.9:4000");
  EXPECT_EQ(to_string(entry->original.destination), "198.51.100.1:20000");
  EXPECT_EQ(to_string(entry->reply.destination), "10.77.0.2:20000");
  EXPECT_EQ(entry->original.protocol, 17);
  EXPECT_EQ(entry->mark, 7U);
  NetlinkWriter request;
  ASSERT_TRUE(Conntrack::put_deletion(request, *entry, 3, true));
  const auto deletion = NetlinkMessages(request.bytes()).next();
  EXPECT_EQ(deletion->type, 0x0102);
  const auto tuple = find_attribute(deletion->attributes(4), 1);
  ASSERT_TRUE(tuple);
  EXPECT_EQ(Bytes(tuple->payload.begin(), tuple->payload.end()), entry->original_attribute);
  EXPECT_EQ(find_attribute(deletion->attributes(4), 12)->u32(), 0x01020304U);
}

TEST(Conntrack, TellsWhetherThereWasAnAnswer) {
  auto unanswered = entry_message(true);
  EXPECT_FALSE(Conntrack::parse_entry(*NetlinkMessages(unanswered.bytes()).next())->answered);
  auto answered = entry_message(true);
  answered.u32_big_endian(3, 0x18a);  // status: seen reply and others
  EXPECT_TRUE(Conntrack::parse_entry(*NetlinkMessages(answered.bytes()).next())->answered);
}

TEST(Conntrack, AsksForOneConnection) {
  const ConntrackTuple v4{*parse_endpoint("192.0.2.77:61000"), *parse_endpoint("198.51.100.1:20000"), 17};
  EXPECT_EQ(to_hex(Conntrack::encode_find(v4, 9).bytes()),
            "48000000010105000900000000000000"
            "02000000"
            "34000180"
            "14000180"
            "08000100c000024d"
            "08000200c6336401"
            "1c000280"
            "0500010011000000"
            "06000200ee480000"
            "060003004e200000");
  const ConntrackTuple v6{*parse_endpoint("[2001:db8::1]:1"), *parse_endpoint("[2001:db8::2]:2"), 6};
  auto message = Conntrack::encode_find(v6, 9);
  const auto asked = NetlinkMessages(message.bytes()).next();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->payload[0], 10) << "AF_INET6";
}

TEST(Conntrack, AnEntryWithHalfATupleIsNone) {
  auto message = entry_message(false);
  EXPECT_FALSE(Conntrack::parse_entry(*NetlinkMessages(message.bytes()).next()));
  EXPECT_FALSE(Conntrack::parse_entry(NetlinkMessage{.type = 0x0100, .payload = {}}));
}

}  // namespace
}  // namespace drpf::system
