// A point in time as reports and files write it: RFC 3339, UTC, whole seconds. Reads none.
#pragma once

#include <string>

#include "core/time.h"

namespace drpf {

std::string utc_text(WallTime time);  // "2026-03-01T12:00:00Z"

}  // namespace drpf
