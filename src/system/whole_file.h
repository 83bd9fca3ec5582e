// The one way to write a file that others read at any time: beside it and in its place as a whole, so that nobody ever sees half of it.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "core/result.h"

namespace drpf::system {

inline constexpr mode_t public_file_mode = 0644;
inline constexpr mode_t private_file_mode = 0600;

// What stands at the path is replaced and never followed, and nothing is written through a link that somebody has put beside it.
Status replace_file(const std::string& path, std::string_view text, mode_t mode = public_file_mode);

}  // namespace drpf::system
