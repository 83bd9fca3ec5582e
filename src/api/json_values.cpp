#include "api/json_values.h"

#include <boost/json/value.hpp>

#include "api/json_text.h"
#include "api/json_view.h"
#include "registry/port_registry.h"

namespace drpf::api {

namespace json = boost::json;

namespace {

template <class T>
json::value text_or_null(const std::optional<T>& value) {
  if (!value) return nullptr;
  return json::value(to_string(*value));
}

// When the lease ends if nothing happens: the deadline of an active one, the end of the grace of one that is held.
json::value expiry(const Service& service, const lease::Lease& lease) {
  if (lease.state == lease::LeaseState::active) return json::value(rfc3339_utc(service.wall(lease.deadline)));
  const auto* grant = service.book().grant(lease.grant);
  if (!grant || !grant->kept_until) return nullptr;
  return json::value(rfc3339_utc(service.wall(*grant->kept_until)));
}

}  // namespace

json::object to_json(const StatusReport& report) {
  json::array hosts;
  for (const auto& host : report.hosts)
    hosts.push_back(json::object{{"name", host.name}, {"ipv4", text_or_null(host.v4)}, {"ipv6", text_or_null(host.v6)}});
  json::array ways_in;
  for (const auto& one : report.ways_in) {
    json::object counters;
    for (const auto& counter : one.counters) counters[counter.name] = counter.value;
    ways_in.push_back(json::object{{"kind", one.kind},
                                   {"engine", one.engine},
                                   {"interface", one.interface},
                                   {"devices_connected", one.devices_connected},
                                   {"counters", std::move(counters)}});
  }
  json::array warnings;
  for (const auto& warning : report.warnings) warnings.push_back(json::value(warning));
  json::object counts;
  for (const auto& [what, count] : report.repaired.counts) counts[what] = count;
  json::object repaired{{"counts", std::move(counts)}, {"alarm", report.repaired.alarm}, {"last", nullptr}};
  if (!report.repaired.last.empty())
    repaired["last"] = json::object{
        {"what", report.repaired.last}, {"culprit", report.repaired.last_culprit}, {"seconds_ago", report.repaired.last_s_ago}};
  return {{"version", report.version},
          {"uptime_s", report.uptime_s},
          {"engine", report.engine},
          {"tunnel_interface", report.tunnel_interface},
          {"wireguard_port", report.wireguard_port.value()},
          {"ways_in", std::move(ways_in)},
          {"hosts", std::move(hosts)},
          {"pool", to_string(report.pool)},
          {"accounts", report.accounts},
          {"devices", report.devices},
          {"devices_connected", report.devices_connected},
          {"leases_active", report.leases_active},
          {"leases_held", report.leases_held},
          {"ports_free", report.ports_free},
          {"ports_resting", report.ports_resting},
          {"repairs", report.repairs},
          {"repaired", std::move(repaired)},
          {"warnings", std::move(warnings)}};
}

json::object account_json(const Service& service, const lease::Account& account) {
  const auto& book = service.book();
  json::array devices;
  for (const auto* device : book.devices_of(account.id)) devices.push_back(json::value(device->name));
  const auto* plan = book.plan(account.plan);
  return {{"name", account.name},
          {"plan", account.plan},
          {"suspended", account.suspended},
          {"devices", std::move(devices)},
          {"ports_held", book.ports_held(account.id)},
          {"ports_resting", book.ports_resting(account.id)},
          {"ports_max", plan ? plan->ports_max : 0}};
}

json::object device_json(const Service& service, const lease::Device& device) {
  const auto* account = service.book().account(device.account);
  json::object object{{"name", device.name},
                      {"account", account ? account->name : std::string()},
                      {"tunnel_v4", to_string(device.tunnel_v4)},
                      {"tunnel_v6", text_or_null(device.tunnel_v6)},
                      {"connected", device.connected}};
  const auto tunnel = service.device_tunnel(device.id);
  object["public_key"] = tunnel && !tunnel->public_credential.empty() ? json::value(tunnel->public_credential) : json::value(nullptr);
  object["endpoint"] = tunnel ? text_or_null(tunnel->endpoint) : json::value(nullptr);
  object["last_handshake"] = tunnel && tunnel->last_handshake ? json::value(rfc3339_utc(*tunnel->last_handshake)) : json::value(nullptr);
  object["bytes_received"] = tunnel ? tunnel->bytes_received : 0;
  object["bytes_sent"] = tunnel ? tunnel->bytes_sent : 0;
  object["refused"] = nullptr;
  if (tunnel && tunnel->refused)
    object["refused"] =
        json::object{{"message", tunnel->refused->message}, {"cure", tunnel->refused->cure}, {"at", rfc3339_utc(tunnel->refused->last)}};
  return object;
}

void append_lease_json(const Service& service, const lease::Lease& lease, json::array& to) {
  const auto& book = service.book();
  const auto* device = book.device(lease.device);
  const auto* account = device ? book.account(device->account) : nullptr;
  const auto* host = book.host(lease.on.host);
  // By the number of the program's own port: what is usual there, not what is.
  static const registry::PortRegistry names;
  const std::string service_name(names.name_of(lease.local_port, lease.on.protocol));
  const auto append = [&](const std::optional<Address>& public_address, const std::optional<Address>& local_address) {
    to.push_back(json::object{{"account", account ? account->name : std::string()},
                              {"device", device ? device->name : std::string()},
                              {"protocol", view(to_string(lease.on.protocol))},
                              {"public_address", public_address ? to_string(*public_address) : std::string()},
                              {"public_port", lease.on.port.value()},
                              {"local_address", local_address ? to_string(*local_address) : std::string()},
                              {"local_port", lease.local_port.value()},
                              {"service", service_name.empty() ? json::value(nullptr) : json::value(service_name)},
                              {"kind", view(lease::to_string(lease.kind))},
                              {"state", view(lease::to_string(lease.state))},
                              {"expires_at", expiry(service, lease)},
                              {"host", lease.on.host},
                              {"generation", static_cast<std::uint32_t>(lease.generation)}});
  };
  const bool v4 = host && host->v4 && device;
  const bool v6 = host && host->v6 && device && device->tunnel_v6;
  if (v4) append(host->v4, device->tunnel_v4);
  if (v6) append(host->v6, device->tunnel_v6);
  if (!v4 && !v6) append(std::nullopt, device ? std::optional(device->tunnel_v4) : std::nullopt);  // its host has no address at present
}

json::object to_json(const TestedLease& tested) {
  const auto& evidence = tested.evidence;
  const auto time_or_null = [](const std::optional<WallTime>& time) {
    return time ? json::value(rfc3339_utc(*time)) : json::value(nullptr);
  };
  json::object object{{"host", tested.on.host},
                      {"protocol", view(to_string(evidence.protocol))},
                      {"public_address", to_string(evidence.public_side.address)},
                      {"public_port", evidence.public_side.port.value()},
                      {"finding", view(scan::to_string(tested.diagnosis.finding))},
                      {"sentence", tested.diagnosis.sentence},
                      {"cure", tested.diagnosis.cure},
                      {"device", evidence.holder ? json::value(evidence.holder->device) : json::value(nullptr)},
                      {"account", evidence.holder ? json::value(evidence.holder->account) : json::value(nullptr)},
                      {"leads_to", evidence.holder ? json::value(to_string(evidence.holder->at)) : json::value(nullptr)},
                      {"last_handshake", time_or_null(evidence.last_handshake)},
                      {"visits", evidence.visits},
                      {"visit", nullptr}};
  if (const auto& visit = evidence.visit)
    object["visit"] = json::object{
        {"from", to_string(evidence.visitor)},
        {"reason", scan::reason_text(*visit)},
        {"round_trip_ms", visit->rtt ? json::value(std::chrono::duration<double, std::milli>(*visit->rtt).count()) : json::value(nullptr)},
        {"packets", visit->probes}};
  return object;
}

json::object self_json(const Service& service, const lease::Device& device) {
  const auto& book = service.book();
  const auto* account = book.account(device.account);
  const auto* host = book.host_of(device.id);
  json::array leases;
  for (const auto* lease : book.leases_of(device.id)) append_lease_json(service, *lease, leases);
  return {{"account", account ? account->name : std::string()},
          {"device", device.name},
          {"plan", account ? account->plan : std::string()},
          {"tunnel_v4", to_string(device.tunnel_v4)},
          {"tunnel_v6", text_or_null(device.tunnel_v6)},
          {"connected", device.connected},
          {"public_v4", host ? text_or_null(host->v4) : json::value(nullptr)},
          {"public_v6", host ? text_or_null(host->v6) : json::value(nullptr)},
          {"leases", std::move(leases)}};
}

}  // namespace drpf::api
