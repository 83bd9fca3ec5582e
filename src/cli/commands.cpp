#include "cli/commands.h"

#include <cstdio>

namespace drpf::cli {

int run(int, char**) {
  std::puts("drpf " DRPF_VERSION);
  return 0;
}

}  // namespace drpf::cli
