#include "terminal/exit_code.h"

#include <cstdio>

#include "api/json_text.h"

namespace drpf::terminal {

ExitCode exit_code_of(const Error& error) {
  switch (error.kind) {
    case Error::Kind::usage:
      return exit_usage;
    case Error::Kind::configuration:
      return exit_configuration;
    case Error::Kind::unavailable:
      return exit_unavailable;
    case Error::Kind::not_permitted:
      return exit_no_permission;
    case Error::Kind::refusal:
    case Error::Kind::invalid:
    case Error::Kind::not_found:
    case Error::Kind::failure:
      break;
  }
  return exit_refused;
}

ExitCode report(const Error& error) {
  std::string text = "drpf: " + api::printable(error.message) + "\n";
  if (!error.cure.empty()) text += "  cure: " + api::printable(error.cure) + "\n";
  std::fputs(text.c_str(), stderr);
  return exit_code_of(error);
}

}  // namespace drpf::terminal
