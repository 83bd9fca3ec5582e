#include "lease/losses.h"

#include <fmt/core.h>

#include <algorithm>

namespace drpf::lease {

namespace {

// On the same port, or on the same number of a host that was not there before under this name.
bool lives_on(const Lease& lease, const LeaseBook& before, const LeaseBook& after) {
  const auto* same = after.lease(lease.on);
  if (same && same->device == lease.device) return true;
  const auto leases = after.leases_of(lease.device);
  return std::any_of(leases.begin(), leases.end(), [&](const Lease* one) {
    return one->on.protocol == lease.on.protocol && one->on.port == lease.on.port && !before.lease(one->on);
  });
}

std::string text_of(const Losses& losses) {
  std::string text;
  std::size_t told = 0;
  const auto tell = [&](const std::string& one) {
    if (told++ < Losses::told_max) text += (text.empty() ? "" : ", ") + one;
  };
  for (const auto& lease : losses.leases)
    tell(fmt::format("port {}/{} of host {} (device {} of account {})", to_string(lease.on.port), to_string(lease.on.protocol),
                     lease.on.host, lease.device, lease.account));
  for (const auto& device : losses.devices)
    tell(fmt::format("device {} of account {} from {} to {}", device.device, device.account, to_string(device.from),
                     device.to ? to_string(*device.to) : "no address"));
  if (told > Losses::told_max) text += fmt::format(", and {} more", told - Losses::told_max);
  return text;
}

std::string what_of(const Losses& losses) {
  const auto counted = [](std::size_t count, const char* what) { return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"); };
  auto leases = "end " + counted(losses.leases.size(), "lease");
  const auto devices = "give " + counted(losses.devices.size(), "device") + " another tunnel address";
  if (losses.devices.empty()) return leases;
  return losses.leases.empty() ? devices : leases + " and " + devices;
}

}  // namespace

Losses losses(const LeaseBook& book, const Transaction& change) {
  Losses found;
  if (change.empty()) return found;
  LeaseBook after(book.policy(), book.state());
  after.apply(change);
  for (const auto* lease : book.leases()) {
    if (lives_on(*lease, book, after)) continue;
    const auto& device = *book.device(lease->device);
    found.leases.push_back({lease->on, book.account(device.account)->name, device.name});
  }
  for (const auto* before : book.devices()) {
    const auto* device = after.device(before->id);
    const auto& account = book.account(before->account)->name;
    if (before->tunnel_v4 != device->tunnel_v4)
      found.devices.push_back({account, before->name, before->tunnel_v4, device->tunnel_v4});
    else if (before->tunnel_v6 && before->tunnel_v6 != device->tunnel_v6)
      found.devices.push_back({account, before->name, *before->tunnel_v6, device->tunnel_v6});
  }
  return found;
}

Status refuse_losses(const LeaseBook& book, const Transaction& change) {
  const auto found = losses(book, change);
  if (found.empty()) return {};
  return fail(
      misconfigured("change_ends_leases", fmt::format("it would {}: {}", what_of(found), text_of(found)),
                    "take the change of the configuration back; or ask for it: changes_may_end = true under [leases], or at a start "
                    "drpf gateway --end-leases"));
}

}  // namespace drpf::lease
