// The log of this process: one line for each message on standard error, for people, for the journal or as JSON for collectors. Nobody waits
// long for who reads it, and nobody ends when he goes away. Keeps no files.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include <spdlog/fwd.h>

#include "core/time.h"

namespace drpf::system {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

struct LogOptions {
  LogLevel level = LogLevel::info;  // and what is graver
  bool json = false;
  std::string_view program = {};  // begins each line instead of time and level; for programs with a person in front
};

// While nobody takes the lines, the process waits this long once; then lines are lost, and it is said how many as soon as somebody reads.
inline constexpr Duration log_wait_max = std::chrono::milliseconds(100);

std::optional<LogLevel> parse_log_level(std::string_view word);

// Is this descriptor the journal's, as JOURNAL_STREAM of the environment has it (systemd.exec(5))? Then a line begins with its priority
// (sd-daemon(3)), and the journal knows when it came.
bool leads_to_journal(int descriptor);
// "<4>" for a warning.
std::string_view journal_prefix(LogLevel level);

// From here on also the log of whoever has been handed none (spdlog's default logger).
std::shared_ptr<spdlog::logger> make_log(const LogOptions& options, int descriptor = 2);

// Standard streams that are closed lead nowhere: the next file to be opened would get the number, and what is said there. A reader who goes
// away ends no process. To be called first.
void hold_standard_streams();

}  // namespace drpf::system
