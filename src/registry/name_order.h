// The order of service names: as ASCII without regard to case (RFC 6335, section 5.1), independent of any locale.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <string_view>

#include "core/text.h"

namespace drpf::registry {

// < 0, 0, > 0
constexpr int compare_names(std::string_view a, std::string_view b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const auto left = static_cast<unsigned char>(lower(a[i]));
    const auto right = static_cast<unsigned char>(lower(b[i]));
    if (left != right) return left < right ? -1 : 1;
  }
  return a.size() == b.size() ? 0 : a.size() < b.size() ? -1 : 1;
}

}  // namespace drpf::registry
