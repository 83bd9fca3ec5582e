#include "protocol/wireguard/handshake_limiter.h"

#include <algorithm>

namespace drpf::protocol::wireguard {
namespace {

constexpr Duration cost = Duration(std::chrono::seconds(1)) / initiations_per_second;
constexpr Duration full = cost * initiations_burst;

// One user of IPv6 commands a whole /64.
Address source_key(const Address& source) { return source.is_v4() ? source : Prefix(source, 64).address(); }

}  // namespace

bool HandshakeLimiter::allow(const Address& source, Time now) {
  if (now - collected_ >= limiter_collect_interval) collect(now);
  const auto key = source_key(source);
  const auto at = buckets_.find(key);
  if (at == buckets_.end()) {
    if (buckets_.size() >= entries_max_) return false;
    buckets_.emplace(key, Bucket{now, full - cost});
    return true;
  }
  auto& bucket = at->second;
  bucket.tokens = std::min(full, bucket.tokens + std::max(Duration{0}, now - bucket.last));
  bucket.last = now;
  if (bucket.tokens < cost) return false;
  bucket.tokens -= cost;
  return true;
}

void HandshakeLimiter::collect(Time now) {
  std::erase_if(buckets_, [&](const auto& entry) { return entry.second.tokens + (now - entry.second.last) >= full; });
  collected_ = now;
}

}  // namespace drpf::protocol::wireguard
