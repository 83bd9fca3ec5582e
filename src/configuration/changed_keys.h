// What two configurations say differently, by the names of their keys in the file. Reads no file.
#pragma once

#include <string>
#include <vector>

#include "configuration/configuration.h"

namespace drpf::configuration {

// "[ports] pool", "[[host]]"; empty when both say the same.
std::vector<std::string> changed_keys(const Configuration& before, const Configuration& after);

}  // namespace drpf::configuration
