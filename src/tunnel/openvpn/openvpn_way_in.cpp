#include "tunnel/openvpn/openvpn_way_in.h"

#include <fmt/format.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

#include "core/encoding.h"
#include "crypto/certificates.h"

namespace drpf::tunnel::openvpn {
namespace {

using protocol::openvpn::AfterKill;

using Days = std::chrono::duration<std::int64_t, std::ratio<86400>>;
constexpr Days backdated{1};  // a device's clock may be behind
constexpr Days authority_days{30 * 365};
constexpr Days certificate_days{10 * 365};
constexpr Days renewed_before{5 * 365};

crypto::Validity validity(WallTime now, Days days) { return {now - backdated, now + days}; }

bool lasts(const Bytes& certificate, WallTime now) {
  const auto ends = crypto::certificate_ends(certificate);
  return ends && *ends - now > renewed_before;
}

Status renew_server(store::OpenVpnIdentity& identity, WallTime now) {
  const auto issued = crypto::issue_certificate({identity.authority_certificate, identity.authority_key}, crypto::CertificateUse::server,
                                                server_name, validity(now, certificate_days));
  if (!issued) return fail(issued.error());
  identity.server_certificate = issued->certificate;
  identity.server_key = issued->private_key;
  return {};
}

}  // namespace

Result<store::OpenVpnIdentity> gateway_identity(store::OpenVpnCredentials& store, WallTime now) {
  auto kept = store.load_openvpn_identity();
  if (!kept) return fail(kept.error());
  auto identity = kept->value_or(store::OpenVpnIdentity{});
  if (*kept && lasts(identity.server_certificate, now)) return identity;
  if (!*kept) {
    const auto authority = crypto::make_authority("drpf gateway authority", validity(now, authority_days));
    if (!authority) return fail(authority.error());
    identity.authority_certificate = authority->certificate;
    identity.authority_key = authority->private_key;
  }
  if (auto renewed = renew_server(identity, now); !renewed) return fail(renewed.error());
  if (auto saved = store.save_openvpn_identity(identity); !saved) return fail(saved.error());
  return identity;
}

Result<std::unique_ptr<OpenVpnWayIn>> OpenVpnWayIn::open(Settings settings, Parts parts) {
  auto identity = gateway_identity(parts.store, parts.clock.wall_now());
  if (!identity) return fail(identity.error());
  const auto devices = parts.store.load_openvpn_devices();
  if (!devices) return fail(devices.error());
  std::unique_ptr<OpenVpnWayIn> way_in(new OpenVpnWayIn(std::move(settings), std::move(*identity), std::move(parts)));
  for (const auto& device : *devices) way_in->take_up(device);
  return way_in;
}

// ---- credentials

Status OpenVpnWayIn::make_credentials(lease::DeviceId device, std::optional<ByteView>, const std::function<std::string(lease::DeviceId)>&,
                                      store::Credentials& made) {
  // The name is for the daemon's own lists: who it is, is decided by the whole certificate.
  const auto issued = crypto::issue_certificate({identity_.authority_certificate, identity_.authority_key}, crypto::CertificateUse::client,
                                                fmt::format("device-{}", static_cast<std::uint32_t>(device)),
                                                validity(parts_.clock.wall_now(), certificate_days));
  if (!issued) return fail(issued.error());
  made.openvpn.push_back({device, issued->certificate, issued->private_key});
  return {};
}

void OpenVpnWayIn::take_up(const store::Credentials& committed) {
  for (const auto& device : committed.openvpn) take_up(device);
}

void OpenVpnWayIn::take_up(const store::OpenVpnDevice& device) {
  by_fingerprint_[crypto::certificate_fingerprint(device.certificate)] = device.device;
  devices_[device.device].kept = device;
}

std::string OpenVpnWayIn::public_credential(lease::DeviceId device) const {
  const auto found = devices_.find(device);
  return found == devices_.end() ? std::string() : to_hex(crypto::certificate_fingerprint(found->second.kept.certificate));
}

Result<std::string> OpenVpnWayIn::device_configuration(const DeviceCard& card) const {
  const auto found = devices_.find(card.device);
  if (found == devices_.end())
    return fail(not_found("device_unknown", "device " + card.device_name + " has no certificate for OpenVPN",
                          "`drpf device config " + card.device_name + " --openvpn` makes one"));
  if (card.inbound_only)
    return fail(invalid("inbound_only_unsupported", "an OpenVPN file cannot say that only answers to visitors use the tunnel",
                        "leave --inbound-only out, or use WireGuard on this device"));
  return device_file(settings_, card, identity_, found->second.kept);
}

// ---- the daemon

void OpenVpnWayIn::daemon_began(std::function<void(const std::string&)> send) {
  daemon_ended();
  send_ = std::move(send);
  last_fatal_.clear();
  ++daemons_;
}

void OpenVpnWayIn::daemon_ended() {
  send_ = nullptr;
  lines_ignored_ += reader_.ignored();
  reader_ = {};
  clients_.clear();  // the next one counts from 0 again
  for (auto& [device, entry] : devices_)
    if (std::exchange(entry.here, std::nullopt)) entry.lost = parts_.clock.now();
}

bool OpenVpnWayIn::received(std::string_view bytes) {
  for (const auto& event : reader_.read(bytes)) std::visit([this](const auto& one) { handle(one); }, event);
  return !reader_.broken();
}

void OpenVpnWayIn::send(const std::string& command) {
  if (send_) send_(command);
}

void OpenVpnWayIn::poll() {
  send(protocol::openvpn::ask_status());
  for (auto& [device, entry] : devices_) {
    if (!entry.lost || parts_.clock.now() < *entry.lost + return_max) continue;
    entry.lost.reset();
    lead(entry, false);
    parts_.on_event(DeviceDisconnected{device});
  }
}

void OpenVpnWayIn::handle(const protocol::openvpn::Holding&) { send(protocol::openvpn::release_hold()); }

std::optional<lease::DeviceId> OpenVpnWayIn::device_of(const protocol::openvpn::Environment& environment) const {
  const auto digest = environment.find(std::string_view("tls_digest_sha256_0"));
  if (digest == environment.end()) return std::nullopt;
  auto text = digest->second;
  std::erase(text, ':');
  const auto bytes = from_hex(text);
  Fingerprint fingerprint{};
  if (!bytes || bytes->size() != fingerprint.size()) return std::nullopt;
  std::copy(bytes->begin(), bytes->end(), fingerprint.begin());
  const auto found = by_fingerprint_.find(fingerprint);
  return found == by_fingerprint_.end() ? std::nullopt : std::optional(found->second);
}

void OpenVpnWayIn::handle(const protocol::openvpn::ClientAsks& asks) {
  using namespace protocol::openvpn;
  // That a new key is refused does not end the old one.
  const auto refuse = [&](std::string_view why, std::string_view to_client, AfterKill after) {
    refused_last_ = parts_.clock.wall_now();
    send(deny_client(asks.client, asks.key, why, to_client));
    if (asks.again) send(kill_client(asks.client, after));
  };
  const auto device = device_of(asks.environment);
  if (!device) {
    ++refused_unknown_;
    return refuse("no device has this certificate", "this certificate is no device's (any more)", AfterKill::stays_away);
  }
  auto& entry = devices_.at(*device);
  if (entry.addresses.empty()) {
    ++refused_suspended_;
    return refuse("its account is suspended", "TEMP[backoff 10]:the account is suspended", AfterKill::comes_back);
  }
  const auto known = clients_.find(asks.client);
  if (asks.again && known != clients_.end() && known->second.device == *device) {
    entry.proved = parts_.clock.wall_now();
    return send(accept_key(asks.client, asks.key));
  }
  // The newer one wins, and the older is told to stay away: it would come back else, and win in its turn.
  kill_others(*device, asks.client, AfterKill::stays_away);
  clients_[asks.client] = {*device, false};
  send(accept_client(asks.client, asks.key, client_options(settings_, entry.addresses)));
}

void OpenVpnWayIn::handle(const protocol::openvpn::ClientEstablished& established) {
  const auto found = clients_.find(established.client);
  if (found == clients_.end()) return send(protocol::openvpn::kill_client(established.client, AfterKill::comes_back));
  const auto endpoint = protocol::openvpn::endpoint_of(established.environment);
  if (!endpoint) {
    parts_.log->error("OpenVPN does not say where its client {} is: it is sent away", static_cast<std::uint64_t>(established.client));
    clients_.erase(found);
    return send(protocol::openvpn::kill_client(established.client, AfterKill::comes_back));
  }
  found->second.established = true;
  auto& entry = devices_.at(found->second.device);
  entry.here = established.client;
  entry.lost.reset();
  entry.endpoint = endpoint;
  entry.proved = parts_.clock.wall_now();
  entry.heard = parts_.clock.now();
  entry.bytes_received = entry.bytes_sent = 0;
  parts_.on_event(DeviceConnected{found->second.device, *endpoint});
}

void OpenVpnWayIn::handle(const protocol::openvpn::ClientGone& gone) {
  const auto found = clients_.find(gone.client);
  if (found == clients_.end()) return;
  const auto device = found->second.device;
  clients_.erase(found);
  auto& entry = devices_.at(device);
  if (entry.here != gone.client) return;  // a newer one has its place
  entry.here.reset();
  lead(entry, false);
  parts_.on_event(DeviceDisconnected{device});
}

void OpenVpnWayIn::handle(const protocol::openvpn::ClientSeen& seen) {
  const auto found = clients_.find(seen.client);
  if (found == clients_.end() || !found->second.established) return;
  auto& entry = devices_.at(found->second.device);
  if (entry.here != seen.client) return;
  if (seen.bytes_received != entry.bytes_received) entry.heard = parts_.clock.now();
  entry.bytes_received = seen.bytes_received;
  entry.bytes_sent = seen.bytes_sent;
  if (!seen.endpoint || entry.endpoint == seen.endpoint) return;
  entry.endpoint = seen.endpoint;
  parts_.on_event(DeviceRoamed{found->second.device, *seen.endpoint});
}

void OpenVpnWayIn::handle(const protocol::openvpn::Fatal& fatal) { last_fatal_ = fatal.text; }

void OpenVpnWayIn::handle(const protocol::openvpn::CommandRefused& refused) {
  parts_.log->debug("OpenVPN: {}", refused.text);  // of a client that has gone meanwhile
}

void OpenVpnWayIn::kill_others(lease::DeviceId device, std::optional<ClientId> but, AfterKill after) {
  std::erase_if(clients_, [&](const auto& client) {
    if (client.second.device != device || client.first == but) return false;
    send(protocol::openvpn::kill_client(client.first, after));
    return true;
  });
}

// ---- devices

void OpenVpnWayIn::lead(Entry& entry, bool here) {
  if (entry.led == here) return;
  entry.led = here;
  for (const auto& address : entry.addresses)
    if (auto done = here ? parts_.host.lead_here(address) : parts_.host.lead_away(address); !done)
      parts_.log->error("the route to {} was not changed: {}", to_string(address), done.error().message);
}

// A killed client's packets may pass for seconds: it is shut out on our side first.
Status OpenVpnWayIn::end_sessions(lease::DeviceId device, Entry& entry, AfterKill after) {
  lead(entry, false);
  entry.here.reset();
  entry.lost.reset();
  auto shut = parts_.host.shut(entry.addresses);
  parts_.host.drain();
  kill_others(device, std::nullopt, after);
  return shut;
}

Status OpenVpnWayIn::let_in(const LetIn& device) {
  auto& entry = devices_.at(device.device);
  Status done;
  if (entry.addresses != device.addresses && (entry.here || entry.lost)) {
    done = end_sessions(device.device, entry, AfterKill::comes_back);
    parts_.on_event(DeviceDisconnected{device.device});
  }
  entry.addresses = device.addresses;
  return done;
}

Status OpenVpnWayIn::remove(lease::DeviceId device) {
  const auto found = devices_.find(device);
  if (found == devices_.end()) return {};
  by_fingerprint_.erase(crypto::certificate_fingerprint(found->second.kept.certificate));
  auto done = end_sessions(device, found->second, AfterKill::stays_away);
  devices_.erase(found);
  return done;
}

void OpenVpnWayIn::admit(lease::DeviceId device, const Address&) {
  const auto found = devices_.find(device);
  if (found != devices_.end() && found->second.here) lead(found->second, true);
}

// It is here by another way now, or said good-bye. Its interface is no longer where its packets may come from.
void OpenVpnWayIn::depart(lease::DeviceId device) {
  const auto found = devices_.find(device);
  if (found == devices_.end()) return;
  auto& entry = found->second;
  lead(entry, false);
  entry.here.reset();
  entry.lost.reset();
  kill_others(device, std::nullopt, AfterKill::stays_away);
}

Status OpenVpnWayIn::fence(std::span<const ClosedFlow> flows) {
  const auto is_here = [&](const Entry& entry) {
    return entry.led && std::any_of(flows.begin(), flows.end(), [&](const ClosedFlow& flow) {
             return std::any_of(entry.addresses.begin(), entry.addresses.end(),
                                [&](const Prefix& one) { return one.contains(flow.device_address); });
           });
  };
  if (std::any_of(devices_.begin(), devices_.end(), [&](const auto& one) { return is_here(one.second); })) parts_.host.drain();
  return {};
}

DeviceStatus OpenVpnWayIn::status_of(const Entry& entry) const {
  DeviceStatus status;
  status.device = entry.kept.device;
  status.last_handshake = entry.proved;
  if (!entry.here) return status;
  status.endpoint = entry.endpoint;
  status.last_authenticated = entry.heard;
  status.bytes_received = entry.bytes_received;
  status.bytes_sent = entry.bytes_sent;
  return status;
}

std::vector<DeviceStatus> OpenVpnWayIn::status() const {
  std::vector<DeviceStatus> all;
  for (const auto& [device, entry] : devices_) all.push_back(status_of(entry));
  return all;
}

std::optional<DeviceStatus> OpenVpnWayIn::status(lease::DeviceId device) const {
  const auto found = devices_.find(device);
  if (found == devices_.end()) return std::nullopt;
  return status_of(found->second);
}

std::vector<Refused> OpenVpnWayIn::strangers() const {
  if (refused_unknown_ == 0 || !refused_last_) return {};
  return {{"OpenVPN clients with a certificate of this gateway that is no device's any more",
           "if it is a device of yours: give it a new file (drpf device config DEVICE --openvpn)", refused_unknown_, *refused_last_}};
}

std::vector<Counter> OpenVpnWayIn::counters() const {
  return {{"daemons_started", daemons_},
          {"refused_unknown", refused_unknown_},
          {"refused_suspended", refused_suspended_},
          {"lines_ignored", lines_ignored_ + reader_.ignored()}};
}

}  // namespace drpf::tunnel::openvpn
