#include "protocol/wireguard/messages.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/encoding.h"
#include "protocol/wireguard/constants.h"
#include "protocol/wireguard/index_table.h"
#include "protocol/wireguard/session_rules.h"
#include "protocol/wireguard/tai64n.h"
#include "wireguard_pair.h"

namespace drpf::protocol::wireguard {
namespace {

using testing::SeededRandom;

Bytes datagram(std::uint8_t type, std::size_t size) {
  Bytes out(size);
  std::iota(out.begin(), out.end(), std::uint8_t{0});
  if (size > 0) out[0] = type;
  for (std::size_t i = 1; i < std::min<std::size_t>(4, size); ++i) out[i] = 0;
  return out;
}

TEST(Messages, EncodingADecodedMessageGivesTheSameBytes) {
  const auto initiation = datagram(1, initiation_size);
  EXPECT_EQ(encode(*decode_initiation(initiation)), initiation);
  const auto response = datagram(2, response_size);
  EXPECT_EQ(encode(*decode_response(response)), response);
  const auto cookie_reply = datagram(3, cookie_reply_size);
  EXPECT_EQ(encode(*decode_cookie_reply(cookie_reply)), cookie_reply);
}

TEST(Messages, IndicesAreLittleEndian) {
  const auto response = *decode_response(datagram(2, response_size));
  EXPECT_EQ(response.sender, 0x07060504U);
  EXPECT_EQ(response.receiver, 0x0b0a0908U);
  const auto header = read_data_header(datagram(4, keepalive_size));
  EXPECT_EQ(header.receiver, 0x07060504U);
  EXPECT_EQ(header.counter, 0x0f0e0d0c0b0a0908U);
}

TEST(Messages, HeaderWrittenIsTheHeaderRead) {
  Bytes slot(keepalive_size, 0xaa);
  write_data_header(slot, 0xdeadbeef, 0x8000000000000001);
  EXPECT_EQ(to_hex(ByteView(slot).first(17)), "04000000efbeadde0100000000000080aa");
  EXPECT_EQ(classify(slot), MessageType::data);
  EXPECT_EQ(read_data_header(slot).receiver, 0xdeadbeefU);
  EXPECT_EQ(read_data_header(slot).counter, 0x8000000000000001U);
}

TEST(Messages, EachTypeHasItsSizeAndNoOther) {
  const std::vector<std::pair<std::uint8_t, std::size_t>> exact{{1, 148}, {2, 92}, {3, 64}};
  for (const auto& [type, size] : exact)
    for (std::size_t length = 0; length < 200; ++length)
      EXPECT_EQ(classify(datagram(type, length)).has_value(), length == size) << "type " << int{type} << ", size " << length;
  for (std::size_t length = 0; length < 200; ++length) EXPECT_EQ(classify(datagram(4, length)).has_value(), length >= 32) << length;
  for (const std::uint8_t type : {std::uint8_t{0}, std::uint8_t{5}, std::uint8_t{255}})
    for (const std::size_t size : {32, 64, 92, 148}) EXPECT_FALSE(classify(datagram(type, size)));
}

TEST(Messages, ReservedBytesMustBeZero) {
  for (std::size_t i = 1; i < 4; ++i) {
    auto message = datagram(1, initiation_size);
    message[i] = 1;
    EXPECT_FALSE(classify(message));
    EXPECT_FALSE(decode_initiation(message));
  }
}

TEST(Messages, DecodersRefuseOtherTypes) {
  EXPECT_FALSE(decode_initiation(datagram(2, response_size)));
  EXPECT_FALSE(decode_response(datagram(3, cookie_reply_size)));
  EXPECT_FALSE(decode_cookie_reply(datagram(1, initiation_size)));
  EXPECT_FALSE(decode_initiation({}));
}

// Regression 6.
TEST(Messages, Regression6_PacketsArePaddedTo16ButNotBeyondTheMtu) {
  constexpr std::size_t mtu = 1420;
  EXPECT_EQ(padded_size(0, mtu), 0U) << "a keepalive stays empty";
  EXPECT_EQ(padded_size(1, mtu), 16U);
  EXPECT_EQ(padded_size(16, mtu), 16U);
  EXPECT_EQ(padded_size(17, mtu), 32U);
  EXPECT_EQ(padded_size(1408, mtu), 1408U);
  EXPECT_EQ(padded_size(1409, mtu), 1420U);
  EXPECT_EQ(padded_size(1420, mtu), 1420U);
  EXPECT_EQ(padded_size(1500, mtu), 1500U) << "the kernel may hand out more than the MTU; never cut it";
  EXPECT_EQ(padded_size(1290, 1299), 1296U);
  EXPECT_EQ(padded_size(1298, 1299), 1299U);
}

TEST(Constants, AreThoseOfTheProtocol) {
  EXPECT_EQ(rekey_after_messages, std::uint64_t{1} << 60);
  EXPECT_EQ(reject_after_messages, ~std::uint64_t{0} - (std::uint64_t{1} << 13));
  EXPECT_EQ(rekey_after_time, std::chrono::seconds(120));
  EXPECT_EQ(reject_after_time, std::chrono::seconds(180));
  EXPECT_EQ(erase_keys_after, std::chrono::seconds(540));
  EXPECT_EQ(rekey_on_receive_after, std::chrono::seconds(165));
  EXPECT_EQ(new_handshake_after, std::chrono::seconds(15));
  EXPECT_EQ(handshake_attempts_max, 18U);
  EXPECT_EQ(under_load_from, 512U);
  EXPECT_EQ(Duration(std::chrono::seconds(1)) / initiation_interval_min, 50);
}

TEST(SessionRules, TimeAndCounterLimits) {
  const Time born(std::chrono::seconds(1000));
  const auto at = [born](double s) { return born + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(s)); };
  const SessionFacts initiator{born, true};
  const SessionFacts responder{born, false};
  EXPECT_TRUE(may_send(initiator, 0, at(179.9)));
  EXPECT_FALSE(may_send(initiator, 0, at(180)));
  EXPECT_TRUE(may_send(initiator, reject_after_messages - 1, at(0)));
  EXPECT_FALSE(may_send(initiator, reject_after_messages, at(0)));
  EXPECT_TRUE(may_receive(responder, at(179.9)));
  EXPECT_FALSE(may_receive(responder, at(180)));
  EXPECT_FALSE(rekey_due_on_send(initiator, rekey_after_messages, at(120)));
  EXPECT_TRUE(rekey_due_on_send(initiator, 0, at(120.1)));
  EXPECT_FALSE(rekey_due_on_send(responder, 0, at(179)));
  EXPECT_TRUE(rekey_due_on_send(responder, rekey_after_messages + 1, at(0)));
  EXPECT_FALSE(rekey_due_on_receive(initiator, at(165)));
  EXPECT_TRUE(rekey_due_on_receive(initiator, at(165.1)));
  EXPECT_FALSE(rekey_due_on_receive(responder, at(170)));
}

TEST(SessionRules, AClockThatStepsBackIsNoReasonToReject) {
  const Time born(std::chrono::seconds(1000));
  EXPECT_TRUE(may_send({born, true}, 0, born - std::chrono::seconds(5)));
  EXPECT_FALSE(rekey_due_on_send({born, true}, 0, born - std::chrono::seconds(5)));
}

TEST(Tai64n, HasTheEpochOfTheLabelAndIsWhitened) {
  EXPECT_EQ(to_hex(tai64n(WallTime{})), "400000000000000a00000000");
  EXPECT_EQ(to_hex(tai64n(WallTime(std::chrono::seconds(0x6553f10a - 10) + std::chrono::nanoseconds(999'999'999)))),
            "400000006553f10a3b000000");
  EXPECT_EQ(to_hex(tai64n(WallTime(std::chrono::nanoseconds(-1)))), "40000000000000093b000000") << "a clock before 1970";
}

TEST(Tai64n, GrowsWhateverTheClockDoes) {
  TimestampSource stamps;
  auto last = stamps.last();
  for (const std::int64_t wall : {1'700'000'000, 1'700'000'000, 1'600'000'000, 0, 1'700'000'000, 1'700'000'001}) {
    const auto next = stamps.next(WallTime(std::chrono::seconds(wall)));
    EXPECT_GT(next, last) << wall;
    last = next;
  }
  EXPECT_EQ(last, tai64n(WallTime(std::chrono::seconds(1'700'000'001))));
}

TEST(Tai64n, StartsAboveItsFloorAndCarriesIntoTheSeconds) {
  Timestamp floor = tai64n(WallTime(std::chrono::seconds(1'700'000'000)));
  floor[8] = 0x3b;
  floor[9] = 0x9a;
  floor[10] = 0xc9;
  floor[11] = 0xff;  // 999,999,999 ns
  TimestampSource stamps(floor);
  EXPECT_EQ(stamps.next(WallTime{}), tai64n(WallTime(std::chrono::seconds(1'700'000'001))));
}

// Regression 7: indices from a shift register told how many sessions there were.
TEST(IndexTable, Regression7_IndicesAreRandomAndUnique) {
  SeededRandom random(3);
  SeededRandom same(3);
  IndexTable table;
  const auto first = table.allocate(1, random);
  EXPECT_EQ(first, same.u32()) << "all 32 bits come from the random source";
  for (int i = 0; i < 1000; ++i) table.allocate(2, random);
  EXPECT_EQ(table.size(), 1001U);
  EXPECT_EQ(table.find(first), 1U);
  table.release(first);
  EXPECT_EQ(table.find(first), std::nullopt);
}

TEST(IndexTable, ATakenIndexIsNotGivenTwice) {
  IndexTable table;
  SeededRandom random(3);
  SeededRandom same_again(3);
  const auto first = table.allocate(1, random);
  EXPECT_NE(table.allocate(2, same_again), first);
}

}  // namespace
}  // namespace drpf::protocol::wireguard
