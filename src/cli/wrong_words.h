// What is wrong with words that name no command or option, and which known ones are nearest.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace CLI {
class App;
}

namespace drpf::cli {

// Looks at what names commands ("lease lst") and at the options behind them ("status --jsn"); none: these words are known, whatever else is
// wrong with the line.
std::optional<Error> wrong_word(const CLI::App& root, const std::vector<std::string>& words);

// A group of commands was named and none of them: "lease".
std::optional<Error> missing_command(const CLI::App& root, const std::vector<std::string>& words);

}  // namespace drpf::cli
