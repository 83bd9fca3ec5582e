#include "scan/ask/schedule.h"

#include <algorithm>
#include <cassert>

#include "scan/ask/udp_payloads.h"

namespace drpf::scan {
namespace {

using std::chrono::milliseconds;

constexpr Duration needs_update_interval = milliseconds(10);
constexpr std::size_t hosts_updated_at_once = 4096;   // of more hosts, more rarely
constexpr Duration grace_unknown = milliseconds(50);  // beyond the timeouts of a host that never answered
constexpr Duration resend_after_error = milliseconds(20);
constexpr Duration wake_max = milliseconds(50);
constexpr Duration idle_max = std::chrono::seconds(30);  // nothing under way and nothing sent: more than any gap between two probes
constexpr unsigned idle_calls_min = 100;                 // of next(): this machine may have slept
constexpr double sample_worth = 32;                      // one fate of an ordinary probe saves that many probes until the next canary
constexpr double prior_weight = 10;                      // of all hosts' loss, in samples of one host
// Among ports that answer a few silent ones are asked more often than the loss of their host demands: theirs may be worse, and it costs
// little.
constexpr unsigned few_silent_probes = 1024;
constexpr std::uint32_t looked_again_max = 32;              // silent ports of a host
constexpr std::uint32_t silent_hosts_looked_at_again = 16;  // that have answered nothing; of more, none
constexpr Duration look_again_after = milliseconds(1050);
constexpr unsigned few_silent_attempts_max = 16;
constexpr int others_worth = 4;
constexpr Duration others_timeout_min = milliseconds(250);
constexpr int waits_lengthened_max = 4;  // quarters of the timeout
constexpr unsigned eager_ports_max = 256;
constexpr Duration looked_at_every = milliseconds(50);  // ports that wait, whether their host's timeout has changed

constexpr Duration first_timeout_of_errors = milliseconds(400);

}  // namespace

Schedule::Schedule(const Request& request, std::vector<HostStart> hosts, double start_rate, SourcePorts ports, std::uint64_t seed,
                   Time start, Sink sink)
    : request_(request),
      starts_(std::move(hosts)),
      ports_(ports),
      seed_(seed),
      start_(start),
      sink_(std::move(sink)),
      rate_(start_rate, request.pace.ceiling),
      number_index_(65536, -1),
      wheel_(start),
      tokens_at_(start) {
  assert(starts_.size() == request_.targets.size());
  for (std::uint32_t i = 0; i < request_.targets.size(); ++i) targets_.emplace(request_.targets[i], i);
  for (std::size_t i = 0; i < request_.numbers.size(); ++i) number_index_[request_.numbers[i]] = static_cast<std::int32_t>(i);
  if (request_.numbers.empty() || request_.targets.empty()) {
    all_done_ = true;
    return;
  }
  group_hosts_max_ = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, PortTable::cells_max / request_.numbers.size()));
  begin_group();
}

void Schedule::begin_group() {
  const auto left = static_cast<std::uint32_t>(request_.targets.size()) - first_target_;
  group_hosts_ = std::min(left, group_hosts_max_);
  const auto numbers = static_cast<std::uint32_t>(request_.numbers.size());
  table_.reset(group_hosts_, numbers);
  order_ = Order(seed_ + first_target_, table_.size());
  hosts_ = std::vector<Host>(group_hosts_);
  next_index_ = 0;
  pass_ = request_.kind == Kind::udp ? 0 : 1;
  answering_.clear();
  canaries_ = {};
  paced_.clear();
  held_ = 0;
  looked_again_ = false;
  idle_calls_ = 0;
  for (std::uint32_t host = 0; host < group_hosts_; ++host) {
    const auto& start = starts_[first_target_ + host];
    hosts_[host].round_trip = RoundTrip(start.first_timeout);
    for (std::uint32_t number = 0; number < numbers; ++number) {
      auto& cell = table_[table_.index(host, number)];
      if (start.settled) {
        cell.state = start.settled->state;
        cell.cause = start.settled->cause;
        cell.known_before = true;
      } else if (request_.resume) {
        const auto index = std::size_t{first_target_ + host} * numbers + number;
        if (index < request_.resume->verdicts.size() && request_.resume->verdicts[index].state != State::undecided) {
          cell.state = request_.resume->verdicts[index].state;
          cell.known_before = true;
        }
      }
      if (cell.answered()) {
        ++tally_.decided;
        if (cell.state == State::open) ++tally_.open;
      } else {
        ++hosts_[host].unanswered;
      }
    }
    if (closed_by_icmp(request_.kind) && !request_.udp_fast && hosts_[host].unanswered > 0) {
      hosts_[host].gate.emplace(hosts_[host].unanswered);
      if (hosts_[host].gate->decided()) continue;
      paced_.push_back(host);
      // The limit may be used up already: wait until there is room for an error again.
      hosts_[host].round_trip = RoundTrip(std::max(start.first_timeout, first_timeout_of_errors));
    }
  }
}

