#include "cli/commands.h"

int main(int argc, char** argv) { return drpf::cli::run(argc, argv); }
