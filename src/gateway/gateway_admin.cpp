// What operators and devices can ask of the gateway (api::Service).
#include <algorithm>

#include "configuration/policy.h"
#include "crypto/wireguard_primitives.h"
#include "gateway/device_configuration.h"
#include "gateway/gateway.h"

namespace drpf::gateway {

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
  report.engine = "embedded WireGuard";
  report.tunnel_interface = configuration_.tunnel_interface;
  report.wireguard_port = configuration_.wireguard_port;
  report.hosts = book_.policy().hosts;
  report.pool = book_.policy().pool;
  const auto accounts = book_.accounts();
  report.accounts = accounts.size();
  std::uint64_t held = 0;
  for (const auto* account : accounts) held += book_.ports_held(account->id);
  const auto total = std::uint64_t{report.pool.size()} * report.hosts.size();
  report.ports_free = total > held ? total - held : 0;
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

std::vector<api::Finding> Gateway::check() { return parts_.check(); }

Result<Bytes> Gateway::backup() {
  if (parts_.backup) return parts_.backup();
  return fail(failure("backup_unsupported", "this gateway's store cannot be backed up"));
}

std::optional<api::DeviceTunnel> Gateway::device_tunnel(lease::DeviceId device) const {
  const auto peer = peers_.find(device);
  if (peer == peers_.end()) return std::nullopt;
  api::DeviceTunnel tunnel;
  tunnel.public_key = peer->second.public_key;
  tunnel.endpoint = peer->second.endpoint;
  if (const auto status = parts_.tunnel.status(peer->second.public_key)) {
    tunnel.endpoint = status->endpoint;
    tunnel.last_handshake = status->last_handshake;
    tunnel.bytes_received = status->bytes_received;
    tunnel.bytes_sent = status->bytes_sent;
  }
  return tunnel;
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

Result<std::string> Gateway::device_config(std::string_view name, const api::DeviceConfigOptions& options) {
  const auto found = find_device(name);
  if (!found) return fail(found.error());
  const auto& device = **found;
  const auto& peer = peers_.at(device.id);
  DeviceConfiguration text;
  text.account = book_.account(device.account)->name;
  text.device = device.name;
  text.private_key = peer.private_key;
  text.tunnel_v4 = device.tunnel_v4;
  text.tunnel_v6 = device.tunnel_v6;
  text.gateway_v4 = configuration::gateway_address_for(device.tunnel_v4);
  if (configuration_.tunnel_v6) text.gateway_v6 = configuration_.tunnel_v6->nth(1);
  text.mtu = configuration_.mtu;
  text.dns = configuration_.dns;
  text.gateway_public_key = crypto::x25519_public(identity_.private_key);
  text.preshared_key = peer.preshared_key;
  text.inbound_only = options.inbound_only;

  std::string host;
  const auto& hosts = book_.policy().hosts;
  if (options.endpoint)
    host = *options.endpoint;
  else if (configuration_.endpoint_name)
    host = *configuration_.endpoint_name;
  else if (configuration_.entry_v4)
    host = to_string(*configuration_.entry_v4);
  else if (configuration_.entry_v6)
    host = to_string(*configuration_.entry_v6);
  else if (!hosts.empty())
    host = to_string(hosts.front().v4 ? *hosts.front().v4 : *hosts.front().v6);
  text.endpoint = endpoint_text(host, configuration_.wireguard_port);
  return to_wg_quick_text(text);
}

Result<api::Settling> Gateway::set_account(std::string_view name, std::optional<std::string_view> plan, std::optional<bool> suspended) {
  const auto account = find_account(name);
  if (!account) return fail(account.error());
  const auto id = (*account)->id;
  const auto transaction = book_.set_account(id, plan, suspended, now());
  if (!transaction) return fail(transaction.error());
  auto done = carry_out(*transaction);
  if (suspended)
    for (const auto* device : book_.devices_of(id))
      if (const auto peer = peers_.find(device->id); peer != peers_.end())
        if (auto changed = parts_.tunnel.add_peer(tunnel_settings(peer->second)); !changed) {
          peers_due_.insert(device->id);
          if (done) done = fail(changed.error());
        }
  return done;
}

Result<api::Settling> Gateway::remove_account(std::string_view name) {
  const auto account = find_account(name);
  if (!account) return fail(account.error());
  std::vector<lease::DeviceId> devices;
  for (const auto* device : book_.devices_of((*account)->id)) devices.push_back(device->id);
  const auto transaction = book_.remove_account((*account)->id, now());
  if (!transaction) return fail(transaction.error());
  const auto done = carry_out(*transaction);
  for (const auto device : devices)
    if (book_.device(device) == nullptr) forget_peer(device);
  return done;
}

Result<api::Changed<lease::Device>> Gateway::add_device(std::string_view account_name, std::string_view name,
                                                        std::optional<api::Key> public_key) {
  const auto account = find_account(account_name);
  if (!account) return fail(account.error());
  if (public_key && devices_by_key_.contains(*public_key))
    return fail(refusal("key_taken",
                        "this public key belongs to device " + book_.device(devices_by_key_.at(*public_key))->name + " already",
                        "make a new key pair for each device: `wg genkey`"));
  auto decided = book_.add_device((*account)->id, name);
  if (!decided) return fail(decided.error());

  store::WireGuardPeer peer;
  peer.device = decided->value.id;
  if (public_key) {
    peer.public_key = *public_key;
  } else {
    peer.private_key = crypto::generate_private_key(parts_.random);
    peer.public_key = crypto::x25519_public(*peer.private_key);
  }
  parts_.random.fill(peer.preshared_key);

  if (auto committed = commit(decided->transaction, {peer}); !committed) return fail(committed.error());
  const auto done = after_commit(decided->transaction);
  const auto added = add_peer_to_tunnel(peer);
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
  const auto done = carry_out(*transaction);
  if (book_.device(id) == nullptr) forget_peer(id);
  return done;
}

Result<api::Changed<std::vector<lease::Lease>>> Gateway::add_lease(lease::LeaseRequest request) {
  auto decided = book_.add_lease(request, now());
  if (!decided) return fail(decided.error());
  const auto done = carry_out(decided->transaction);
  if (!done) return fail(done.error());
  return api::Changed<std::vector<lease::Lease>>{std::move(decided->value), *done};
}

Result<api::Settling> Gateway::set_lease(const lease::PublicPort& on, Port local_port) {
  const auto transaction = book_.set_lease(on, local_port, now());
  if (!transaction) return fail(transaction.error());
  return carry_out(*transaction);
}

Result<api::Settling> Gateway::remove_lease(const lease::PublicPort& on) {
  const auto transaction = book_.remove_lease(on, now());
  if (!transaction) return fail(transaction.error());
  return carry_out(*transaction);
}

}  // namespace drpf::gateway
