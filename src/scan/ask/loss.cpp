#include "scan/ask/loss.h"

#include <algorithm>
#include <cmath>

namespace drpf::scan {

unsigned probes_needed(double loss, std::uint64_t ports) {
  if (ports == 0 || loss <= 0) return probes_min;
  if (loss >= 1) return probes_limit;
  const double needed = std::ceil(std::log(expected_misses / static_cast<double>(ports)) / std::log(loss));
  return static_cast<unsigned>(std::clamp(needed, double{probes_min}, double{probes_limit}));
}

double miss_probability(double loss, unsigned probes) { return std::pow(std::clamp(loss, 0.0, 1.0), probes); }

}  // namespace drpf::scan
