// What operators and devices can ask of the gateway (api::Service).
#include <algorithm>

#include "configuration/policy.h"
#include "gateway/gateway.h"

namespace drpf::gateway {

namespace {
constexpr std::string_view given_up = "given up by its device";
}

Result<const lease::Account*> Gateway::find_account(std::string_view name) const {
  if (const auto* account = book_.account(name)) return account;
  return fail(not_found("account_unknown", "there is no account '" + std::string(name) + "'", "`drpf account list` shows the accounts"));
}

Result<const lease::Device*> Gateway::find_device(std::string_view name) const {
  if (const auto* device = book_.device(name)) return device;
  return fail(not_found("device_unknown", "there is no device '" + std::string(name) + "'", "`drpf device list` shows the devices"));
}

WallTime Gateway::wall(Time time) const { return parts_.clock.wall_now() + (time - parts_.clock.now()); }

api::StatusReport Gateway::status() const {
  api::StatusReport report;
  report.version = DRPF_VERSION;
  report.uptime_s = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now() - started_).count());
  for (const auto* way_in : parts_.ways_in) {
    api::WayInReport one{std::string(way_in->kind()), std::string(way_in->engine()), way_in->interface(), 0, {}};
    for (const auto* device : book_.devices()) one.devices_connected += device->connected && way_in_of(device->id) == way_in ? 1 : 0;
    for (auto& counter : way_in->counters()) one.counters.push_back({std::move(counter.name), counter.value});
    report.ways_in.push_back(std::move(one));
  }
  if (!report.ways_in.empty()) report.engine = report.ways_in.front().engine;
  report.tunnel_interface = configuration_.tunnel_interface;
  report.wireguard_port = configuration_.wireguard_port;
  report.hosts = book_.policy().hosts;
  report.pool = book_.policy().pool;
  report.accounts = book_.accounts().size();
  report.ports_free = book_.ports_free();
  for (const auto* resting : book_.quarantines()) report.ports_resting += resting->ports.size();
  for (const auto* device : book_.devices()) {
    ++report.devices;
    if (device->connected) ++report.devices_connected;
  }
  for (const auto* lease : book_.leases()) ++(lease->state == lease::LeaseState::active ? report.leases_active : report.leases_held);
  report.repairs = repairs_;
  if (store_trouble_)
    report.warnings.push_back("the store cannot be written: " + store_trouble_->message +
                              (store_trouble_->cure.empty() ? "" : ": " + store_trouble_->cure));
  else if (const auto warning = parts_.store_warning ? parts_.store_warning() : std::nullopt)
    report.warnings.push_back(*warning);
  if (repair_report_) report.repaired = repair_report_();
  if (report.repaired.alarm)
    report.warnings.insert(report.warnings.begin(),
                           "more than 3 repairs within a minute: another program works against the gateway" +
                               (report.repaired.last_culprit.empty() ? "" : ", last " + report.repaired.last_culprit) +
                               "; see `drpf check`, and stop it from changing " + report.repaired.last);
  for (const auto& [name, warning] : conditions_) report.warnings.push_back(warning);
  return report;
}

Result<api::ReloadReport> Gateway::reload(const api::ReloadOptions& options) {
  if (!reload_) return fail(failure("reload_unsupported", "this gateway has no configuration to read again"));
  std::vector<lease::PublicPort> before;
  for (const auto* lease : book_.leases()) before.push_back(lease->on);
  auto changed = reload_(options);
  if (!changed) return fail(changed.error());
  const auto gone = [this](const lease::PublicPort& on) { return book_.lease(on) == nullptr; };
  return api::ReloadReport{std::move(*changed), static_cast<std::size_t>(std::count_if(before.begin(), before.end(), gone))};
}

Result<Bytes> Gateway::backup() {
  if (parts_.backup) return parts_.backup();
  return fail(failure("backup_unsupported", "this gateway's store cannot be backed up"));
}

