// What a schedule does about loss and limits: canaries, the gates of hosts that say by ICMP what is closed, the rations of others.
#include <algorithm>

#include "scan/ask/schedule.h"

namespace drpf::scan {
namespace {

using std::chrono::milliseconds;

constexpr double canary_interval_first = 8;  // probes without a natural sample, until there are some fates
constexpr double canary_interval = 256;
constexpr std::uint64_t canary_fates_few = 64;
constexpr Duration canary_wait_min = milliseconds(60);
constexpr std::size_t paced_looked_at = 64;  // hosts, in one call

}  // namespace

bool Schedule::is_canary(const Probe& probe) const {
  const auto slot = static_cast<std::size_t>(probe.source_port - ports_.first);
  return slot >= attempt_ports && slot < attempt_ports + canary_ports;
}

void Schedule::be_paced(std::uint32_t host) {
  if (std::find(paced_.begin(), paced_.end(), host) == paced_.end()) paced_.push_back(host);
}

// False: it waits until its host may be asked.
bool Schedule::pass(std::uint32_t cell, Time now) {
  auto& host = hosts_[table_.host_of(cell)];
  if (!host.ration && (!host.gate || host.gate->may_ask(now))) return true;
  if (host.gate && host.gate->hopeless()) return false;
  // What was asked already goes first: its fate tells whether the rate is right.
  if (host.ration && table_[cell].counting_attempts() > 0)
    host.held.push_front(cell);
  else
    host.held.push_back(cell);
  ++held_;
  return false;
}

// What was lost so far was lost to a limit, not to the line.
void Schedule::forget_loss(Host& host) {
  loss_.received -= std::min(loss_.received, host.loss.received);
  loss_.lost -= std::min(loss_.lost, host.loss.lost);
  host.loss = {};
}

// The silence of this host so far says nothing.
void Schedule::void_attempts(std::uint32_t index) {
  auto& host = hosts_[index];
  if (request_.pace.probes_max) return;
  std::erase_if(host.held, [this](std::uint32_t cell) {
    const bool drop = table_[cell].attempts > 0;  // they come again below
    if (drop) --held_;
    return drop;
  });
  std::erase_if(again_, [&](std::uint32_t cell) { return table_.host_of(cell) == index; });
  for (std::uint32_t number = 0; number < table_.numbers(); ++number) {
    const auto at = table_.index(index, number);
    auto& cell = table_[at];
    if (cell.answered() || cell.cause == Cause::local_error) continue;
    cell.void_attempts = cell.attempts;
    if (cell.attempts == 0 || cell.waiting) continue;  // not asked yet
    host.held.push_back(at);
    ++held_;
  }
}

// One that was asked when an error could come tells what the line loses.
void Schedule::count_reference(Host& host, bool received) {
  ++(received ? host.loss.received : host.loss.lost);
  ++(received ? loss_.received : loss_.lost);
}

// They were asked when no error could come.
void Schedule::void_silences(std::uint32_t index) {
  auto& host = hosts_[index];
  for (const auto at : host.silences) {
    auto& cell = table_[at];
    if (cell.answered()) continue;
    const bool parked = !cell.waiting && cell.counting_attempts() >= needed(host);
    cell.void_attempts = std::min<std::uint16_t>(cell.void_attempts + 1, cell.attempts);
    if (!parked) continue;
    host.held.push_back(at);
    ++held_;
  }
  host.silences.clear();
  if (!host.gate->hopeless()) return;
  held_ -= static_cast<std::uint32_t>(host.held.size());
  host.held.clear();
}

Probe Schedule::ask_again(std::uint32_t cell) {
  const auto slot = canary_turn_++ % canary_ports;
  return {first_target_ + table_.host_of(cell), request_.numbers[table_.number_of(cell)],
          static_cast<std::uint16_t>(ports_.first + attempt_ports + slot), cell};
}

void Schedule::suspect(std::uint32_t index, Time now) {
  auto& host = hosts_[index];
  if (host.ration || (host.gate && (!host.gate->decided() || host.gate->limit())) || host.known_count == 0 || !host.recent.suspicious())
    return;
  const auto busy = std::count_if(hosts_.begin(), hosts_.end(), [](const Host& other) { return other.unanswered > 0; });
  host.ration = std::make_unique<Ration>(rate_.rate() / static_cast<double>(std::max<std::ptrdiff_t>(busy, 1)), host.recent.share(),
                                         host.unanswered, now);
  be_paced(index);
}

std::optional<Probe> Schedule::next_of_ration(std::uint32_t index, Time now) {
  auto& host = hosts_[index];
  switch (host.ration->judge(now, rate_.rate())) {
    case Ration::Finding::limit:
      forget_loss(host);
      void_attempts(index);
      break;
    case Ration::Finding::line:
      host.recent.is_the_line(host.ration->line());
      host.ration.reset();
      return std::nullopt;
    case Ration::Finding::none:
      break;
  }
  if (!host.ration->may_ask(now)) return std::nullopt;
  const bool nothing_else = host.held.empty() && host.ration->trying() && !host.ration->wants_nothing_else();
  if (host.ration->wants_canary() || nothing_else) {
    if (const auto canary = canary_of(host.known[canary_turn_ % host.known_count], now)) {
      host.ration->canary_asked();
      return canary;
    }
    if (host.ration->trying()) return std::nullopt;
  }
  while (!host.held.empty() && !host.ration->wants_nothing_else()) {
    const auto cell = host.held.front();
    host.held.pop_front();
    --held_;
    if (table_[cell].answered() || table_[cell].waiting) continue;
    host.ration->asked();
    const auto probe = send(cell, now);
    // Faster than is answered, to measure: silence says little then.
    if (host.ration->measuring() && !request_.pace.probes_max) ++table_[cell].void_attempts;
    return probe;
  }
  return std::nullopt;
}

std::optional<Probe> Schedule::next_of_gate(std::uint32_t index, Time now) {
  auto& host = hosts_[index];
  if (host.gate->decide(now)) {
    if (closed_by_icmp(request_.kind)) forget_loss(host);
    void_attempts(index);
    const auto limit = *host.gate->limit();
    tally_.answers_limited_to = std::min(tally_.answers_limited_to.value_or(limit), limit);
    tally_.limited_answers = "ICMP errors";
  }
  switch (host.gate->judge_silence(now, 2 * host.round_trip.timeout())) {
    case IcmpGate::Silence::meant:
      host.silences.clear();
      count_reference(host, true);
      break;
    case IcmpGate::Silence::void_:
      void_silences(index);
      count_reference(host, false);
      break;
    case IcmpGate::Silence::open:
      break;
  }
  if (host.gate->wants_reference(now, host.held.empty()) && host.reference) {
    host.gate->reference_asked(now);
    return ask_again(*host.reference);
  }
  while (!host.held.empty() && host.gate->may_ask(now)) {
    const auto cell = host.held.front();
    host.held.pop_front();
    --held_;
    if (!table_[cell].answered() && !table_[cell].waiting) return send(cell, now);
  }
  return std::nullopt;
}

std::optional<Probe> Schedule::next_paced(Time now) {
  for (std::size_t i = 0; i < std::min(paced_looked_at, paced_.size());) {
    const auto place = paced_turn_ % paced_.size();
    const auto index = paced_[place];
    auto& host = hosts_[index];
    const auto gate_shut = [&host] { return host.gate && (!host.gate->decided() || host.gate->limit()); };
    if (gate_shut()) {
      if (auto probe = next_of_gate(index, now)) return probe;
    } else if (host.ration) {
      if (auto probe = next_of_ration(index, now)) return probe;
    }
    if (!host.ration && !gate_shut()) {
      held_ -= static_cast<std::uint32_t>(host.held.size());
      again_.insert(again_.end(), host.held.begin(), host.held.end());
      host.held.clear();
      paced_.erase(paced_.begin() + static_cast<std::ptrdiff_t>(place));
      if (paced_.empty()) break;
      continue;
    }
    ++paced_turn_;
    ++i;
  }
  return std::nullopt;
}

// None: its source port is under way with another one.
std::optional<Probe> Schedule::canary_of(std::uint32_t cell, Time now) {
  auto& canary = canaries_[canary_turn_ % canary_ports];
  if (canary.under_way) return std::nullopt;
  canary = {.cell = cell, .sent = now, .under_way = true, .overdue = false};
  auto& count = table_[cell].canaries;
  if (count < canaries_of_open_port) ++count;
  return ask_again(cell);
}

std::optional<Probe> Schedule::next_canary(Time now) {
  if (answering_.empty() || quiet_ < (canary_fates_ < canary_fates_few ? canary_interval_first : canary_interval)) return std::nullopt;
  quiet_ = 0;
  // Of the host that is about to be asked again, if possible: its silence is in question.
  if (!again_.empty()) {
    const auto& host = hosts_[table_.host_of(again_.front())];
    if (host.known_count > 0 && !host.ration) {
      const auto cell = host.known[canary_turn_ % host.known_count];
      if (!is_loaded(cell)) return canary_of(cell, now);
    }
  }
  const auto place = canary_turn_ % answering_.size();
  const auto cell = answering_[place];
  if (is_loaded(cell)) {
    answering_.erase(answering_.begin() + static_cast<std::ptrdiff_t>(place));
    return std::nullopt;
  }
  if (hosts_[table_.host_of(cell)].ration) {
    ++canary_turn_;  // has its own
    return std::nullopt;
  }
  return canary_of(cell, now);
}

// A service is not asked again and again for the sake of the measurement; what is closed loads nobody.
bool Schedule::is_loaded(std::uint32_t cell) const {
  return table_[cell].state == State::open && table_[cell].canaries >= canaries_of_open_port;
}

void Schedule::expire_canaries(Time now) {
  for (auto& canary : canaries_) {
    if (!canary.under_way) continue;
    const auto index = table_.host_of(canary.cell);
    auto& host = hosts_[index];
    const auto waited = now - canary.sent;
    if (!canary.overdue && waited > host.round_trip.timeout()) {
      canary.overdue = true;
      host.recent.add(0, 1);
      suspect(index, now);
    }
    if (waited < std::max<Duration>(3 * host.round_trip.timeout(), canary_wait_min)) continue;
    canary.under_way = false;
    ++canary_fates_;
    ++host.loss.lost;
    ++loss_.lost;
    if (host.ration)
      host.ration->canary_fate(false, canary.sent);
    else
      rate_.lost(canary.sent);
  }
}

void Schedule::canary_answered(std::size_t slot, std::uint32_t cell, Time received) {
  auto& canary = canaries_[slot];
  if (!canary.under_way || canary.cell != cell) return;
  canary.under_way = false;
  auto& host = hosts_[table_.host_of(cell)];
  host.round_trip.add(received - canary.sent);
  ++canary_fates_;
  ++host.loss.received;
  ++loss_.received;
  if (canary.overdue)
    host.recent.came_late();
  else
    host.recent.add(1, 0);
  if (host.ration)
    host.ration->canary_fate(true, canary.sent);
  else
    rate_.answered(canary.sent);
}

void Schedule::remember_as_canary(std::uint32_t cell) {
  const bool closed = table_[cell].state != State::open;
  auto& host = hosts_[table_.host_of(cell)];
  if (closed && !host.known_closed) {
    host.known_closed = true;
    host.known_count = 0;
  }
  if (closed == host.known_closed && host.known_count < host.known.size()) host.known[host.known_count++] = cell;
  if (answering_.size() < canaries_max)
    answering_.push_back(cell);
  else if (answered_ports_ % 16 == 0)
    answering_[answered_ports_ / 16 % canaries_max] = cell;
}

}  // namespace drpf::scan