double Schedule::loss_of(const Host& host) const { return host.loss.cautious(loss_.cautious(), prior_weight); }

unsigned Schedule::needed(const Host& host) const { return host.probes_needed; }

void Schedule::update_needs() {
  for (auto& host : hosts_) {
    if (request_.pace.probes_max) {
      host.probes_needed = std::max(1U, *request_.pace.probes_max);
      continue;
    }
    unsigned probes = probes_min;
    if (loss_.samples() > 0 && !request_.udp_fast)
      probes = probes_needed(loss_of(host), table_.size());  // also for those that have answered: they might have been missed
    const bool one_by_one = (host.gate && host.gate->limit()) || host.ration;
    if (host.known_count > 0 && host.unanswered > 0 && !request_.udp_fast && !one_by_one)
      probes = std::max(probes, std::min(few_silent_attempts_max, few_silent_probes / host.unanswered));
    host.probes_needed = probes;
  }
}

// A host that has not answered yet is given several times what others needed.
Duration Schedule::timeout_of(const Host& host) const {
  const auto own = host.round_trip.timeout();
  if (host.round_trip.known() || !others_.known() || closed_by_icmp(request_.kind)) return own;
  return std::min(own, std::max<Duration>(others_worth * others_.timeout(), others_timeout_min));
}

Duration Schedule::wait_after(const PortCell& cell, const Host& host) const {
  // A little longer each time, so that the attempts do not all fall into one bad moment.
  if (host.ration && host.ration->found())
    return std::clamp<Duration>(timeout_of(host), Ration::retry_after, RetryWheel::wait_max / 4) *
           std::max<int>(1, std::min<int>(cell.attempts - cell.void_attempts, 3));
  const auto timeout = host.unanswered <= eager_ports_max && host.round_trip.known() ? host.round_trip.eager_timeout() : timeout_of(host);
  return std::min<Duration>(timeout + timeout * std::min(std::max<int>(cell.attempts, 1) - 1, waits_lengthened_max) / 4,
                            RetryWheel::wait_max);
}

Probe Schedule::send(std::uint32_t index, Time now) {
  auto& cell = table_[index];
  const auto host = table_.host_of(index);
  const auto number = request_.numbers[table_.number_of(index)];
  const bool special = request_.kind == Kind::udp && answers_from_another_port(number);
  const auto slot = special ? SourcePorts::count - 1 : cell.attempts % attempt_ports;
  ++cell.attempts;
  cell.previous_sent_us = cell.last_sent_us;
  cell.last_sent_us = micros(now);
  cell.waiting = true;
  cell.unsent = false;
  ++waiting_;
  if (hosts_[host].gate) hosts_[host].gate->asked();
  wheel_.add(index, now + std::min(wait_after(cell, hosts_[host]), looked_at_every));
  return {first_target_ + host, number, static_cast<std::uint16_t>(ports_.first + slot), index};
}

