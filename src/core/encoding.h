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

}  // namespace drpf
