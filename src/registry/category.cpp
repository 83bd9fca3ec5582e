#include "registry/category.h"

#include <array>

namespace drpf::registry {

std::string_view to_string(Category category) {
  static constexpr std::array<std::string_view, 24> words = {
      "",         "web",     "mail",       "remote access", "file sharing",    "file exchange",
      "database", "queue",   "containers", "monitoring",    "VPN and proxies", "voice and chat",
      "media",    "games",   "home",       "printers",      "development",     "directories",
      "backup",   "network", "management", "industrial",    "currencies",      "old protocols",
  };
  const auto at = static_cast<std::size_t>(category);
  return at < words.size() ? words[at] : words[0];
}

}  // namespace drpf::registry
