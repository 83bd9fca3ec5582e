// `drpf selftest`: the known attacks against a gateway with the operator's configuration on his kernel, in namespaces that vanish with it.
// Changes nothing of the host.
#pragma once

#include <optional>
#include <string>

namespace drpf::lab::selftest {

struct SelftestOptions {
  std::string config;  // file; empty = /etc/drpf/drpf.toml if there is one, else the defaults
  std::string only;    // threats with this in their name or title; empty = all
  bool json = false;   // print {"passed": bool, "threats": [{"name", "title", "verdict", "detail"}...]} in place of the text
  bool logs = false;   // where a threat was not closed: copy the programs' logs to standard error before they vanish
};

// Exit code: 0 everything closed, 1 not everything, else as docs/exit-codes.md has it.
int run_selftest(const SelftestOptions& options);

}  // namespace drpf::lab::selftest
