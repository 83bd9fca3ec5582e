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
  look(visitors_);
  look(own_);
}

void ShareWatch::look(Side& side) {
  const auto addresses = redirect_.over_their_share(side.refused);
  if (!addresses) return;  // the table is gone or being changed: others see to it
  std::set<std::string> full;
  for (const auto& address : *addresses)
    if (const auto* device = gateway_.book().device_at(address)) full.insert(device->name);
  std::set<std::string> begun;
  std::set_difference(full.begin(), full.end(), side.full.begin(), side.full.end(), std::inserter(begun, begun.end()));
  if (!begun.empty()) log_->warn("{} {} are refused: {}", side.who, joined(begun), side.why);
  if (full.empty() && !side.full.empty()) log_->info("no {} a device are refused any more for want of a share", side.who);
  gateway_.set_condition(
      std::string(side.condition),
      full.empty() ? std::nullopt
                   : std::optional(fmt::format("{} {} were refused within the last minute: {}", side.who, joined(full), side.why)));
  side.full = std::move(full);
}

}  // namespace drpf::daemon
