// `drpf gateway`: the daemon in the foreground.
#pragma once

#include <optional>
#include <string>

namespace drpf::daemon {

struct RunOptions {
  std::optional<std::string> config_file;  // none = /etc/drpf/drpf.toml if it exists, else the defaults
  std::string state_directory = "/var/lib/drpf";
  std::string socket_path = "/run/drpf/drpf.sock";
  bool log_json = false;
  bool plain_table = false;  // do as on a kernel before 6.9, where others can change our table; for tests
};

// Serves until SIGINT or SIGTERM. Returns the exit code (docs/exit-codes.md); what went wrong is on the log.
int run(const RunOptions& options);

}  // namespace drpf::daemon
