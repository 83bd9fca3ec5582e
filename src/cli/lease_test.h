// `drpf lease test`: what the port doctor says, once or again and again. It finds nothing out by itself; the gateway does.
#pragma once

#include "cli/command_line.h"

namespace drpf::cli {

void add_lease_test_command(CLI::App& group, CommandLine& line);

}  // namespace drpf::cli
