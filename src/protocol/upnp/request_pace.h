// How many requests of one client are looked at: a bucket for each. Knows no protocol.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>

#include "core/address.h"
#include "core/time.h"

namespace drpf::protocol::upnp {

class RequestPace {
 public:
  static constexpr double per_second = 20;
  static constexpr double burst = 50;
  static constexpr std::size_t clients_max = 65'536;

  bool allow(const Address& client, Time now) {
    auto found = buckets_.find(client);
    if (found == buckets_.end()) {
      // A bucket that would be full again says nothing.
      if (buckets_.size() >= clients_max) std::erase_if(buckets_, [&](const auto& entry) { return level(entry.second, now) >= burst; });
      if (buckets_.size() >= clients_max) return false;
      found = buckets_.emplace(client, Bucket{burst, now}).first;
    }
    auto& bucket = found->second;
    bucket.tokens = level(bucket, now);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

 private:
  struct Bucket {
    double tokens = burst;
    Time at{};
  };
  static double level(const Bucket& bucket, Time now) {
    return std::min(burst, bucket.tokens + std::chrono::duration<double>(now - bucket.at).count() * per_second);
  }
  std::map<Address, Bucket> buckets_;
};

}  // namespace drpf::protocol::upnp
