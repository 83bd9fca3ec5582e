// How many handshake messages one source may have worked on: a token bucket per IPv4 address or IPv6 /64, in a bounded table.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "core/address.h"
#include "core/time.h"
#include "protocol/wireguard/constants.h"

namespace drpf::protocol::wireguard {

class HandshakeLimiter {
 public:
  explicit HandshakeLimiter(std::size_t entries_max = limiter_entries_max) : entries_max_(entries_max) {}
  // Takes a token. A new source is refused while the table is full.
  bool allow(const Address& source, Time now);
  // Forgets sources whose bucket is full again; allow() does this by itself once per limiter_collect_interval.
  void collect(Time now);
  std::size_t size() const { return buckets_.size(); }

 private:
  struct Bucket {
    Time last;
    Duration tokens;  // in time: one message costs 1 s / initiations_per_second
  };
  std::size_t entries_max_;
  std::unordered_map<Address, Bucket> buckets_;
  Time collected_{};
};

}  // namespace drpf::protocol::wireguard
