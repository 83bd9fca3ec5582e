// How many probes or answers get lost, and how often one therefore has to ask.
#pragma once

#include <cstdint>

namespace drpf::scan {

inline constexpr unsigned probes_min = 3;      // per silent port; two of three may be lost on a bad line
inline constexpr unsigned probes_limit = 128;  // per port, however bad the line
inline constexpr double expected_misses = 0.001;

// Of probes whose fate is known: to ports that do answer.
struct Loss {
  std::uint64_t received = 0;
  std::uint64_t lost = 0;

  std::uint64_t samples() const { return received + lost; }
  double share() const { return samples() == 0 ? 0 : static_cast<double>(lost) / static_cast<double>(samples()); }
  // Never 0 and never 1: that nothing was lost among few says little. `prior` weighs as much as `prior_weight` samples.
  double cautious(double prior = 0.5, double prior_weight = 2) const {
    return (static_cast<double>(lost) + prior * prior_weight) / (static_cast<double>(samples()) + prior_weight);
  }
};

// n = ceil(ln(expected_misses / ports) / ln p): with so many probes each, that many misses are expected among `ports` silent ones.
unsigned probes_needed(double loss, std::uint64_t ports);
// That one port stays silent through all its probes although it answers.
double miss_probability(double loss, unsigned probes);

}  // namespace drpf::scan
