// Randomness of the kernel for the engines.
#pragma once

#include "core/random.h"

namespace drpf::probe {

class KernelRandom final : public Random {
 public:
  void fill(MutableByteView out) override;
};

}  // namespace drpf::probe
