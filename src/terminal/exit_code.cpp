#include "terminal/exit_code.h"

#include <cstdio>

#include "api/json_text.h"

namespace drpf::terminal {

ExitCode exit_code_of(const Error& error) {
  if (error.code == "gateway_unreachable" || error.code == "gateway_timeout" || error.code == "gateway_confused") return exit_unavailable;
  if (error.code == "no_permission") return exit_no_permission;
  if (error.code.starts_with("config_") || error.code == "port_plan_overlap" || error.code == "policy_invalid") return exit_configuration;
  if (error.code == "usage") return exit_usage;
  return exit_refused;
}

ExitCode report(const Error& error) {
  std::string text = "drpf: " + api::printable(error.message) + "\n";
  if (!error.cure.empty()) text += "  cure: " + api::printable(error.cure) + "\n";
  std::fputs(text.c_str(), stderr);
  return exit_code_of(error);
}

}  // namespace drpf::terminal
