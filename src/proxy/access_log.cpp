#include "proxy/access_log.h"

#include <unistd.h>

#include <fmt/format.h>

namespace drpf::proxy {

std::string access_line(const Access& access, std::chrono::system_clock::time_point now, std::chrono::milliseconds took) {
  const auto stamp = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  return fmt::format("{}.{:03} {:6} {} {}/{:03} {} {} {} - {} -\n", stamp / 1000, stamp % 1000, took.count(), to_string(access.client),
                     access.code, access.status, access.bytes, access.method.empty() ? "NONE" : access.method,
                     access.url.empty() ? "error:invalid-request" : access.url,
                     access.peer ? "HIER_DIRECT/" + to_string(*access.peer) : "HIER_NONE/-");
}

void AccessLog::write(const Access& access) {
  if (!file_.valid()) return;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - access.begun);
  const auto line = access_line(access, std::chrono::system_clock::now(), took);
  [[maybe_unused]] const auto written = ::write(file_.get(), line.data(), line.size());
}

}  // namespace drpf::proxy
