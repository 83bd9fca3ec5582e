#include "probe/kernel_random.h"

#include <sys/random.h>

namespace drpf::probe {

void KernelRandom::fill(MutableByteView out) {
  for (std::size_t done = 0; done < out.size();) {
    const auto got = ::getrandom(out.data() + done, out.size() - done, 0);
    if (got > 0) done += static_cast<std::size_t>(got);
  }
}

}  // namespace drpf::probe
