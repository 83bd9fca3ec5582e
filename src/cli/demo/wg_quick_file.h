// A wg-quick(8) configuration as the stock tools need it: the lines that `wg setconf` understands, and the rest. Checks nothing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace drpf::cli::demo {

struct WgQuickFile {
  std::string for_wg;                  // without the lines that only wg-quick knows
  std::vector<std::string> addresses;  // with prefix lengths
  std::string mtu;                     // empty = the file says none
};

WgQuickFile read_wg_quick_file(std::string_view text);

}  // namespace drpf::cli::demo
