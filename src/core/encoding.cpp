#include "core/encoding.h"

namespace drpf {
namespace {

constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view hex_digits = "0123456789abcdef";

}  // namespace

std::string to_base64(ByteView bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto have = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (j < have ? bytes[i + j] : 0U);
    for (std::size_t j = 0; j < 4; ++j) text.push_back(j <= have ? base64_alphabet[group >> (18 - 6 * j) & 63] : '=');
  }
  return text;
}

Result<Bytes> from_base64(std::string_view text) {
  const auto bad = [](const char* why) { return fail(invalid("base64_invalid", std::string("this base64 text ") + why)); };
  if (text.size() % 4 != 0) return bad("is cut short: its length is not a multiple of four");
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::size_t used = i + 4 == text.size() ? 4 - padding : 4;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const auto value = j < used ? base64_alphabet.find(text[i + j]) : 0;
      if (value == std::string_view::npos) return bad("has a character that does not belong there");
      group = group << 6 | static_cast<std::uint32_t>(value);
    }
    for (std::size_t j = 0; j < 3; ++j) {
      const auto byte = static_cast<std::uint8_t>(group >> (16 - 8 * j));
      if (j + 1 < used)
        bytes.push_back(byte);
      else if (byte != 0)
        return bad("has stray bits at its end");
    }
  }
  return bytes;
}

std::string to_hex(ByteView bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    text.push_back(hex_digits[byte >> 4]);
    text.push_back(hex_digits[byte & 15]);
  }
  return text;
}

Result<Bytes> from_hex(std::string_view text) {
  const auto bad = [] { return fail(invalid("hex_invalid", "this is not hexadecimal text", "write two digits 0-9, a-f for each byte")); };
  if (text.size() % 2 != 0) return bad();
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return bad();
    bytes.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return bytes;
}

}  // namespace drpf
