#include "probe/connect_scan.h"

#include <net/if.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <random>

#include <fmt/format.h>

#include "probe/connect_scan_state.h"
#include "probe/local_trouble.h"

namespace drpf::probe {

namespace {

using namespace std::chrono_literals;
using scan::Cause;
using scan::State;
using scan::Verdict;

constexpr std::size_t ports_per_group = 1 << 18;      // hosts are asked in groups, so that a whole network needs no more memory
constexpr std::size_t descriptors_kept_free_min = 4;  // for what the rest of the program opens
constexpr std::size_t descriptors_kept_free_max = 32;
constexpr Duration first_timeout_own = 200ms;
constexpr Duration first_timeout_on_link = 450ms;  // devices that sleep answer after a second: the first socket is still there then
constexpr Duration first_timeout_routed = 1s;
constexpr unsigned backoff_max = 4;  // times the host's timeout
constexpr Duration wait_max = 50ms;
constexpr Duration wait_for_room = 2ms;
constexpr Duration wait_for_ration = 5ms;
constexpr Duration progress_every = 200ms;
constexpr Duration pause_max = 500ms;
constexpr unsigned local_errors_in_a_row_max = 12;
constexpr unsigned unreachable_max = 3;  // times that this machine knew no way to a host
constexpr double burst_seconds = 0.005;  // of the rate that may be made up for at once

std::size_t raised_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

}  // namespace

Result<scan::Tally> ConnectScan::run() {
  if (request_.targets.empty() || request_.numbers.empty()) return scan::Tally{};
  epoll_ = system::Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return fail(failure("scan_failed", fmt::format("cannot wait for sockets: {}", std::strerror(errno))));
  if (!request_.interface.empty()) {
    scope_ = static_cast<int>(::if_nametoindex(request_.interface.c_str()));
    if (scope_ == 0)
      return fail(not_found("interface_unknown", fmt::format("there is no interface \"{}\" to scan from", request_.interface),
                            "name one that `ip link` shows, or none"));
  }
  const auto used = static_cast<std::size_t>(epoll_.get()) + 1;  // the kernel gives the lowest free number
  const auto left = std::max(raised_descriptor_limit(), used + 1) - used;
  attempts_limit_ = std::clamp(left - std::min(left - 1, std::clamp(left / 4, descriptors_kept_free_min, descriptors_kept_free_max)),
                               std::size_t{1}, attempts_max);
  seed_ = request_.resume ? request_.resume->seed : std::uint64_t{std::random_device{}()} << 32 | std::random_device{}();
  read_own_addresses();
  const bool all_on_link = std::ranges::all_of(request_.targets, [&](const Address& target) { return on_link(target); });
  rate_.emplace(request_.pace.start.value_or(all_on_link ? scan::rate_start_on_link : scan::rate_start_routed),
                std::min(request_.pace.ceiling, scan::rate_ceiling));

  now_ = begun_ = refilled_ = last_progress_ = clock_.now();
  tokens_ = 1;
  const std::size_t hosts_per_group = std::max<std::size_t>(1, ports_per_group / request_.numbers.size());
  for (std::size_t first = 0; first < request_.targets.size(); first += hosts_per_group) {
    begin_group(first, std::min(hosts_per_group, request_.targets.size() - first));
    find_ways();
    run_group();
    tell_neighbours();
    leave_group();
  }
  return finished();
}

void ConnectScan::begin_group(std::size_t first, std::size_t count) {
  first_target_ = first;
  order_count_ = count * request_.numbers.size();
  order_.emplace(seed_, order_count_);
  fresh_ = 0;
  ports_.assign(order_count_, ProbedPort{});
  hosts_ = std::vector<Host>(count);
  rationed_.clear();
  for (std::size_t host = 0; host < count; ++host) {
    hosts_[host].undecided = static_cast<std::uint32_t>(request_.numbers.size());
    const auto& target = request_.targets[first + host];
    hosts_[host].round_trip = scan::RoundTrip(target.is_loopback() || is_own(target) ? first_timeout_own
                                              : on_link(target)                      ? first_timeout_on_link
                                                                                     : first_timeout_routed);
  }
  group_undecided_ = order_count_;
  if (!request_.resume) return;
  for (std::uint32_t port = 0; port < order_count_; ++port) {
    const auto& known = request_.resume->verdicts[target_of(port) * request_.numbers.size() + number_of(port)];
    if (known.state == State::undecided) continue;
    decide(port, known);
  }
}

void ConnectScan::run_group() {
  while (group_undecided_ > 0 && !stopped_) {
    read_events();
    expire();
    age();
    send();
    progress(false);
    if (stop_()) stopped_ = true;
  }
}

void ConnectScan::leave_group() {
  for (std::uint32_t slot = 0; slot < attempts_.size(); ++slot)
    if (attempts_[slot].fd.valid()) close(slot);
  retries_.clear();
  canaries_due_.clear();
  timers_ = {};
  for (std::uint32_t port = 0; port < order_count_; ++port) {
    if (ports_[port].decided) continue;
    decide(port, {.cause = ports_[port].probes > 0 ? Cause::no_response : Cause::none, .probes = sent(port)});
  }
  for (const auto& host : hosts_) {
    loss_.received += host.loss.received;
    loss_.lost += host.loss.lost;
    if (!host.ration || !host.ration->found()) continue;
    tally_.answers_limited_to = host.ration->limit();
    tally_.limited_answers = host.canaries_closed ? "resets" : "answers";
  }
}

void ConnectScan::refill() {
  now_ = clock_.now();
  const double seconds = std::chrono::duration<double>(now_ - refilled_).count();
  refilled_ = now_;
  tokens_ = std::min(tokens_ + seconds * rate_->rate(), std::max(1.0, rate_->rate() * burst_seconds));
}

// The kernel repeats a SYN after a second, and after further ones as long as the socket is there (tcp_syn_linear_timeouts). On a slow line
// those are probes as well, and they are paid for before they leave.
void ConnectScan::age() {
  for (auto* aging : {&young_, &old_}) {
    while (!aging->empty() && (!alive(aging->front()) || attempts_[aging->front().first].repeated_at - paid_for_before <= now_)) {
      const auto front = aging->front();
      aging->pop_front();
      if (!alive(front)) continue;
      auto& attempt = attempts_[front.first];
      const auto& host = host_of(attempt.port);
      if (attempt.canary || host.ration || 3 * host.round_trip.timeout() < kernel_repeats_every ||
          (request_.pace.probes_max && sent(attempt.port) >= *request_.pace.probes_max)) {
        give_up(front.first);  // its answer is long overdue
        continue;
      }
      attempt.repeated_at += kernel_repeats_every;
      tokens_ -= 1;
      old_.push_back(front);
    }
  }
  rate_->tick(now_, settle_);
}

// Where all sockets are taken, the oldest one makes room if its answer is overdue.
bool ConnectScan::make_room() {
  if (under_way_ < attempts_limit_) return true;
  auto& aging = old_.empty() ? young_ : old_;
  while (!aging.empty() && !alive(aging.front())) aging.pop_front();
  if (aging.empty()) return false;
  const auto slot = aging.front().first;
  const auto& attempt = attempts_[slot];
  if (now_ - attempt.sent < std::max(silence_min, 2 * host_of(attempt.port).round_trip.timeout())) return false;
  give_up(slot);
  return true;
}

void ConnectScan::send() {
  refill();
  if (now_ < paused_until_) return;
  while (tokens_ >= 1) {
    if (!rationed_.empty() && make_room()) {
      if (const auto next = next_rationed()) {
        if (!attempt(next->port, next->canary)) return;
        continue;
      }
    }
    if (!something_to_send()) return;
    if (!canaries_due_.empty() && make_room()) {
      const auto port = canaries_due_.front();
      canaries_due_.pop_front();
      if (host_of(port).ration)
        --host_of(port).canaries_under_way;  // it has its own
      else if (!attempt(port, true))
        return;
      continue;
    }
    if (!retries_.empty()) {
      const auto port = retries_.front();
      if (ports_[port].decided || !pass(port)) {
        retries_.pop_front();
        continue;
      }
      if (!make_room()) {
        // It goes on with its own oldest socket.
        if (ports_[port].attempts == none) return;
        give_up(oldest(port));
      }
      retries_.pop_front();
      if (!attempt(port, false)) return;
      continue;
    }
    if (fresh_ == order_count_ || !make_room()) return;
    const auto port = static_cast<std::uint32_t>(order_->at(fresh_++));
    if (!ports_[port].decided && pass(port) && !attempt(port, false)) return;
  }
}

// False when this machine could not: sending pauses.
bool ConnectScan::attempt(std::uint32_t port, bool canary) {
  ConnectPath path{.target = endpoint_of(port), .interface = request_.interface, .scope = scope_, .source = {}};
  if (request_.source && request_.source->family() == path.target.address.family()) path.source = request_.source;
  const Time sent = clock_.now();
  auto opened = open_attempt(path);
  if (!opened.fd.valid()) {
    local_error(port, canary, opened.error);
    return false;
  }
  local_errors_in_a_row_ = 0;
  pause_ = pause_first;
  tokens_ -= 1;
  ++tally_.probes;

  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(attempts_.size()));
    attempts_.emplace_back();
  }
  const auto slot = free_slots_.back();
  free_slots_.pop_back();
  ++under_way_;
  auto& made = attempts_[slot];
  made.fd = std::move(opened.fd);
  made.port = port;
  made.sent = sent;
  made.repeated_at = sent + kernel_repeats_every;
  made.canary = canary;
  ++made.generation;
  young_.emplace_back(slot, made.generation);
  epoll_event event{.events = EPOLLOUT, .data = {.u64 = std::uint64_t{made.generation} << 32 | slot}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, made.fd.get(), &event);

  if (canary) {
    auto& host = host_of(port);
    timers_.push({sent + host.round_trip.timeout() * 2, slot, made.generation, true});
  } else {
    auto& state = ports_[port];
    if (state.probes++ == 0) state.first_probe = sent;
    // Faster than is answered, to measure: silence says little then.
    if (const auto& ration = host_of(port).ration; ration && ration->measuring()) ++state.void_probes;
    made.next = std::exchange(state.attempts, slot);
    schedule(port);
  }
  if (opened.error != 0) read(slot, opened.error);
  return true;
}

