// How far apart two names are: letters to insert, delete, change, or neighbours to swap. For guesses of what was meant.
#pragma once

#include <cstddef>
#include <string_view>

namespace drpf::registry {

// Without regard to case. Anything above `distance_max` is given as distance_max + 1. The memory is of the length of `known`.
std::size_t spelling_distance(std::string_view written, std::string_view known, std::size_t distance_max);

}  // namespace drpf::registry
