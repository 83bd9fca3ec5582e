#include "simulation/faults.h"

namespace drpf::simulation {

std::string_view to_string(Fault fault) {
  static constexpr std::array<std::string_view, fault_count> names{
      "crash",          "lost answer",     "duplicate request", "reordered request", "store refuses",      "store doubtful",  "slow store",
      "kernel refuses", "kernel doubtful", "slow kernel",       "tunnel refuses",    "wall clock forward", "wall clock back", "stall",
      "suspend",        "reboot",          "foreign flush",     "foreign removal",   "delayed event"};
  return names[static_cast<std::size_t>(fault)];
}

std::string_view to_string(Mutation mutation) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Mutation::count)> names{"none",
                                                                                                 "answer-before-commit",
                                                                                                 "kernel-before-store",
                                                                                                 "lose-last-commit",
                                                                                                 "forget-quarantine",
                                                                                                 "forget-generations",
                                                                                                 "keep-generation",
                                                                                                 "keep-removed",
                                                                                                 "live-forever",
                                                                                                 "late-timeout",
                                                                                                 "flows-not-checked",
                                                                                                 "connections-not-purged",
                                                                                                 "reload-ends-leases",
                                                                                                 "ruleset-stays"};
  return names[static_cast<std::size_t>(mutation)];
}

Faults::Faults(Dice& dice, Met& met, Mutation mutation) : dice_(dice), met_(met), mutation_(mutation) {
  const auto appetite = dice_.below(4);  // from hardly any fault to nearly all of them
  for (auto& chosen : chosen_) chosen = dice_.below(4) < appetite;
}

bool Faults::strikes(Fault fault, std::uint32_t one_in) {
  if (quiet || !chosen_[static_cast<std::size_t>(fault)] || !dice_.one_in(one_in)) return false;
  ++met_["fault: " + std::string(to_string(fault))];
  if (trace) trace("  fault: " + std::string(to_string(fault)));
  return true;
}

void Faults::crash_point(const char* where) {
  if (!strikes(Fault::crash, 40)) return;
  note(std::string("crash ") + where);
  throw Crash{where};
}

}  // namespace drpf::simulation
