#include "protocol/wireguard/load_meter.h"

#include <algorithm>

namespace drpf::protocol::wireguard {
namespace {

constexpr Duration work = Duration(std::chrono::seconds(1)) / unproved_handshakes_per_second;
constexpr Duration too_much = work * under_load_from;

bool lately(const std::optional<Time>& when, Time now) { return when && now - *when < under_load_sticky; }

}  // namespace

bool LoadMeter::note(Kind kind, std::size_t queued, Time now) {
  if (queued >= under_load_from) queue_long_ = now;
  if (kind == Kind::answer) return lately(queue_long_, now);
  const auto passed = last_ ? std::max(Duration{0}, now - *last_) : Duration{0};
  last_ = now;
  waiting_work_ = std::clamp(waiting_work_ - passed, Duration{0}, too_much) + work;
  if (waiting_work_ > too_much) rate_high_ = now;
  return lately(queue_long_, now) || lately(rate_high_, now);
}

}  // namespace drpf::protocol::wireguard
