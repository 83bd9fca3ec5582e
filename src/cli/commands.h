// The command line of the one binary: `drpf COMMAND ...`.
#pragma once

namespace drpf::cli {

// Parses and runs; returns the exit code (docs/exit-codes.md).
int run(int argc, char** argv);

}  // namespace drpf::cli
