// Reads the gateway's TOML file into a Configuration: whole or not at all. Checks what can be known without looking at the host.
#pragma once

#include <string>
#include <string_view>

#include "configuration/configuration.h"
#include "core/result.h"

namespace drpf::configuration {

inline constexpr std::size_t configuration_bytes_max = 1024 * 1024;

// Errors: config_unreadable, config_malformed, config_invalid; the message begins with "FILE:LINE:COLUMN: ".
// `defaults`: what holds where the file says nothing.
Result<Configuration> read_configuration_file(const std::string& path, const Configuration& defaults = default_configuration());
Result<Configuration> parse_configuration(std::string_view text, std::string_view file_name,
                                          const Configuration& defaults = default_configuration());

}  // namespace drpf::configuration
