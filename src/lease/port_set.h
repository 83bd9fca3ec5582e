// A set of port numbers as a bitmap: who is in, and where the next free run is. It does not know whose they are.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/port.h"

namespace drpf::lease {

class PortSet {
 public:
  void insert(PortRange range) { fill(range, true); }
  void erase(PortRange range) { fill(range, false); }
  bool contains(Port port) const { return (words_[port.value() / 64U] >> (port.value() % 64U) & 1U) != 0; }
  std::uint32_t size() const;
  PortSet without(const PortSet& other) const;

  // The first run of `count` members that lies whole inside `within`.
  std::optional<PortRange> first_run(PortRange within, std::uint32_t count) const;

 private:
  static constexpr std::uint32_t numbers = 65536;
  void fill(PortRange range, bool in);
  // The first number >= from that is (not) in the set; `numbers` when there is none.
  std::uint32_t next(std::uint32_t from, bool in) const;

  std::array<std::uint64_t, numbers / 64> words_{};
};

}  // namespace drpf::lease
