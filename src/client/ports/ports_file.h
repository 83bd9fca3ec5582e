// A small file that other programs read at any time: replaced as a whole, so that nobody ever sees half of it.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace drpf::client {

// Writes beside the target and renames over it; mode 0644. A symbolic link at the target is replaced, not followed.
Status replace_file(const std::string& path, std::string_view text);

}  // namespace drpf::client