std::optional<std::uint32_t> Schedule::next_first() {
  for (;;) {
    while (next_index_ < order_.count()) {
      const auto cell = static_cast<std::uint32_t>(order_.at(next_index_++));
      if (table_[cell].answered()) continue;
      if (request_.kind == Kind::udp && has_udp_payload(request_.numbers[table_.number_of(cell)]) != (pass_ == 0)) continue;
      return cell;
    }
    if (pass_ != 0) return std::nullopt;
    pass_ = 1;
    next_index_ = 0;
  }
}

std::optional<std::uint32_t> Schedule::next_again() {
  while (!again_.empty()) {
    const auto cell = again_.front();
    again_.pop_front();
    if (!table_[cell].answered() && !table_[cell].waiting) return cell;
  }
  return std::nullopt;
}

std::size_t Schedule::next(Time now, std::span<Probe> out) {
  rate_.tick(now, timeout_known_ * 5 / 2);
  const auto passed = std::chrono::duration<double>(now - tokens_at_).count();
  tokens_at_ = now;
  tokens_ = std::min(tokens_ + passed * rate_.rate(), std::max(1.0, rate_.rate() * std::chrono::duration<double>(burst).count()));
  wheel_.advance(now, [this, now](std::uint32_t cell) { expire(cell, now); });
  expire_canaries(now);
  if (now - needs_updated_ >= needs_update_interval * (1 + static_cast<int>(hosts_.size() / hosts_updated_at_once))) {
    needs_updated_ = now;
    update_needs();
  }
  std::size_t count = 0;
  while (count < out.size() && tokens_ >= 1) {
    if (auto canary = next_canary(now)) {
      out[count++] = *canary;
    } else if (auto paced = next_paced(now)) {
      out[count++] = *paced;
    } else {
      auto cell = next_again();
      if (!cell) cell = next_first();
      if (!cell) break;
      if (!pass(*cell, now)) continue;
      out[count++] = send(*cell, now);
    }
    tokens_ -= 1;
    quiet_ += 1;
    ++tally_.probes;
  }
  if (count > 0) last_sent_ = now;
  if (count > 0 || waiting_ > 0)
    idle_calls_ = 0;
  else if (idle_calls_++ == 0)
    idle_since_ = now;
  return count;
}

void Schedule::not_sent(const Probe& probe, int error, Time now) {
  ++tally_.send_errors;
  --tally_.probes;
  if (is_canary(probe)) {
    rate_.send_error(now);
    canaries_[static_cast<std::size_t>(probe.source_port - ports_.first - attempt_ports)].under_way = false;
    if (auto& ration = hosts_[table_.host_of(probe.cell)].ration) ration->canary_not_sent();
    return;
  }
  auto& cell = table_[probe.cell];
  if (cell.answered() || !cell.waiting) return;
  if (cell.send_failures == 0) rate_.send_error(now);  // one that never leaves says nothing about the pace
  auto& gate = hosts_[table_.host_of(probe.cell)].gate;
  if (gate) gate->not_sent();
  --cell.attempts;
  cell.void_attempts = std::min(cell.void_attempts, cell.attempts);
  cell.last_sent_us = cell.previous_sent_us;
  cell.unsent = true;
  if (++cell.send_failures > send_failures_max) {
    if (gate) gate->given_up();
    --waiting_;
    cell.waiting = false;
    cell.cause = Cause::local_error;
    table_.remark(probe.cell, {.sender = {}, .detail = error, .from_port = {}});
    return;
  }
  wheel_.add(probe.cell, now + resend_after_error * cell.send_failures);
}

void Schedule::expire(std::uint32_t index, Time now) {
  auto& cell = table_[index];
  if (!cell.waiting) return;
  auto& host = hosts_[table_.host_of(index)];
  if (cell.unsent) {
    cell.waiting = false;
    --waiting_;
    again_.push_back(index);
    return;
  }
  cell.send_failures = 0;
  // The timeout may have changed since it was sent.
  const Duration waited = std::chrono::microseconds(micros(now) - cell.last_sent_us);
  if (const auto wait = wait_after(cell, host); waited < wait) {
    wheel_.add(index, now + std::min(wait - waited, looked_at_every));
    return;
  }
  cell.waiting = false;
  --waiting_;
  if (host.gate) {
    host.gate->silent();
    if (host.gate->limit()) host.silences.push_back(index);
  }
  if (cell.counting_attempts() >= needed(host)) return;
  again_.push_back(index);
}

