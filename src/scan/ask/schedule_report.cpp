// What a schedule says in the end, and on its way: verdicts and the tally.
#include <algorithm>

#include <fmt/format.h>

#include "scan/ask/schedule.h"
#include "scan/ask/udp_payloads.h"

namespace drpf::scan {

void Schedule::judge_ttls(Host& host) {
  const auto& counts = host.ttls_of_open.empty() ? host.ttls : host.ttls_of_open;
  std::uint32_t most = 0;
  for (const auto& [ttl, count] : counts) {
    if (count < most || (count == most && ttl > host.usual_ttl)) continue;
    most = count;
    host.usual_ttl = ttl;
  }
}

Verdict Schedule::silent_verdict(const PortCell& cell, const Host& host, std::uint32_t number) const {
  Verdict out;
  out.probes = cell.attempts;
  if (cell.cause == Cause::local_error || cell.attempts == 0) {
    out.cause = cell.cause;
    return out;
  }
  out.cause = Cause::no_response;
  if (request_.pace.probes_max) out.note = "forced";
  const auto enough = request_.pace.probes_max ? std::max(1U, *request_.pace.probes_max) : probes_min;
  if (cell.counting_attempts() < enough || (tally_.interrupted && cell.waiting)) return out;
  if (loss_.samples() > 0 && miss_probability(loss_of(host), cell.counting_attempts()) > undecided_above) return out;
  const bool asked_service = request_.udp_fast && has_udp_payload(request_.numbers[number]);
  out.state = meaning_of_silence(request_.kind, asked_service).state;
  return out;
}

Verdict Schedule::verdict(std::uint32_t index) const {
  const auto& cell = table_[index];
  const auto local = table_.host_of(index);
  const auto number = table_.number_of(index);
  if (cell.known_before) {
    const auto& settled = starts_[first_target_ + local].settled;
    return settled ? *settled : request_.resume->verdicts[std::size_t{first_target_ + local} * table_.numbers() + number];
  }
  const auto* remark = table_.remark_of(index);
  if (!cell.answered()) {
    auto out = silent_verdict(cell, hosts_[local], number);
    if (remark != nullptr) out.detail = remark->detail;
    return out;
  }
  Verdict out{.state = cell.state, .cause = cell.cause, .ttl = cell.ttl, .probes = cell.attempts};
  if (cell.rtt_us > 0) out.rtt = std::chrono::microseconds(cell.rtt_us);
  if (request_.pace.probes_max) out.note = "forced";
  if (remark != nullptr) {
    out.sender = remark->sender;
    out.detail = remark->detail;
    if (remark->from_port) out.note = fmt::format("answered from port {}", *remark->from_port);
  }
  // A router that answers for the host is fewer hops away, so more of its TTL is left.
  if (!out.sender && hosts_[local].usual_ttl != 0 && cell.ttl > hosts_[local].usual_ttl && cell.cause == Cause::reset)
    out.note = "answered by a device nearer than the host";
  return out;
}

Tally Schedule::tally(Time now) const {
  auto out = tally_;
  const auto total = static_cast<std::uint64_t>(request_.targets.size()) * request_.numbers.size();
  out.undecided = total - std::min(total, out.decided);
  const auto passed = std::chrono::duration<double>(now - start_).count();
  out.rate = all_done_ ? (passed > 0 ? static_cast<double>(out.probes) / passed : 0) : rate_.rate();
  if (loss_.samples() > 0) {
    out.loss = loss_.share();
    const auto ports = loss_.samples() - std::min(loss_.samples(), canary_fates_);
    out.loss_measured_by = canary_fates_ > 0 ? fmt::format("{} probes to answering ports and {} canaries", ports, canary_fates_)
                                             : fmt::format("{} probes to answering ports", ports);
  } else {
    out.loss_measured_by = answered_ports_ > 0 ? "nothing but ICMP errors answered" : "nothing answered";
  }
  out.miss_probability = worst_miss_;
  std::uint64_t left = 0;
  if (!all_done_)
    for (const auto& host : hosts_) left += host.unanswered;
  if (loss_.samples() == 0 && silent_ + left > 0) out.miss_probability = 1;
  if (!all_done_ && out.answers_limited_to) {
    out.time_left =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(static_cast<double>(left) / *out.answers_limited_to));
  } else if (!all_done_) {
    const auto later = (request_.targets.size() - first_target_ - group_hosts_) * request_.numbers.size();
    const auto first = order_.count() - next_index_ + later;
    out.time_left = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>((static_cast<double>(first) + static_cast<double>(left) * probes_min) / rate_.rate()));
  }
  return out;
}

}  // namespace drpf::scan
