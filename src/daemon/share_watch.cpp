#include "daemon/share_watch.h"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace drpf::daemon {
namespace {

std::string joined(const std::set<std::string>& names) {
  std::string out;
  std::size_t shown = 0;
  for (const auto& name : names) {
    if (shown++ == ShareWatch::names_shown_max) return out + fmt::format(" and {} more", names.size() - ShareWatch::names_shown_max);
    out += (out.empty() ? "" : ", ") + name;
  }
  return out;
}

}  // namespace

void ShareWatch::look() {
  const auto addresses = redirect_.over_their_share();
  if (!addresses) return;  // the table is gone or being changed: others see to it
  std::set<std::string> full;
  for (const auto& address : *addresses)
    if (const auto* device = gateway_.book().device_at(address)) full.insert(device->name);
  constexpr auto why =
      "their share of connections, or one lease's or one network's part of it, is used up: [limits] connections_per_device";
  std::set<std::string> begun;
  std::set_difference(full.begin(), full.end(), full_.begin(), full_.end(), std::inserter(begun, begun.end()));
  if (!begun.empty()) log_->warn("visitors of {} are refused: {}", joined(begun), why);
  if (full.empty() && !full_.empty()) log_->info("no visitor is refused any more for want of a share of connections");
  if (full.empty())
    gateway_.set_condition("shares", std::nullopt);
  else
    gateway_.set_condition("shares", fmt::format("visitors of {} were refused within the last minute: {}", joined(full), why));
  full_ = std::move(full);
}

}  // namespace drpf::daemon
