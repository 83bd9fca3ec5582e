// Project Wycheproof's cases for the primitives that WireGuard uses, edge cases of the arithmetic above all.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#include "core/encoding.h"
#include "crypto/wireguard_primitives.h"

namespace drpf::crypto {
namespace {

Bytes field(std::istream& line) {
  std::string text;
  line >> text;
  return text == "-" ? Bytes{} : *from_hex(text);
}
template <std::size_t N>
std::array<std::uint8_t, N> fixed(const Bytes& bytes) {
  std::array<std::uint8_t, N> out{};
  EXPECT_EQ(bytes.size(), N);
  std::copy_n(bytes.begin(), std::min(N, bytes.size()), out.begin());
  return out;
}

// Calls `check(number, verdict, line)` for each case; returns how many there were.
template <class Check>
int for_each_case(const std::string& name, Check check) {
  std::ifstream file(std::string(DRPF_SOURCE_DIR) + "/tests/golden/wycheproof/" + name + ".txt");
  EXPECT_TRUE(file) << name;
  int count = 0;
  for (std::string text; std::getline(file, text);) {
    if (text.empty() || text[0] == '#') continue;
    std::istringstream line(text);
    std::string number;
    std::string verdict;
    line >> number >> verdict;
    check(number, verdict, line);
    ++count;
  }
  return count;
}

TEST(Wycheproof, X25519) {
  const auto count = for_each_case("x25519", [](const std::string& number, const std::string& verdict, std::istream& line) {
    const auto public_key = fixed<32>(field(line));
    const auto private_key = fixed<32>(field(line));
    const auto shared = fixed<32>(field(line));
    const auto result = x25519(private_key, public_key);
    if (shared == Key32{}) {
      EXPECT_FALSE(result) << number << ": a low-order key";
    } else {
      ASSERT_TRUE(result) << number << " " << verdict;
      EXPECT_EQ(*result, shared) << number << " " << verdict;
    }
  });
  EXPECT_EQ(count, 518);
}

TEST(Wycheproof, ChaCha20Poly1305) {
  const auto count = for_each_case("chacha20_poly1305", [](const std::string& number, const std::string& verdict, std::istream& line) {
    const auto key = fixed<32>(field(line));
    const auto nonce = fixed<12>(field(line));
    const auto associated = field(line);
    const auto plain = field(line);
    auto expected = field(line);
    const auto tag = field(line);
    expected.insert(expected.end(), tag.begin(), tag.end());
    Bytes opened(plain.size());
    const bool good = chacha20_poly1305_open(key, nonce, expected, associated, opened);
    EXPECT_EQ(good, verdict == "valid") << number;
    if (verdict != "valid") return;
    EXPECT_EQ(opened, plain) << number;
    Bytes sealed(plain.size() + 16);
    chacha20_poly1305_seal(key, nonce, plain, associated, sealed);
    EXPECT_EQ(sealed, expected) << number;
  });
  EXPECT_EQ(count, 316);
}

TEST(Wycheproof, XChaCha20Poly1305) {
  const auto count = for_each_case("xchacha20_poly1305", [](const std::string& number, const std::string& verdict, std::istream& line) {
    const auto key = fixed<32>(field(line));
    const auto nonce = field(line);
    const auto associated = field(line);
    const auto plain = field(line);
    auto expected = field(line);
    const auto tag = field(line);
    expected.insert(expected.end(), tag.begin(), tag.end());
    Bytes opened(plain.size());
    const bool good = xchacha20_poly1305_open(key, nonce, expected, associated, opened);
    EXPECT_EQ(good, verdict == "valid") << number;
    if (verdict != "valid") return;
    EXPECT_EQ(opened, plain) << number;
    Bytes sealed(plain.size() + 16);
    xchacha20_poly1305_seal(key, nonce, plain, associated, sealed);
    EXPECT_EQ(sealed, expected) << number;
  });
  EXPECT_EQ(count, 306);
}

}  // namespace
}  // namespace drpf::crypto
