// Base64 (RFC 4648 section 4) and hexadecimal text of binary values.
#pragma once

#include <string>
#include <string_view>

#include "core/bytes.h"
#include "core/result.h"

namespace drpf {

std::string to_base64(ByteView bytes);
// Strict: padding required, no blanks, unused bits zero.
Result<Bytes> from_base64(std::string_view text);
std::string to_hex(ByteView bytes);
Result<Bytes> from_hex(std::string_view text);

// Of one digit; -1 where it is none.
constexpr int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

}  // namespace drpf
