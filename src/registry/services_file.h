// The text of a file in the form of services(5): NAME PORT/PROTOCOL ALIASES # COMMENT. Reads text, opens no file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "registry/transport.h"

namespace drpf::registry {

inline constexpr std::size_t services_lines_max = 100'000;
inline constexpr std::size_t service_name_length_max = 64;
inline constexpr std::size_t service_problems_max = 100;  // that are kept of one file
inline constexpr std::size_t service_aliases_max = 32;
bool is_service_name(std::string_view text);  // visible ASCII of at most that length
inline constexpr std::size_t service_comment_length_max = 200;

bool is_service_name(std::string_view text);  // visible ASCII, not longer than that

struct ServiceLine {
  std::string name;
  Port port;
  Transport transport{};
  std::vector<std::string> aliases;
  std::string comment;
};

struct ServicesFile {
  struct Problem {
    std::size_t line = 0;  // from 1
    std::string what;
  };
  std::vector<ServiceLine> services;
  std::vector<Problem> problems;  // lines that were passed over
};

ServicesFile parse_services(std::string_view text);

}  // namespace drpf::registry