void Schedule::sample(std::uint32_t index, std::uint32_t attempt, Time received) {
  auto& cell = table_[index];
  auto& host = hosts_[table_.host_of(index)];
  // Of ports that are asked a forced number of times only those are seen that answer: canaries alone know the loss then.
  if (request_.pace.probes_max) return;
  // Behind a limit of errors the lost ones of such a port are void, and that one came in the end says nothing.
  if (host.gate && host.gate->limit() && cell.void_attempts > 0) return;
  const auto last = cell.attempts - 1U;
  std::optional<std::uint32_t> sent_us;
  if (attempt == last) sent_us = cell.last_sent_us;
  if (attempt + 1 == last) sent_us = cell.previous_sent_us;
  const auto time_of = [this, received](std::uint32_t us) { return received - std::chrono::microseconds(micros(received) - us); };
  if (cell.answered_first == 0) {
    cell.answered_first = static_cast<std::uint16_t>(attempt + 1);
    ++host.loss.received;
    ++loss_.received;
    host.loss.lost += attempt - cell.void_attempts;
    loss_.lost += attempt - cell.void_attempts;
    const bool one_lost = attempt == last && attempt > cell.void_attempts;
    if (host.ration) {
      if (sent_us) host.ration->fate(true, time_of(*sent_us));
      if (one_lost) host.ration->fate(false, time_of(cell.previous_sent_us));
    } else {
      if (sent_us) rate_.answered(time_of(*sent_us));
      if (one_lost) rate_.lost(time_of(cell.previous_sent_us));
    }
    quiet_ = std::max(0.0, quiet_ - sample_worth);
  } else if (attempt + 1 < cell.answered_first) {
    cell.answered_first = static_cast<std::uint16_t>(attempt + 1);
    ++host.loss.received;
    ++loss_.received;
    if (host.loss.lost > 0) --host.loss.lost;
    if (loss_.lost > 0) --loss_.lost;
    if (sent_us && !host.ration) rate_.lost_came_late(time_of(*sent_us));
  }
}

