// Who does not get in, and why: told to the log, to `drpf check` and to whoever looks at a device.
#include "gateway/gateway.h"

#include <fmt/format.h>
#include <spdlog/logger.h>

namespace drpf::gateway {

std::string Gateway::cure_for(const tunnel::Refused& refused, lease::DeviceId device) const {
  constexpr std::string_view place = "{device}";
  auto cure = refused.cure;
  if (const auto at = cure.find(place); at != std::string::npos) cure.replace(at, place.size(), book_.device(device)->name);
  return cure;
}

void Gateway::tell_refusals() {
  std::erase_if(refusals_told_, [this](const auto& told) { return told.second + refusal_repeat <= now(); });
  const auto tell = [this](const std::string& whose, const tunnel::Refused& refused, const std::string& cure) {
    if (parts_.clock.wall_now() - refused.last >= refusal_repeat || !refusals_told_.try_emplace(whose, now()).second) return;
    parts_.log->warn("{}: {} ({} times); {}", whose, refused.what, refused.times, cure);
  };
  for (const auto* way_in : parts_.ways_in) {
    for (const auto& status : way_in->status())
      if (status.refused && book_.device(status.device) != nullptr)
        tell(fmt::format("device {} does not get in", book_.device(status.device)->name), *status.refused,
             cure_for(*status.refused, status.device));
    // By what it is about, and not by who it was: that one may be another every time.
    for (std::size_t number = 0; const auto& refused : way_in->strangers())
      tell(fmt::format("somebody does not get in by {} ({})", way_in->interface(), ++number), refused, refused.cure);
  }
}

std::vector<api::Finding> Gateway::check() {
  auto findings = parts_.check();
  const auto add = [&](std::string subject, std::string what, const tunnel::Refused& refused, std::string cure) {
    if (parts_.clock.wall_now() - refused.last < refusal_shown)
      findings.push_back({api::Finding::Level::warning, std::move(subject), std::move(what), std::move(cure)});
  };
  for (const auto* way_in : parts_.ways_in) {
    for (const auto& status : way_in->status())
      if (status.refused && book_.device(status.device) != nullptr)
        add("devices", fmt::format("device {} does not get in: {}", book_.device(status.device)->name, status.refused->what),
            *status.refused, cure_for(*status.refused, status.device));
    for (const auto& refused : way_in->strangers())
      add("devices", fmt::format("there were {} {}", refused.times, refused.what), refused, refused.cure);
  }
  return findings;
}

Status Gateway::forget_clock(std::string_view name) {
  const auto found = find_device(name);
  if (!found) return fail(found.error());
  const auto device = (*found)->id;
  for (auto* way_in : parts_.ways_in)
    if (way_in->knows(device))
      if (auto done = way_in->forget_clock(device); !done) return done;
  // As after a restart: if it is here it says so soon.
  if ((*found)->connected) restored_until_.try_emplace(device, now() + configuration_.disconnect_after);
  parts_.log->info("device {}: what time it has said before is forgotten", name);
  return bring_in(device);
}

}  // namespace drpf::gateway