std::optional<api::DeviceTunnel> Gateway::device_tunnel(lease::DeviceId device) const {
  const auto* way_in = way_in_of(device);
  const auto status = way_in != nullptr ? way_in->status(device) : std::nullopt;
  if (!status) return std::nullopt;
  api::DeviceTunnel told{
      way_in->public_credential(device), status->endpoint, status->last_handshake, status->bytes_received, status->bytes_sent, {}};
  if (const auto& refused = status->refused; refused && parts_.clock.wall_now() - refused->last < refusal_shown)
    told.refused = {refused->what, cure_for(*refused, device), refused->last};
  return told;
}

void Gateway::test_lease(const api::LeaseTest& test, LeaseTested done) {
  if (!port_doctor_) return done(fail(failure("doctor_unavailable", "leases cannot be tested here")));
  port_doctor_(test, std::move(done));
}

Result<api::Changed<lease::Account>> Gateway::add_account(std::string_view name, std::optional<std::string_view> plan) {
  auto decided = book_.add_account(name, plan);
  if (!decided) return fail(decided.error());
  const auto done = carry_out(decided->transaction);
  if (!done) return fail(done.error());
  publish(std::nullopt, "account");
  return api::Changed<lease::Account>{std::move(decided->value), *done};
}

Result<tunnel::WayIn*> Gateway::way_in_by(const std::string& kind, const lease::Device& device) {
  const auto is_it = [&](const auto* way_in) { return way_in->kind() == kind; };
  const auto found = std::find_if(parts_.ways_in.begin(), parts_.ways_in.end(), is_it);
  if (found == parts_.ways_in.end())
    return fail(refusal("kind_not_offered", "this gateway offers no way in by " + kind,
                        "switch it on: [" + kind + "] enabled = true in /etc/drpf/drpf.toml, and restart the gateway"));
  auto* way_in = *found;
  if (way_in->knows(device.id)) return way_in;
  store::Credentials credentials;
  const auto name_of = [this](lease::DeviceId id) { return book_.device(id)->name; };
  if (auto made = way_in->make_credentials(device.id, std::nullopt, name_of, credentials); !made) return fail(made.error());
  if (auto committed = commit({}, credentials); !committed) return fail(committed.error());
  way_in->take_up(credentials);
  if (auto in = let_in(device.id); !in) return fail(in.error());
  return way_in;
}

Result<std::string> Gateway::device_config(std::string_view name, const api::DeviceConfigOptions& options) {
  const auto found = find_device(name);
  if (!found) return fail(found.error());
  const auto& device = **found;
  const tunnel::WayIn* way_in = nullptr;
  if (options.kind) {
    const auto by_kind = way_in_by(*options.kind, device);
    if (!by_kind) return fail(by_kind.error());
    way_in = *by_kind;
  } else if (!parts_.ways_in.empty() && parts_.ways_in.front()->knows(device.id)) {
    way_in = parts_.ways_in.front();  // the same file whichever way the device is here by
  } else {
    way_in = way_in_of(device.id);
  }
  if (way_in == nullptr)
    return fail(not_found("device_unknown", "device '" + device.name + "' has no credentials for any way in of this gateway",
                          "remove it and add it again"));
  tunnel::DeviceCard card;
  card.device = device.id;
  card.account_name = book_.account(device.account)->name;
  card.device_name = device.name;
  card.tunnel_v4 = device.tunnel_v4;
  card.tunnel_v6 = device.tunnel_v6;
  card.gateway_v4 = configuration::gateway_address_for(device.tunnel_v4);
  if (configuration_.tunnel_v6) card.gateway_v6 = configuration_.tunnel_v6->nth(1);
  card.dns = configuration_.dns;
  card.inbound_only = options.inbound_only;

  const auto& hosts = book_.policy().hosts;
  if (options.endpoint)
    card.host = *options.endpoint;
  else if (configuration_.endpoint_name)
    card.host = *configuration_.endpoint_name;
  else if (configuration_.entry_v4)
    card.host = to_string(*configuration_.entry_v4);
  else if (configuration_.entry_v6)
    card.host = to_string(*configuration_.entry_v6);
  else if (!hosts.empty())
    card.host = to_string(hosts.front().v4 ? *hosts.front().v4 : *hosts.front().v6);
  return way_in->device_configuration(card);
}

