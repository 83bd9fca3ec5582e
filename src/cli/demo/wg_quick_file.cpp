#include "cli/demo/wg_quick_file.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace drpf::cli::demo {
namespace {

constexpr std::array<std::string_view, 9> only_for_wg_quick = {"address", "dns",     "mtu",      "table",     "preup",
                                                               "postup",  "predown", "postdown", "saveconfig"};

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

void append_list(std::string_view list, std::vector<std::string>& values) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (const std::string_view value = trim(list.substr(0, comma)); !value.empty()) values.emplace_back(value);
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
}

}  // namespace

WgQuickFile read_wg_quick_file(std::string_view text) {
  WgQuickFile file;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const std::size_t equals = line.find('=');
    std::string key(trim(line.substr(0, equals)));
    std::transform(key.begin(), key.end(), key.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (equals != std::string_view::npos && std::find(only_for_wg_quick.begin(), only_for_wg_quick.end(), key) != only_for_wg_quick.end()) {
      const std::string_view value = line.substr(equals + 1);
      if (key == "address") append_list(value, file.addresses);
      if (key == "mtu") file.mtu = trim(value);
    } else {
      file.for_wg += std::string(line) + "\n";
    }
  }
  return file;
}

}  // namespace drpf::cli::demo
