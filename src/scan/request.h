// One scan as a value: whom to ask for what, how, and how fast. All of it is checked before it gets here: targets lie in scope.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/time.h"
#include "scan/kind.h"
#include "scan/verdict.h"

namespace drpf::scan {

inline constexpr double rate_ceiling = 100'000;  // packets per second; nothing goes faster
inline constexpr double rate_start_routed = 1'000;
inline constexpr double rate_start_on_link = 20'000;

struct Pace {
  std::optional<double> start;  // packets per second; none: by the path, see above
  double ceiling = rate_ceiling;
  std::optional<unsigned> probes_max;  // per port; none: by the measured loss. Given, each verdict is marked as forced
};

// What an interrupted scan knew: verdicts by (index of the target) * numbers.size() + (index of the number).
struct Progress {
  std::uint64_t seed = 0;         // of the order in which ports are asked
  std::vector<Verdict> verdicts;  // decided ones; State::undecided is asked (again)
};

struct Request {
  Kind kind = Kind::syn;
  std::vector<Address> targets;
  std::vector<std::uint16_t> numbers;  // ports, or IP protocol numbers; ascending, each once
  Pace pace;
  std::string interface;           // empty: by the route to each target
  std::optional<Address> source;   // none: the kernel's choice
  std::optional<Endpoint> zombie;  // idle scan only
  bool udp_fast = false;           // do not wait for ICMP answers that a limit holds back: silent ports become closed|filtered
  bool through_own_rules = false;  // raw probes take the way of this machine's other packets, through its rules for output
  std::optional<Progress> resume;
};

// What a scan says of itself at its end and, by the second, on its way.
struct Tally {
  std::uint64_t probes = 0;      // sent, with the repeated ones
  std::uint64_t answers = 0;     // that belonged to a probe
  std::uint64_t strays = 0;      // received and belonging to none: forged, damaged, late or not ours
  std::uint64_t ring_drops = 0;  // answers that this machine lost
  std::uint64_t send_errors = 0;
  std::uint64_t decided = 0;
  std::uint64_t undecided = 0;
  std::uint64_t open = 0;
  double rate = 0;               // packets per second at present; at the end, of the whole scan
  std::optional<double> loss;    // of a probe or its answer, 0..1; none: it could not be measured
  std::string loss_measured_by;  // "37 canaries", "nothing answered"
  double miss_probability = 1;   // that one open port was missed although it answers
  std::optional<Duration> time_left;
  std::optional<double> answers_limited_to;  // per second, where a limit was found
  std::string limited_answers;               // of what: "ICMP errors", "resets", "answers"
  bool interrupted = false;
};

}  // namespace drpf::scan
