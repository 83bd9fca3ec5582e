// What `drpf gateway` is told on its command line. Reads nothing.
#pragma once

#include <optional>
#include <string>

#include "system/log.h"

namespace drpf::daemon {

struct RunOptions {
  std::optional<std::string> config_file;  // none = /etc/drpf/drpf.toml if it exists, else the defaults
  std::string state_directory = "/var/lib/drpf";
  std::string socket_path = "/run/drpf/drpf.sock";
  system::LogOptions log;
  bool end_leases = false;   // a configuration that ends leases or renumbers devices is taken at this start
  bool plain_table = false;  // do as on a kernel before 6.9, where others can change our table; for tests
};

}  // namespace drpf::daemon
