// What is known of each (host, number) of the active group, in 28 bytes each. What few have (another sender, a detail) stands beside.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/time.h"
#include "scan/answer.h"

namespace drpf::scan {

struct PortCell {
  State state = State::undecided;
  Cause cause = Cause::none;
  std::uint8_t ttl = 0;
  std::uint8_t send_failures = 0;    // in a row
  std::uint16_t attempts = 0;        // probes sent
  std::uint16_t void_attempts = 0;   // of these, whose silence says nothing
  std::uint16_t answered_first = 0;  // 1 + the attempt that was answered first; 0: none, or it does not matter
  std::uint32_t last_sent_us = 0;    // since the start of the scan, of the last two attempts
  std::uint32_t previous_sent_us = 0;
  std::uint32_t rtt_us = 0;   // 0: not known
  std::uint8_t canaries = 0;  // probes to it that only measured the line
  bool waiting = false;       // for an answer, or for its turn to be asked again
  bool unsent = false;        // the last attempt could not leave this machine: it counts for nothing and is made again
  bool known_before = false;

  bool answered() const { return state != State::undecided; }
  unsigned counting_attempts() const { return attempts - void_attempts; }
};

// What an answer says beyond the state.
struct PortRemark {
  std::optional<Address> sender;
  int detail = 0;
  std::optional<std::uint16_t> from_port;
};

class PortTable {
 public:
  static constexpr std::uint64_t cells_max = std::uint64_t{1} << 20;  // one host's 65,536 ports always fit

  void reset(std::uint32_t hosts, std::uint32_t numbers) {
    hosts_ = hosts;
    numbers_ = numbers;
    cells_.assign(std::size_t{hosts} * numbers, {});
    remarks_.clear();
  }
  std::uint32_t size() const { return static_cast<std::uint32_t>(cells_.size()); }
  std::uint32_t hosts() const { return hosts_; }
  std::uint32_t numbers() const { return numbers_; }
  std::uint32_t index(std::uint32_t host, std::uint32_t number) const { return host * numbers_ + number; }
  std::uint32_t host_of(std::uint32_t cell) const { return cell / numbers_; }
  std::uint32_t number_of(std::uint32_t cell) const { return cell % numbers_; }
  PortCell& operator[](std::uint32_t cell) { return cells_[cell]; }
  const PortCell& operator[](std::uint32_t cell) const { return cells_[cell]; }

  void remark(std::uint32_t cell, PortRemark remark) { remarks_.insert_or_assign(cell, remark); }
  void forget_remark(std::uint32_t cell) { remarks_.erase(cell); }
  const PortRemark* remark_of(std::uint32_t cell) const {
    const auto found = remarks_.find(cell);
    return found == remarks_.end() ? nullptr : &found->second;
  }

 private:
  std::uint32_t hosts_ = 0;
  std::uint32_t numbers_ = 1;
  std::vector<PortCell> cells_;
  std::unordered_map<std::uint32_t, PortRemark> remarks_;
};

}  // namespace drpf::scan
