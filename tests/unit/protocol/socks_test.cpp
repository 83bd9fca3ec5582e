#include "protocol/socks/socks.h"

#include <gtest/gtest.h>

namespace drpf::protocol::socks {
namespace {

Bytes bytes(std::string_view text) { return {text.begin(), text.end()}; }
using namespace std::string_view_literals;

// Whatever is missing at the end is waited for.
template <class Read>
void expect_incomplete_wherever_cut(Read read, const Bytes& whole) {
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto cut = read(ByteView(whole).first(size));
    ASSERT_FALSE(cut) << size;
    EXPECT_EQ(cut.error(), Trouble::incomplete) << size;
  }
}

TEST(Socks, Version4AsCurlSendsIt) {
  const auto message = bytes("\x04\x01\x01\xbb\xc6\x33\x64\x07me\0rest"sv);
  const auto read = read_request4(message);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size, 11U);
  EXPECT_EQ(read->value, (Request4{Command::connect, {Address::v4(0xc6336407), 443}, "me"}));
  expect_incomplete_wherever_cut(read_request4, Bytes(message.begin(), message.begin() + 11));
}

TEST(Socks, Version4aNamesItsHost) {
  const auto message = bytes("\x04\x01\0\x50\0\0\0\x01\0a.example\0"sv);
  const auto read = read_request4(message);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size, message.size());
  EXPECT_EQ(read->value.target, (Target{std::string("a.example"), 80}));
  expect_incomplete_wherever_cut(read_request4, message);
}

TEST(Socks, Version4RefusesWhatHasNoEndOrNoMeaning) {
  EXPECT_EQ(read_request4(bytes("\x04\x03\0\x50\1\2\3\4\0"sv)).error(), Trouble::unknown_command);  // UDP is version 5's
  EXPECT_EQ(read_request4(bytes("\x04\x09\0\x50\1\2\3\4\0"sv)).error(), Trouble::unknown_command);
  EXPECT_EQ(read_request4(bytes("\x05\x01\0\x50\1\2\3\4\0"sv)).error(), Trouble::malformed);
  EXPECT_EQ(read_request4(bytes("\x04\x01\0\x50\0\0\0\1\0\0"sv)).error(), Trouble::malformed);  // 4a without a name
  EXPECT_EQ(read_request4(bytes(std::string("\x04\x01\0\x50\1\2\3\4", 8) + std::string(256, 'u'))).error(), Trouble::malformed);
}

TEST(Socks, AGreetingOffersMethods) {
  const auto read = read_greeting(bytes("\x05\x02\x00\x02rest"sv));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size, 4U);
  EXPECT_TRUE(read->value.none && read->value.password);
  EXPECT_FALSE(read_greeting(bytes("\x05\x01\x01"sv))->value.none);
  EXPECT_FALSE(read_greeting(bytes("\x05\x00"sv))->value.none);
  expect_incomplete_wherever_cut(read_greeting, bytes("\x05\x02\x00\x02"sv));
  EXPECT_EQ(read_greeting(bytes("\x04\x01\x00"sv)).error(), Trouble::malformed);
}

TEST(Socks, ALoginIsUserAndPassword) {
  const auto message = bytes(
      "\x01\x05"
      "alice"
      "\x03"
      "pw1"sv);
  const auto read = read_login(message);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->value.user, "alice");
  EXPECT_EQ(read->value.password, "pw1");
  expect_incomplete_wherever_cut(read_login, message);
  EXPECT_EQ(read_login(bytes("\x01\x02"
                             "a\0"
                             "\x00"sv))
                .error(),
            Trouble::malformed);
}

TEST(Socks, Version5HasThreeKindsOfAddress) {
  const auto v4 = bytes("\x05\x01\x00\x01\xc6\x33\x64\x07\x01\xbb"sv);
  EXPECT_EQ(read_request5(v4)->value, (Request5{Command::connect, {Address::v4(0xc6336407), 443}}));
  expect_incomplete_wherever_cut(read_request5, v4);
  const auto name = bytes(
      "\x05\x02\x00\x03\x09"
      "a.example"
      "\x00\x50"sv);
  EXPECT_EQ(read_request5(name)->value, (Request5{Command::bind, {std::string("a.example"), 80}}));
  expect_incomplete_wherever_cut(read_request5, name);
  const auto v6 = bytes("\x05\x03\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x35"sv);
  EXPECT_EQ(read_request5(v6)->value, (Request5{Command::associate, {*parse_address("2001:db8::1"), 53}}));
  expect_incomplete_wherever_cut(read_request5, v6);
}

TEST(Socks, Version5RefusesWithTheCodeThatThereIs) {
  EXPECT_EQ(read_request5(bytes("\x05\x01\x00\x02"sv)).error(), Trouble::unknown_address);
  EXPECT_EQ(read_request5(bytes("\x05\x09\x00\x01\x01\x02\x03\x04\x00\x50"sv)).error(), Trouble::unknown_command);
  EXPECT_EQ(read_request5(bytes("\x05\x01\x00\x03\x00\x00\x50"sv)).error(), Trouble::malformed);
  EXPECT_EQ(read_request5(bytes("\x05\x01\x00\x03\x02"
                                "a\0"
                                "\x00\x50"sv))
                .error(),
            Trouble::malformed);
}

TEST(Socks, RepliesAreThoseOfTheirVersion) {
  const Endpoint bound{Address::v4(0x0a000001), Port{1080}};
  EXPECT_EQ(reply4(Outcome::granted, bound), bytes("\x00\x5a\x04\x38\x0a\x00\x00\x01"sv));
  EXPECT_EQ(reply4(Outcome::refused), bytes("\x00\x5b\0\0\0\0\0\0"sv));
  EXPECT_EQ(reply4(Outcome::granted, {*parse_address("2001:db8::1"), Port{1}}), bytes("\x00\x5a\0\0\0\0\0\0"sv));
  EXPECT_EQ(reply5(Outcome::granted, bound), bytes("\x05\x00\x00\x01\x0a\x00\x00\x01\x04\x38"sv));
  EXPECT_EQ(reply5(Outcome::not_allowed), bytes("\x05\x02\x00\x01\0\0\0\0\0\0"sv));
}

TEST(Socks, DatagramsAreWholeOrNothing) {
  const auto message = bytes("\0\0\0\x01\xc6\x33\x64\x07\0\x35hello"sv);
  const auto datagram = read_datagram(message);
  ASSERT_TRUE(datagram);
  EXPECT_EQ(datagram->target, (Target{Address::v4(0xc6336407), 53}));
  EXPECT_EQ(Bytes(datagram->payload.begin(), datagram->payload.end()), bytes("hello"));
  EXPECT_EQ(datagram_from({Address::v4(0xc6336407), Port{53}}, bytes("hello")), message);
  EXPECT_FALSE(read_datagram(bytes("\0\0\x01\x01\xc6\x33\x64\x07\0\x35hello"sv)));  // a fragment
  for (std::size_t size = 0; size < 10; ++size) EXPECT_FALSE(read_datagram(ByteView(message).first(size))) << size;
}

}  // namespace
}  // namespace drpf::protocol::socks