bool Schedule::answered(const Reply& reply, Time received) {
  const auto target = targets_.find(reply.target);
  if (all_done_ || target == targets_.end() || target->second < first_target_ || target->second >= first_target_ + group_hosts_)
    return false;
  if (number_index_[reply.number] < 0) return false;
  const auto index = table_.index(target->second - first_target_, static_cast<std::uint32_t>(number_index_[reply.number]));
  auto& cell = table_[index];
  const auto meaning = meaning_of(request_.kind, reply.answer);
  if (cell.attempts == 0 || cell.known_before || !meaning) return false;

  auto& host = hosts_[table_.host_of(index)];
  const auto slot = static_cast<std::size_t>(reply.source_port - ports_.first);
  const bool by_canary = reply.source_port != 0 && slot >= attempt_ports && slot < attempt_ports + canary_ports;
  std::optional<std::uint32_t> attempt;
  const bool by_icmp = reply.answer.type == AnswerType::icmp;
  if (host.gate && by_icmp) host.gate->error_came(received);
  // ICMP errors are limited by who sends them. Where they come freely, they count as well as any other answer.
  const bool counts = !by_icmp || (closed_by_icmp(request_.kind) && host.gate && host.gate->decided());
  if (host.ration && counts) host.ration->arrived(received);
  if (by_canary && by_icmp && host.gate && (host.gate->measuring() || host.gate->limit())) {
    if (host.reference == index) host.gate->reference_answered(received);
  } else if (by_canary) {
    if (counts) canary_answered(slot - attempt_ports, index, received);
  } else if (reply.source_port != 0) {
    const auto last = cell.attempts - 1U;
    if (slot < attempt_ports) {
      if (slot > last) return false;  // that probe was never sent
      attempt = last - (last - static_cast<std::uint32_t>(slot)) % attempt_ports;
    } else {
      attempt = last;
    }
  }
  ++tally_.answers;
  const bool first = !cell.answered();
  if (first && attempt) {
    std::optional<std::uint32_t> sent_us;
    if (*attempt + 1U == cell.attempts) sent_us = cell.last_sent_us;
    if (*attempt + 2U == cell.attempts) sent_us = cell.previous_sent_us;
    if (sent_us) {
      cell.rtt_us = std::max(1U, micros(received) - *sent_us);
      host.round_trip.add(std::chrono::microseconds(cell.rtt_us));
      others_.add(std::chrono::microseconds(cell.rtt_us));
      timeout_known_ = host.round_trip.timeout();
    }
  }
  if (attempt && *attempt >= cell.void_attempts && counts) sample(index, *attempt, received);
  if (!first && !replaces(request_.kind, cell.state, meaning->state)) return true;

  if (first) {
    --host.unanswered;
    ++host.answered;
    ++answered_ports_;
    ++tally_.decided;
    if (cell.waiting) {
      --waiting_;
      if (host.gate && !cell.unsent) host.gate->answered();
    }
    cell.waiting = false;
    if (by_icmp) {
      host.reference = index;  // whoever sent it: what counts is how many arrive
      ++host.errors;
    }
    if (host.gate && by_icmp) {
      const bool was_decided = host.gate->decided();
      host.gate->port_answered(received, attempt && *attempt > cell.void_attempts);
      if (was_decided && !host.gate->decided()) be_paced(table_.host_of(index));
    }
  } else if (cell.state == State::open) {
    --tally_.open;
    --host.open;
  }
  cell.state = meaning->state;
  cell.cause = meaning->cause;
  cell.ttl = reply.answer.ttl;
  if (first && counts && (!host.gate || !host.gate->limit())) remember_as_canary(index);
  if (cell.state == State::open) {
    ++tally_.open;
    ++host.open;
  }
  PortRemark remark{.sender = {}, .detail = meaning->detail, .from_port = reply.answer.from_port};
  if (!reply.answer.from_target) remark.sender = reply.answer.sender;
  if (remark.sender || remark.detail != 0 || remark.from_port)
    table_.remark(index, remark);
  else
    table_.forget_remark(index);
  if (reply.answer.from_target && reply.answer.type != AnswerType::icmp) {
    ++host.ttls[cell.ttl];
    if (cell.state == State::open) ++host.ttls_of_open[cell.ttl];
  }
  return true;
}

bool Schedule::ask_parked() {
  update_needs();
  bool any = false;
  for (std::uint32_t index = 0; index < table_.size(); ++index) {
    const auto& cell = table_[index];
    if (cell.answered() || cell.waiting || cell.cause == Cause::local_error) continue;
    const auto& host = hosts_[table_.host_of(index)];
    if (cell.counting_attempts() >= needed(host) || (host.gate && host.gate->hopeless())) continue;
    again_.push_back(index);
    any = true;
  }
  return any;
}

bool Schedule::group_is_done(Time now) {
  if (idle_calls_ > idle_calls_min && now - idle_since_ > idle_max) return true;  // whatever was still planned: it does not happen
  if (next_index_ < order_.count() || pass_ == 0 || waiting_ > 0 || held_ > 0) return false;
  for (const auto index : paced_) {
    const auto& host = hosts_[index];
    if (host.unanswered > 0 && ((host.gate && (host.gate->measuring() || (host.gate->silence_open() && !host.gate->hopeless()))) ||
                                (host.ration && !host.ration->found())))
      return false;
  }
  while (!again_.empty() && table_[again_.front()].answered()) again_.pop_front();
  if (!again_.empty()) return false;
  Duration grace{};
  for (const auto& host : hosts_)
    if (host.unanswered > 0) grace = std::max(grace, host.round_trip.known() ? 2 * timeout_of(host) : grace_unknown);
  if (now - last_sent_ < grace) return false;
  return !ask_parked() && !look_again(now) && !doubt_silence(now);
}