Result<api::Settling> Gateway::set_account(std::string_view name, std::optional<std::string_view> plan, std::optional<bool> suspended) {
  const auto account = find_account(name);
  if (!account) return fail(account.error());
  const auto id = (*account)->id;
  const auto transaction = book_.set_account(id, plan, suspended, now());
  if (!transaction) return fail(transaction.error());
  auto done = carry_out(*transaction, suspended.value_or(false) ? "its account was suspended" : "its account was changed");
  if (suspended)
    for (const auto* device : book_.devices_of(id))
      if (auto changed = let_in(device->id); !changed && done) done = fail(changed.error());
  return done;
}

Result<api::Settling> Gateway::remove_account(std::string_view name) {
  const auto account = find_account(name);
  if (!account) return fail(account.error());
  std::vector<lease::DeviceId> devices;
  for (const auto* device : book_.devices_of((*account)->id)) devices.push_back(device->id);
  const auto transaction = book_.remove_account((*account)->id, now());
  if (!transaction) return fail(transaction.error());
  const auto done = carry_out(*transaction, "its account was removed");
  for (const auto device : devices)
    if (book_.device(device) == nullptr) forget_device(device);
  return done;
}

Result<api::Changed<lease::Device>> Gateway::add_device(std::string_view account_name, std::string_view name,
                                                        std::optional<api::BroughtCredential> brought) {
  const auto account = find_account(account_name);
  if (!account) return fail(account.error());
  auto decided = book_.add_device((*account)->id, name);
  if (!decided) return fail(decided.error());

  const auto takes = [&](const auto* way_in) { return way_in->kind() == brought->kind; };
  if (brought && std::none_of(parts_.ways_in.begin(), parts_.ways_in.end(), takes))
    return fail(refusal("kind_not_offered", "this gateway offers no way in by " + brought->kind, "leave the device's key out"));
  const auto name_of = [this](lease::DeviceId id) { return book_.device(id)->name; };
  store::Credentials credentials;
  for (auto* way_in : parts_.ways_in) {
    const auto own = brought && brought->kind == way_in->kind() ? std::optional(ByteView(brought->bytes)) : std::nullopt;
    if (auto made = way_in->make_credentials(decided->value.id, own, name_of, credentials); !made) return fail(made.error());
  }

  if (auto committed = commit(decided->transaction, credentials); !committed) return fail(committed.error());
  for (auto* way_in : parts_.ways_in) way_in->take_up(credentials);
  const auto done = after_commit(decided->transaction);
  const auto added = bring_in(decided->value.id);
  if (!done) return fail(done.error());
  if (!added)
    return fail(failure(added.error().code,
                        "device " + decided->value.name + " is kept, but not in the tunnel yet: " + added.error().message,
                        "the gateway tries again every second; `drpf device list` shows it"));
  return api::Changed<lease::Device>{std::move(decided->value), *done};
}

Result<api::Settling> Gateway::remove_device(std::string_view name) {
  const auto device = find_device(name);
  if (!device) return fail(device.error());
  const auto id = (*device)->id;
  const auto transaction = book_.remove_device(id, now());
  if (!transaction) return fail(transaction.error());
  const auto done = carry_out(*transaction, "its device was removed");
  if (book_.device(id) == nullptr) forget_device(id);
  return done;
}

Result<api::Changed<std::vector<lease::Lease>>> Gateway::add_lease(lease::LeaseRequest request) {
  auto decided = book_.add_lease(request, now());
  if (!decided) return fail(decided.error());
  const auto done = carry_out(decided->transaction, "another was asked for in its place");
  if (!done) return fail(done.error());
  return api::Changed<std::vector<lease::Lease>>{std::move(decided->value), *done};
}

Result<api::Settling> Gateway::set_lease(const lease::PublicPort& on, Port local_port) {
  const auto transaction = book_.set_lease(on, local_port, now());
  if (!transaction) return fail(transaction.error());
  return carry_out(*transaction, "led elsewhere by the operator");
}

Result<api::Settling> Gateway::remove_lease(const lease::PublicPort& on, const api::Principal& by) {
  const auto transaction = book_.remove_lease(on, now());
  if (!transaction) return fail(transaction.error());
  return carry_out(*transaction, std::holds_alternative<api::Administrator>(by) ? "removed by the operator" : given_up);
}

}  // namespace drpf::gateway
