// Whether a line of text speaks of a name: "proxmox" in "Proxmox Backup Server", "php-fpm" in "MinIO, PHP-FPM". What stands between the
// words of a name makes no difference, and neither does case.
#pragma once

#include <string_view>
#include <vector>

namespace drpf::registry {

// "TR-069" and "tr069", "Home Assistant" and "home-assistant". A text without letters and digits is nobody's name.
bool same_letters(std::string_view a, std::string_view b);

// The parts of a list of names: "Redis, Valkey; NTP" has three.
std::vector<std::string_view> phrases_in(std::string_view list);

// A run of whole words of one phrase.
bool has_words(std::string_view text, std::string_view words);

// The same, as names are written: they begin their phrase or with a capital letter, and with no word that only joins others.
bool has_name(std::string_view list, std::string_view name);

// Names that has_name() finds: whole phrases, and single words with a capital letter in them.
std::vector<std::string_view> names_in(std::string_view list);

}  // namespace drpf::registry
