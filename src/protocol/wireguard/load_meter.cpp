#include "protocol/wireguard/load_meter.h"

#include <algorithm>

namespace drpf::protocol::wireguard {
namespace {

constexpr Duration work = Duration(std::chrono::seconds(1)) / unproved_handshakes_per_second;
constexpr Duration too_much = work * under_load_from;

}  // namespace

bool LoadMeter::note(std::size_t queued, Time now) {
  const auto passed = last_ ? std::max(Duration{0}, now - *last_) : Duration{0};
  last_ = now;
  waiting_work_ = std::clamp(waiting_work_ - passed, Duration{0}, too_much) + work;
  if (queued >= under_load_from || waiting_work_ > too_much) overloaded_ = now;
  return overloaded_ && now - *overloaded_ < under_load_sticky;
}

}  // namespace drpf::protocol::wireguard
