// How values are written as text in JSON and in terminals. Parses nothing.
#pragma once

#include <string>
#include <string_view>

#include "core/time.h"

namespace drpf::api {

// RFC 3339 in UTC with whole seconds: "2026-03-01T12:00:00Z".
std::string rfc3339_utc(WallTime time);

// For terminals and logs: control characters, DEL, C1 controls and bytes that are no UTF-8 become \xNN, so that no name that came from
// outside can move the cursor or colour the screen.
std::string printable(std::string_view text);
// The same of a text of several lines.
std::string printable_lines(std::string_view text);

}  // namespace drpf::api
