// The verdicts of a whole scan, kept small: 16 bytes for a port and nothing for a host that was not begun.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "scan/verdict.h"

namespace drpf::scan {

class VerdictTable {
 public:
  VerdictTable(std::size_t targets, std::size_t numbers) : numbers_(numbers), rows_(targets) {}

  // Both in range. Times are kept in microseconds.
  void set(std::size_t target, std::size_t number, const Verdict& verdict);
  Verdict at(std::size_t target, std::size_t number) const;
  bool begun(std::size_t target) const { return !rows_[target].empty(); }
  void forget(std::size_t target);

  std::size_t targets() const { return rows_.size(); }
  std::size_t numbers() const { return numbers_; }

 private:
  struct Cell {
    State state = State::undecided;
    Cause cause = Cause::none;
    std::uint8_t ttl = 0;
    std::uint8_t flags = 0;
    std::uint16_t probes = 0;
    std::uint16_t sender = 0;  // index + 1; 0: none
    std::uint32_t rtt_us = 0;
    std::int32_t detail = 0;
  };
  std::uint16_t index_of(const Address& sender);
  std::uint64_t key(std::size_t target, std::size_t number) const { return std::uint64_t{target} * numbers_ + number; }

  std::size_t numbers_;
  std::vector<std::vector<Cell>> rows_;
  std::vector<Address> senders_;
  std::unordered_map<Address, std::uint16_t> sender_indices_;
  std::unordered_map<std::uint64_t, Address> rare_senders_;  // beyond the 65,535th
  std::unordered_map<std::uint64_t, std::string> notes_;
};

}  // namespace drpf::scan
