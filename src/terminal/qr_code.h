// A text as a QR code of block characters, for a phone that looks at the terminal. UTF-8, no colours.
#pragma once

#include <string>

#include "core/result.h"

namespace drpf::terminal {

Result<std::string> qr_code(const std::string& text);

}  // namespace drpf::terminal
