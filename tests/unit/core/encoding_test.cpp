#include "core/encoding.h"

#include <gtest/gtest.h>

namespace drpf {
namespace {

std::string decoded(std::string_view text) {
  const auto bytes = from_base64(text);
  return bytes ? std::string(bytes->begin(), bytes->end()) : "refused";
}

// Vectors of RFC 4648 section 10.
TEST(Base64, TestVectorsOfRfc4648) {
  const std::pair<std::string_view, std::string_view> vectors[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(to_base64(Bytes(plain.begin(), plain.end())), text);
    EXPECT_EQ(decoded(text), plain);
  }
}

TEST(Base64, RefusesWhatIsNotCanonical) {
  for (const char* text : {"Zg", "Zg=", "Zh==", "Z===", "====", "Zm9=", "Zm 9", "Zm9v\n", "Zg==Zg=="})
    EXPECT_EQ(decoded(text), "refused") << text;
}

TEST(Hex, RoundTrip) {
  EXPECT_EQ(to_hex(*from_hex("00ffA5")), "00ffa5");
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

TEST(ByteReader, ReadsPastTheEndAreZeroAndRemembered) {
  const Bytes bytes{1, 2, 3};
  ByteReader reader(bytes);
  EXPECT_EQ(reader.u16_be(), 0x0102);
  EXPECT_FALSE(reader.failed());
  EXPECT_EQ(reader.u32_le(), 0U);
  EXPECT_TRUE(reader.failed());
  EXPECT_TRUE(reader.at_end());
}

}  // namespace
}  // namespace drpf
