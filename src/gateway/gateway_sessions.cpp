// How the gateway follows its devices: connected, roamed, gone.
#include <algorithm>
#include <utility>

#include "gateway/gateway.h"

#include <spdlog/logger.h>

namespace drpf::gateway {

void Gateway::on_tunnel_event(tunnel::WayIn& way_in, const tunnel::DeviceEvent& event) {
  const auto device = std::visit([](const auto& one) { return one.device; }, event);
  if (book_.device(device) == nullptr) return;
  if (const auto* connected = std::get_if<tunnel::DeviceConnected>(&event))
    on_connected(device, {&way_in, connected->endpoint, connected->proven});
  if (const auto* roamed = std::get_if<tunnel::DeviceRoamed>(&event)) on_roamed(device, {&way_in, roamed->endpoint, roamed->proven});
  if (const auto* proven = std::get_if<tunnel::DeviceProven>(&event)) way_in.remember(device, proven->endpoint);
  if (std::holds_alternative<tunnel::DeviceDisconnected>(event)) on_disconnected(device, way_in);
}

tunnel::WayIn* Gateway::here_by(lease::DeviceId device) const {
  const auto found = here_by_.find(device);
  return found == here_by_.end() ? nullptr : found->second;
}

tunnel::WayIn* Gateway::way_in_of(lease::DeviceId device) const {
  if (auto* way_in = here_by(device)) return way_in;
  const auto knows = [&](const auto* one) { return one->knows(device); };
  const auto found = std::find_if(parts_.ways_in.begin(), parts_.ways_in.end(), knows);
  return found == parts_.ways_in.end() ? nullptr : *found;
}

Status Gateway::admit(const lease::Device& device, const tunnel::WayIn& way_in, const Endpoint& endpoint) {
  redirect::Admission admission{endpoint, {device.tunnel_v4}, way_in.interface()};
  if (device.tunnel_v6) admission.inside.push_back(*device.tunnel_v6);
  return parts_.redirect.admit(admission, endpoint_lifetime);
}

// The endpoint is known to the firewall before the first packet of the device is forwarded: no lease can be visited around the tunnel.
bool Gateway::take_in(lease::DeviceId device, const Arrival& arrival, std::string_view what) {
  const auto admitted = admit(*book_.device(device), *arrival.way_in, arrival.endpoint);
  if (!admitted) {
    parts_.log->error("{} {} is not admitted: {}", what, to_string(arrival.endpoint), admitted.error().message);
    connects_due_[device] = arrival;
    return false;
  }
  // It is here by one way at a time: when the former one hears of it again, that is a new connect.
  if (auto* former = std::exchange(here_by_[device], arrival.way_in); former != nullptr && former != arrival.way_in) former->depart(device);
  if (arrival.proven) arrival.way_in->remember(device, arrival.endpoint);
  return true;
}

void Gateway::on_connected(lease::DeviceId device, const Arrival& arrival) {
  restored_until_.erase(device);
  if (!take_in(device, arrival, "a device at")) return;
  (void)connect(device, arrival);
  arrival.way_in->admit(device, arrival.endpoint.address);
}

Result<api::Settling> Gateway::connect(lease::DeviceId device, const Arrival& arrival) {
  const auto& endpoint = arrival.endpoint;
  connects_due_.erase(device);
  const auto name = book_.device(device)->name;
  const auto connected = book_.connect(device, now());
  if (!connected) {
    parts_.log->warn("device {} connected from {} and gets no ports: {}", name, to_string(endpoint), connected.error().message);
    return fail(connected.error());
  }
  if (connected->shortfall) parts_.log->warn("device {}: {}", name, connected->shortfall->message);
  const auto done = carry_out(connected->transaction, "its device connected, and the plan gives it others");
  if (!done && !store_trouble_) parts_.log->error("device {}: {}", name, done.error().message);
  if (!book_.device(device)->connected) {
    connects_due_[device] = arrival;
    return done;
  }
  parts_.log->info("device {} connected from {}, {} leases", name, to_string(endpoint), book_.leases_of(device).size());
  publish(device, "connected");
  return done;
}

void Gateway::on_roamed(lease::DeviceId device, const Arrival& arrival) {
  const bool is_connected = book_.device(device)->connected;
  const auto* former = here_by(device);
  if ((!is_connected && connects_due_.contains(device)) || (former != nullptr && former != arrival.way_in))
    return on_connected(device, arrival);
  if (!take_in(device, arrival, "a device that moved to")) return;
  connects_due_.erase(device);
  arrival.way_in->admit(device, arrival.endpoint.address);
  parts_.log->info("device {} moved to {}", book_.device(device)->name, to_string(arrival.endpoint));
  publish(device, "roamed");
}

void Gateway::on_disconnected(lease::DeviceId device, const tunnel::WayIn& way_in) {
  if (const auto due = connects_due_.find(device); due != connects_due_.end() && due->second.way_in == &way_in) connects_due_.erase(due);
  if (const auto* other = here_by(device); other != nullptr && other != &way_in) return;  // it is here by another
  // The tunnel says it once: what is not committed now is tried again with every tick.
  if (!disconnect(device, "was not heard of") && book_.device(device)->connected) restored_until_[device] = now();
}

Result<api::Settling> Gateway::disconnect(lease::DeviceId device, std::string_view why) {
  const auto* record = book_.device(device);
  if (record == nullptr || !record->connected) {
    restored_until_.erase(device);
    return catch_up();
  }
  const auto name = record->name;
  const auto transaction = book_.disconnect(device, now());
  if (!transaction) {
    parts_.log->error("device {}: {}", name, transaction.error().message);
    return fail(transaction.error());
  }
  const auto done = carry_out(*transaction, "its device went away");
  if (!done && !store_trouble_) parts_.log->error("device {}: {}", name, done.error().message);
  if (book_.device(device)->connected) return done;
  restored_until_.erase(device);
  here_by_.erase(device);
  parts_.log->info("device {} {}: its ports are closed and kept for it", name, why);
  publish(device, "disconnected");
  return done;
}

Result<api::Settling> Gateway::disconnect_device(lease::DeviceId device) {
  if (way_in_of(device) == nullptr) return fail(not_found("device_unknown", "no such device is known to the tunnel"));
  connects_due_.erase(device);
  const auto done = disconnect(device, "said good-bye");
  if (!book_.device(device)->connected) depart(device);
  return done;
}

void Gateway::depart(lease::DeviceId device) {
  here_by_.erase(device);
  for (auto* way_in : parts_.ways_in) way_in->depart(device);
}

void Gateway::make_up_for_failures() {
  for (const auto device : std::exchange(entries_due_, {}))
    if (auto in = bring_in(device); !in)
      parts_.log->error("device {} is still not in the tunnel: {}", book_.device(device)->name, in.error().message);
  const auto due = connects_due_;
  for (const auto& [device, arrival] : due)
    if (book_.device(device)->connected)
      on_roamed(device, arrival);
    else
      on_connected(device, arrival);
}

bool Gateway::call_for_answer(lease::DeviceId device) {
  auto* way_in = way_in_of(device);
  if (way_in == nullptr || !way_in->calls_are_answered()) return false;
  way_in->call(device);
  return true;
}

void Gateway::call_connected_devices() {
  for (const auto* device : book_.devices())
    if (device->connected)
      for (auto* way_in : parts_.ways_in) way_in->call(device->id);
}

void Gateway::end_restored_sessions() {
  std::vector<lease::DeviceId> gone;
  for (const auto& [device, until] : restored_until_)
    if (until <= now()) gone.push_back(device);
  for (const auto device : gone) {
    (void)disconnect(device, "was not heard of");
    const auto* record = book_.device(device);
    if (record == nullptr || record->connected) continue;
    // The tunnel may not have noticed: then the device would come back without a word of it, and without its ports.
    depart(device);
    for (auto* way_in : parts_.ways_in) {
      const auto status = way_in->status(device);
      if (status && status->last_authenticated && now() < *status->last_authenticated + configuration_.disconnect_after)
        way_in->call(device);
    }
  }
}

void Gateway::refresh_endpoints() {
  if (endpoints_refreshed_ && now() < *endpoints_refreshed_ + endpoint_refresh) return;
  endpoints_refreshed_ = now();
  for (const auto* way_in : parts_.ways_in) {
    for (const auto& status : way_in->status()) {
      const auto* device = book_.device(status.device);
      if (device == nullptr || !device->connected) continue;
      if (const auto* other = here_by(status.device); other != nullptr && other != way_in) continue;
      // An event may have crossed a good-bye: whoever has been silent for too long ends here, whatever was told.
      if (status.last_authenticated && *status.last_authenticated + configuration_.disconnect_after + endpoint_refresh / 4 < now())
        restored_until_.try_emplace(status.device, now());
      if (!status.endpoint) continue;
      if (auto admitted = admit(*device, *way_in, *status.endpoint); !admitted)
        parts_.log->error("the endpoint {} could not be kept in the firewall: {}", to_string(*status.endpoint), admitted.error().message);
    }
  }
}

// Known to us whatever comes; what fails here is tried again with the next tick.
Status Gateway::bring_in(lease::DeviceId device) {
  if (auto prepared = parts_.prepare_tunnel_addresses(*book_.device(device)); !prepared) {
    entries_due_.insert(device);
    return prepared;
  }
  return let_in(device);
}

// By every way that knows it, also when one refuses.
Status Gateway::let_in(lease::DeviceId id) {
  const auto* device = book_.device(id);
  tunnel::LetIn entry{id, {}};
  // The devices of a suspended account keep their sessions, and nothing passes in them.
  if (!book_.account(device->account)->suspended) {
    entry.addresses = {Prefix::host(device->tunnel_v4)};
    if (device->tunnel_v6) entry.addresses.push_back(Prefix::host(*device->tunnel_v6));
  }
  Status all;
  for (auto* way_in : parts_.ways_in)
    if (way_in->knows(id))
      if (auto in = way_in->let_in(entry); !in && all) all = std::move(in);
  if (!all) entries_due_.insert(id);
  return all;
}

void Gateway::forget_device(lease::DeviceId device) {
  for (auto* way_in : parts_.ways_in)
    if (auto removed = way_in->remove(device); !removed)
      parts_.log->error("a removed device is still in the tunnel: {}", removed.error().message);
  here_by_.erase(device);
  restored_until_.erase(device);
  connects_due_.erase(device);
  entries_due_.erase(device);
}

}  // namespace drpf::gateway