// Some hosts let one SYN per second through, or one ICMP error out, and may have used it up before we came. Where a host answers on most
// ports, and where silence means something else than an error does, a few silent ports are asked once more after that time.
bool Schedule::look_again(Time now) {
  const bool error_would_tell = meaning_of_silence(request_.kind).state == State::open_filtered && !request_.udp_fast;
  if (looked_again_ || request_.pace.probes_max || (request_.kind != Kind::syn && !error_would_tell)) return false;
  const auto eligible = [&](const Host& host) {
    if (host.unanswered == 0) return false;
    if (error_would_tell) return host.errors == 0 && (host.answered > 0 || group_hosts_ <= silent_hosts_looked_at_again);
    return host.known_count > 0 && host.unanswered <= looked_again_max;
  };
  if (std::none_of(hosts_.begin(), hosts_.end(), eligible)) return false;
  if (now - last_sent_ < look_again_after) return true;
  looked_again_ = true;
  for (std::uint32_t host = 0; host < group_hosts_; ++host) {
    if (!eligible(hosts_[host])) continue;
    std::uint32_t asked = 0;
    for (std::uint32_t number = 0; number < table_.numbers() && asked < looked_again_max; ++number) {
      const auto index = table_.index(host, number);
      if (table_[index].answered() || table_[index].cause == Cause::local_error) continue;
      again_.push_back(index);
      ++asked;
    }
  }
  return true;
}

// ICMP errors are limited. Where silence means something else than an error does, it counts only if an error would have come: the silent
// ports of hosts that send errors are asked once more, as fast as these are allowed.
bool Schedule::doubt_silence(Time now) {
  if (meaning_of_silence(request_.kind).state != State::open_filtered || request_.udp_fast || request_.pace.probes_max) return false;
  bool any = false;
  for (std::uint32_t index = 0; index < hosts_.size(); ++index) {
    auto& host = hosts_[index];
    if (host.gate || host.unanswered == 0 || host.errors == 0) continue;
    host.gate = IcmpGate::in_doubt(host.errors, now);
    be_paced(index);
    any = true;
  }
  return any;
}

bool Schedule::finished(Time now) {
  while (!all_done_ && group_is_done(now)) {
    end_group();
    if (first_target_ >= request_.targets.size())
      all_done_ = true;
    else
      begin_group();
  }
  return all_done_;
}

void Schedule::stop() {
  tally_.interrupted = true;
  while (!all_done_) {
    end_group();
    if (first_target_ >= request_.targets.size())
      all_done_ = true;
    else
      begin_group();
  }
}

void Schedule::end_group() {
  for (std::uint32_t local = 0; local < group_hosts_; ++local) {
    auto& host = hosts_[local];
    judge_ttls(host);
    if (host.ration && host.ration->found()) {
      tally_.answers_limited_to = host.ration->limit();
      tally_.limited_answers = host.gate ? "ICMP errors" : host.known_closed ? "resets" : "answers";
    }
    silent_ += host.unanswered;
    if (host.unanswered > 0) worst_miss_ = std::max(worst_miss_, miss_probability(loss_of(host), host.probes_needed));
    for (std::uint32_t number = 0; number < table_.numbers(); ++number) {
      const auto index = table_.index(local, number);
      const auto out = verdict(index);
      if (!table_[index].answered() && out.state != State::undecided) ++tally_.decided;
      sink_(first_target_ + local, number, out);
    }
  }
  first_target_ += group_hosts_;
  wheel_.clear();
  again_.clear();
  waiting_ = 0;
}

Time Schedule::wake(Time now) const {
  auto when = now + wake_max;
  if (all_done_) return now;
  if (!again_.empty() || next_index_ < order_.count() || pass_ == 0) {
    if (tokens_ >= 1) return now;
    const auto until_token = std::chrono::duration<double>((1 - tokens_) / rate_.rate());
    when = std::min(when, until_token < wake_max ? now + std::chrono::duration_cast<Duration>(until_token) : when);
  }
  if (!wheel_.empty()) when = std::min(when, wheel_.next_due());
  if (waiting_ == 0 || !paced_.empty()) when = std::min(when, now + milliseconds(5));
  return std::max(when, now);
}

}  // namespace drpf::scan
