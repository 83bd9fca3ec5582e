// What a network interface may be called, so that the kernel takes the name and the text of a rule set can hold it. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "core/text.h"

namespace drpf {

inline constexpr std::size_t interface_name_max = 15;  // IFNAMSIZ less the closing zero

constexpr bool is_interface_name(std::string_view name) {
  if (name.empty() || name.size() > interface_name_max || name == "." || name == "..") return false;
  // '*' at the end would be a wildcard to nft; quotes and blanks would end the word.
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return is_letter_or_digit(c) || std::string_view("._-@+").find(c) != std::string_view::npos; });
}

}  // namespace drpf
