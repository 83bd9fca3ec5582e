// Which ports an idle scan asks next, and what the steps of the zombie's IP identification say: every open port makes it one packet
// more. Several ports are asked in one go and parted where the step shows that some of them are open. Sends nothing.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "scan/verdict.h"

namespace drpf::scan {

// The IP identifications of a zombie's answers to probes in a row; none where they do not count up one by one, so that it is no use.
// 256 is a counter whose bytes are swapped on the way out.
std::optional<std::uint16_t> counting_unit(std::span<const std::uint16_t> identifications);

class IdleSearch {
 public:
  static constexpr std::size_t group_max = 16;
  static constexpr unsigned open_confirmations = 2;
  static constexpr unsigned quiet_confirmations = 3;  // an answer may be lost
  static constexpr unsigned busy_max = 8;             // other traffic of the zombie in a row

  // Ports by index, 0..ports-1, but those in `known`.
  IdleSearch(std::size_t ports, const std::vector<bool>& known);

  bool done() const { return groups_.empty(); }
  // What to ask now; the same until told() is called.
  std::span<const std::uint32_t> next() const { return groups_.front().ports; }
  // How far the identification went between two looks, in units: 1 is our own second look. Decided ports are appended.
  struct Decision {
    std::uint32_t port = 0;
    State state = State::undecided;
    std::uint16_t probes = 0;
  };
  void told(std::uint32_t step, std::vector<Decision>& decided);

 private:
  struct Group {
    std::vector<std::uint32_t> ports;
    unsigned hits = 0;
    unsigned quiet = 0;
    unsigned busy = 0;
    std::uint16_t probes = 0;
  };
  std::deque<Group> groups_;
};

}  // namespace drpf::scan