void ConnectScan::schedule(std::uint32_t port) {
  const auto& state = ports_[port];
  const auto& host = host_of(port);
  const auto timeout = host.ration ? std::max<Duration>(host.round_trip.timeout(), scan::Ration::retry_after) : host.round_trip.timeout();
  const unsigned factor = state.probes >= 3 ? backoff_max : 1U << (state.probes - 1);
  timers_.push(
      {attempts_[state.attempts].sent + std::min<Duration>(timeout * factor, scan::RoundTrip::timeout_max), port, state.probes, false});
}

void ConnectScan::local_error(std::uint32_t port, bool canary, int error) {
  ++tally_.send_errors;
  auto& host = host_of(port);
  if (canary) {
    --host.canaries_under_way;
    if (host.ration) host.ration->canary_not_sent();
  } else if (error == ENETUNREACH || error == EHOSTUNREACH || error == EINVAL || error == EACCES || error == ENODEV) {
    // This machine knows no way there; asking for each port again and again will not find one.
    if (++host.unreachable >= unreachable_max) {
      decide(port, {.cause = Cause::local_error, .probes = sent(port), .detail = error});
      return;
    }
    retries_.push_front(port);
  } else if (local_errors_in_a_row_ >= local_errors_in_a_row_max) {
    decide(port, {.cause = Cause::local_error, .probes = sent(port), .detail = error});
    return;
  } else {
    retries_.push_front(port);
  }
  if ((error == EMFILE || error == ENFILE) && under_way_ > 0) {
    attempts_limit_ = under_way_;  // there will be room when one of them ends
  } else {
    ++local_errors_in_a_row_;
  }
  rate_->send_error(now_);
  paused_until_ = clock_.now() + pause_;
  pause_ = std::min(pause_ * 2, pause_max);
}

