#include "system/nft_elements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>

#include <array>

#include "core/encoding.h"

namespace drpf::system {
namespace {

using namespace std::chrono_literals;

TEST(NftData, FillsEachPartUpToFourBytes) {
  EXPECT_EQ(to_hex(NftData().address(*parse_address("198.51.100.1")).protocol(Protocol::udp).port(Port{20000}).bytes()),
            "c6336401"
            "11000000"
            "4e200000");
  EXPECT_EQ(NftData().protocol(Protocol::tcp).address(*parse_address("fd77::2")).port(Port{1}).bytes().size(), 24U);
}

TEST(NftBatch, EncodesAnElementAsTheKernelReadsIt) {
  NftBatch batch("t");
  ASSERT_TRUE(batch.add("live", {{NftData().mark(5), {}, 60'000ms}}));
  std::uint32_t last = 0;
  auto bytes = batch.encode(7, last);
  EXPECT_EQ(last, 8U);
  EXPECT_EQ(to_hex(bytes.bytes()),
            "14000000100001000700000000000000"
            "0000000a"  // batch begin, for nftables
            "480000000c0a05040800000000000000"
            "01000000"          // new element, create, ack; family inet
            "0600010074000000"  // table "t"
            "09000200"
            "6c697665"
            "00000000"          // set "live"
            "20000380"          // elements
            "1c000180"          // one
            "0c000180"          // key
            "0800010005000000"  // value
            "0c00040000000000"
            "0000ea60"  // timeout 60000 ms, big-endian
            "14000000110001000900000000000000"
            "0000000a");  // batch end
}

TEST(NftBatch, RefusesAnElementWithoutATimeout) {
  NftBatch batch("t");
  const auto refused = batch.add("live", {{NftData().mark(5), {}, 1ms}, {NftData().mark(6), {}, 0ms}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "element_without_timeout");
  EXPECT_TRUE(batch.empty());
  EXPECT_FALSE(batch.add("live", {{NftData().mark(5), {}, -1ms}}));
}

// One attribute holds 65535 bytes; a longer list goes into several commands of one transaction, and only the last asks for an answer.
TEST(NftBatch, CutsLongListsAndReadsThemBack) {
  NftBatch batch("drpf");
  std::vector<NftElement> elements;
  for (std::uint32_t i = 1; i <= 5000; ++i)
    elements.push_back({NftData().mark(i), NftData().address(Address::v4(i)).port(Port{7}), 1000ms});
  ASSERT_TRUE(batch.add("map", elements));
  std::uint32_t last = 0;
  auto bytes = batch.encode(100, last);
  NetlinkMessages messages(bytes.bytes());
  std::size_t commands = 0;
  std::size_t items = 0;
  std::size_t asking = 0;
  while (const auto message = messages.next()) {
    if (message->type != 0x0a0c) continue;
    ++commands;
    if ((message->flags & NLM_F_ACK) != 0) {
      ++asking;
      EXPECT_EQ(message->sequence, last);
    }
    NetlinkAttributes walk(find_attribute(message->attributes(4), 3)->payload);
    while (walk.next()) ++items;
  }
  EXPECT_GT(commands, 3U);
  EXPECT_EQ(items, 5000U);
  EXPECT_EQ(asking, 1U);
}

TEST(ParseElements, ReadsKeyDataAndTheTimeThatIsLeft) {
  NetlinkWriter reply;
  reply.message(0x0a0c, 0, 1).header(Bytes{1, 0, 0, 0});
  reply.text(1, "drpf").text(2, "map");
  const auto list = reply.open(3);
  for (const std::uint64_t left : {59'000U, 0U}) {
    const auto item = reply.open(1);
    const auto key = reply.open(1);
    reply.attribute(1, Bytes{1, 2, 3, 4}).close(key);
    const auto data = reply.open(2);
    reply.attribute(1, Bytes{9, 9, 9, 9}).close(data);
    reply.u64_big_endian(4, 60'000).u64_big_endian(5, left).close(item);
  }
  reply.close(list);
  const auto elements = parse_elements(*NetlinkMessages(reply.bytes()).next());
  EXPECT_THAT(elements, testing::ElementsAre(NftElement{*NftData::from(Bytes{1, 2, 3, 4}), *NftData::from(Bytes{9, 9, 9, 9}), 59'000ms}))
      << "the second has run out";
}

TEST(NftBatch, AsksForAnEchoOfSomeRemovalsOnly) {
  NftBatch batch("t");
  batch.destroy("a", {NftData().mark(1)}, NftBatch::Echo::yes);
  batch.remove("b", {NftData().mark(1)});
  std::uint32_t last = 0;
  auto bytes = batch.encode(1, last);
  NetlinkMessages messages(bytes.bytes());
  std::vector<bool> echoed;
  while (const auto message = messages.next())
    if (message->type >> 8 == 10) echoed.push_back((message->flags & NLM_F_ECHO) != 0);
  EXPECT_EQ(echoed, (std::vector<bool>{true, false}));
}

TEST(ParseCounted, ReadsWhatTheKernelSaysOfARemoval) {
  for (const auto type : std::to_array<std::uint16_t>({0x0a0c, 0x0a0e, 0x0a1e})) {  // in a dump, deleted, destroyed
    NetlinkWriter echo;
    echo.message(type, 0, 1).header(Bytes{1, 0, 0, 0});
    echo.text(1, "drpf").text(2, "genin4");
    const auto list = echo.open(3);
    for (const char* expression : {"counter", "limit", ""}) {
      const auto item = echo.open(1);
      const auto key = echo.open(1);
      echo.attribute(1, Bytes{1, 2, 3, 4}).close(key);
      const auto data = echo.open(2);
      echo.attribute(1, Bytes{5, 0, 0, 0}).close(data);
      if (*expression != 0) {
        const auto field = echo.open(7);
        echo.text(1, expression);
        const auto numbers = echo.open(2);
        echo.u64_big_endian(1, 4000).u64_big_endian(2, 3).close(numbers).close(field);
      }
      echo.close(item);
    }
    echo.close(list);
    const NftCounted counted{"genin4", *NftData::from(Bytes{1, 2, 3, 4}), *NftData::from(Bytes{5, 0, 0, 0}), 3};
    auto uncounted = counted;
    uncounted.packets = std::nullopt;
    EXPECT_THAT(parse_counted(*NetlinkMessages(echo.bytes()).next()), testing::ElementsAre(counted, uncounted, uncounted));
  }
  EXPECT_TRUE(parse_counted(NetlinkMessage{.type = 0x0a00, .payload = {}}).empty());
}

TEST(NftData, TakesNoMoreThanItHolds) {
  EXPECT_EQ(NftData::from(Bytes(32))->bytes().size(), 32U);
  EXPECT_FALSE(NftData::from(Bytes(33)));
}

TEST(ParseElements, OfAnotherMessageAreNone) { EXPECT_TRUE(parse_elements(NetlinkMessage{.type = 0x0a00, .payload = {}}).empty()); }

}  // namespace
}  // namespace drpf::system
