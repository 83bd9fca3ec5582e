#include "scan/verdict_table.h"

#include <algorithm>
#include <limits>

namespace drpf::scan {
namespace {

constexpr std::uint8_t has_ttl = 1;
constexpr std::uint8_t has_rtt = 2;
constexpr std::uint8_t has_note = 4;
constexpr std::uint8_t has_rare_sender = 8;
constexpr std::size_t senders_max = 65'534;

}  // namespace

void VerdictTable::set(std::size_t target, std::size_t number, const Verdict& verdict) {
  auto& row = rows_[target];
  if (row.empty()) row.resize(numbers_);
  Cell cell;
  cell.state = verdict.state;
  cell.cause = verdict.cause;
  cell.probes = verdict.probes;
  cell.detail = verdict.detail;
  if (verdict.ttl) {
    cell.ttl = *verdict.ttl;
    cell.flags |= has_ttl;
  }
  if (verdict.rtt) {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(*verdict.rtt).count();
    cell.rtt_us = static_cast<std::uint32_t>(std::clamp<std::int64_t>(us, 0, std::numeric_limits<std::uint32_t>::max()));
    cell.flags |= has_rtt;
  }
  if (verdict.sender) {
    cell.sender = index_of(*verdict.sender);
    if (cell.sender == 0) {
      rare_senders_[key(target, number)] = *verdict.sender;
      cell.flags |= has_rare_sender;
    }
  }
  if (!verdict.note.empty()) {
    notes_[key(target, number)] = verdict.note;
    cell.flags |= has_note;
  }
  row[number] = cell;
}

Verdict VerdictTable::at(std::size_t target, std::size_t number) const {
  Verdict verdict;
  if (rows_[target].empty()) return verdict;
  const auto& cell = rows_[target][number];
  verdict.state = cell.state;
  verdict.cause = cell.cause;
  verdict.probes = cell.probes;
  verdict.detail = cell.detail;
  if (cell.flags & has_ttl) verdict.ttl = cell.ttl;
  if (cell.flags & has_rtt) verdict.rtt = std::chrono::microseconds(cell.rtt_us);
  if (cell.sender > 0) verdict.sender = senders_[cell.sender - 1U];
  if (cell.flags & has_rare_sender) verdict.sender = rare_senders_.at(key(target, number));
  if (cell.flags & has_note) verdict.note = notes_.at(key(target, number));
  return verdict;
}

void VerdictTable::forget(std::size_t target) {
  for (std::size_t number = 0; number < rows_[target].size(); ++number) {
    if (rows_[target][number].flags & has_note) notes_.erase(key(target, number));
    if (rows_[target][number].flags & has_rare_sender) rare_senders_.erase(key(target, number));
  }
  std::vector<Cell>().swap(rows_[target]);
}

std::uint16_t VerdictTable::index_of(const Address& sender) {
  if (const auto found = sender_indices_.find(sender); found != sender_indices_.end()) return found->second;
  if (senders_.size() >= senders_max) return 0;
  senders_.push_back(sender);
  return sender_indices_[sender] = static_cast<std::uint16_t>(senders_.size());
}

}  // namespace drpf::scan