void ConnectScan::read_events() {
  refill();
  Time until = now_ + wait_max;
  if (!timers_.empty()) until = std::min(until, timers_.top().when);
  if (something_to_send()) {
    if (now_ < paused_until_) {
      until = std::min(until, paused_until_);
    } else if (under_way_ >= attempts_limit_) {
      until = std::min(until, now_ + wait_for_room);
    } else {
      until = std::min(
          until, now_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::max(0.0, 1 - tokens_) / rate_->rate())));
    }
  }
  if (!rationed_.empty()) until = std::min(until, now_ + wait_for_ration);
  const auto left = std::max(Duration::zero(), std::min(until - now_, wait_max));
  const timespec wait{.tv_sec = 0, .tv_nsec = static_cast<long>(left.count())};
  std::array<epoll_event, 256> events{};
  int count = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), &wait, nullptr);
  if (count < 0 && errno == ENOSYS)
    count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), static_cast<int>((left + 999'999ns) / 1ms));
  now_ = clock_.now();
  while (count > 0) {
    for (int i = 0; i < count; ++i) {
      const auto slot = static_cast<std::uint32_t>(events[static_cast<std::size_t>(i)].data.u64);
      const auto generation = static_cast<std::uint32_t>(events[static_cast<std::size_t>(i)].data.u64 >> 32);
      if (attempts_[slot].fd.valid() && attempts_[slot].generation == generation) read(slot, 0);
    }
    // All that has arrived is read before anything is taken for silent.
    if (count < static_cast<int>(events.size())) break;
    count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  }
}

void ConnectScan::read(std::uint32_t slot, int refused_with) {
  auto& attempt = attempts_[slot];
  const auto port = attempt.port;
  auto outcome = read_attempt(attempt.fd.get(), endpoint_of(port), errors_queued_, refused_with);
  switch (outcome.kind) {
    case AttemptOutcome::Kind::pending:
      return;
    case AttemptOutcome::Kind::answered:
      answered(slot, std::move(outcome.verdict));
      return;
    case AttemptOutcome::Kind::silent:
      give_up(slot);
      return;
    case AttemptOutcome::Kind::meaningless:
    case AttemptOutcome::Kind::local_error: {
      const bool canary = attempt.canary;
      close(slot);
      if (outcome.kind == AttemptOutcome::Kind::local_error) {
        local_error(port, canary, outcome.error);
      } else if (canary) {
        --host_of(port).canaries_under_way;
        if (auto& ration = host_of(port).ration) ration->canary_not_sent();
      } else {
        retries_.push_back(port);
      }
      return;
    }
  }
}

void ConnectScan::answered(std::uint32_t slot, Verdict verdict) {
  ++tally_.answers;
  const auto& attempt = attempts_[slot];
  const auto port = attempt.port;
  auto& host = host_of(port);
  if (verdict.sender && is_own(*verdict.sender) && !is_own(request_.targets[target_of(port)])) {
    verdict = told_by_this_machine(std::move(verdict), host.neighbour_on != 0, silent_neighbour(port));
    host.neighbour_silent = host.neighbour_silent || verdict.cause == Cause::host_unreach;
  }
  const bool by_tcp = verdict.cause == Cause::syn_ack || verdict.cause == Cause::reset;
  // After a repetition of the kernel's only the kernel may know which of the two was answered.
  if (const auto passed = now_ - attempt.sent; !verdict.rtt && passed < kernel_repeats_every) verdict.rtt = passed;
  if (by_tcp && verdict.rtt) {
    host.round_trip.add(*verdict.rtt);
    settle_ = std::max(settle_, host.round_trip.timeout());
  }
  if (by_tcp) ++host.loss.received;
  if (by_tcp && host.ration) host.ration->arrived(now_);
  if (attempt.canary) {
    if (by_tcp)
      canary_fate(slot, true);
    else
      --host.canaries_under_way;
    close(slot);
    return;
  }
  if (by_tcp && host.ration)
    host.ration->fate(true, attempt.sent);
  else if (by_tcp)
    rate_->answered(attempt.sent);
  auto& state = ports_[port];
  if (by_tcp) {
    host.loss.lost += state.lost + repetitions(slot);
    for (auto other = state.attempts; other != none; other = attempts_[other].next)
      if (other != slot && now_ - attempts_[other].sent > host.round_trip.timeout()) {
        ++host.loss.lost;
        if (host.ration)
          host.ration->fate(false, attempts_[other].sent);
        else
          rate_->lost(attempts_[other].sent);
      }
    remember_as_canary(port, verdict.state);
  }
  verdict.probes = sent(port);
  decide(port, std::move(verdict));
}

void ConnectScan::count(const Verdict& verdict) {
  if (verdict.state == State::undecided) {
    ++tally_.undecided;
  } else {
    ++tally_.decided;
  }
  if (verdict.state == State::open) ++tally_.open;
}

void ConnectScan::decide(std::uint32_t port, Verdict verdict) {
  auto& state = ports_[port];
  state.decided = true;
  --group_undecided_;
  --host_of(port).undecided;
  while (state.attempts != none) close(state.attempts);
  if (verdict.cause == Cause::local_error && verdict.note.empty()) verdict.note = note_of_local_error(verdict.detail);
  count(verdict);
  observer_.on_verdict(target_of(port), number_of(port), verdict);
}

std::uint32_t ConnectScan::oldest(std::uint32_t port) const {
  auto slot = ports_[port].attempts;
  while (attempts_[slot].next != none) slot = attempts_[slot].next;
  return slot;
}

// An attempt that brought nothing; what it says about the line is known when the port answers another one.
void ConnectScan::give_up(std::uint32_t slot) {
  const auto port = attempts_[slot].port;
  if (attempts_[slot].canary)
    canary_fate(slot, false);
  else if (const auto& ration = host_of(port).ration; !ration || !ration->measuring())
    ++ports_[port].lost;
  close(slot);
}

std::uint16_t ConnectScan::sent(std::uint32_t port) const {
  unsigned count = ports_[port].probes + ports_[port].repeated;
  for (auto slot = ports_[port].attempts; slot != none; slot = attempts_[slot].next) count += repetitions(slot);
  return static_cast<std::uint16_t>(count);
}

unsigned ConnectScan::repetitions(std::uint32_t slot) const {
  const auto& attempt = attempts_[slot];
  return now_ - attempt.sent < kernel_repeats_every - paid_for_before ? 0 : retransmissions(attempt.fd.get());
}

void ConnectScan::unlink(std::uint32_t slot) {
  const auto& attempt = attempts_[slot];
  if (attempt.canary) return;
  auto* link = &ports_[attempt.port].attempts;
  while (*link != none && *link != slot) link = &attempts_[*link].next;
  if (*link == slot) *link = attempt.next;
}

void ConnectScan::close(std::uint32_t slot) {
  auto& attempt = attempts_[slot];
  const auto repeated = repetitions(slot);
  tally_.probes += repeated;
  if (!attempt.canary) ports_[attempt.port].repeated = static_cast<std::uint16_t>(ports_[attempt.port].repeated + repeated);
  unlink(slot);
  attempt.fd = system::Fd();
  attempt.next = none;
  --under_way_;
  free_slots_.push_back(slot);
}

void ConnectScan::progress(bool at_once) {
  if (!at_once && now_ - last_progress_ < progress_every) return;
  last_progress_ = now_;
  const double seconds = std::chrono::duration<double>(now_ - begun_).count();
  tally_.rate = seconds > 0 ? static_cast<double>(tally_.probes) / seconds : 0;
  if (const auto known = tally_.decided + tally_.undecided; known > 0 && !at_once)
    tally_.time_left = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(seconds / static_cast<double>(known) * static_cast<double>(total() - known)));
  observer_.on_progress(tally_);
}

scan::Tally ConnectScan::finished() {
  now_ = clock_.now();
  tally_.interrupted = stopped_;
  tally_.time_left.reset();
  if (loss_.samples() > 0) {
    tally_.loss = loss_.share();
    tally_.loss_measured_by = fmt::format("{} probes of ports that answer", loss_.samples());
  } else {
    tally_.loss_measured_by = "nothing answered";
  }
  tally_.miss_probability = silent_ == 0 ? 0 : worst_miss_;
  progress(true);
  return tally_;
}

Result<scan::Tally> run_connect_scan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop) {
  return ConnectScan(request, observer, stop).run();
}

}  // namespace drpf::probe
