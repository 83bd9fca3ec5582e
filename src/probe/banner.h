// What open TCP services say about themselves: connects, listens a little, and where nothing comes asks web servers for their headers.
// Judges nothing; the bytes are a stranger's.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/address.h"

namespace drpf::probe {

inline constexpr std::size_t banner_bytes_max = 256;
inline constexpr std::size_t banner_connections_max = 64;  // at once

struct BannerWish {
  Endpoint endpoint;
  bool ask_http = false;  // a service that waits to be spoken to, in HTTP
};

struct BannerLimits {
  std::chrono::milliseconds connect{2000};
  std::chrono::milliseconds listen{1500};  // after that silence is silence
  std::string interface;                   // empty: by the route
};

// In the order of the wishes; empty where nothing was said in time. Ends early when `stop` is true.
std::vector<std::string> read_banners(const std::vector<BannerWish>& wishes, const BannerLimits& limits, const std::function<bool()>& stop);

}  // namespace drpf::probe
