// Points in time as people and reports write them (RFC 3339). How times are written is in api/json_text.h.
#pragma once

#include <string_view>

#include "core/result.h"
#include "core/time.h"

namespace drpf::api {

// "2026-03-01T12:00:00Z", "2026-03-01 13:00:00+01:00"; parts of a second are let go.
Result<WallTime> parse_rfc3339(std::string_view text);

}  // namespace drpf::api
