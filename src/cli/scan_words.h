// The letters that people's fingers know (-sS, -Pn, -oX) as the options that `drpf scan` has. Parses nothing else.
#pragma once

#include <string>
#include <vector>

#include "core/result.h"

namespace drpf::cli {

struct TranslatedWords {
  std::vector<std::string> words;
  std::vector<std::string> remarks;  // what was understood and has no effect here
};

// `words` are those behind `drpf scan`. Letters that stand for something that drpf does not do are refused with the reason.
Result<TranslatedWords> translate(const std::vector<std::string>& words);

}  // namespace drpf::cli
