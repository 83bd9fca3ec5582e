#include "lease/lease_request.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "lease/draft.h"
#include "lease/port_budget.h"
#include "lease/port_choice.h"

namespace drpf::lease {

namespace {

class Decision {
 public:
  Decision(const LeaseRequest& request, const Tables& tables, const DeviceEntry& device, Time now)
      : request_(request),
        tables_(tables),
        device_(device),
        account_(*tables.account(device.device.account)),
        plan_(tables.plan_of(account_.account)),
        draft_(tables, now) {}

  Result<Decided<std::vector<Lease>>> decide() {
    if (const auto sound = check_request(); !sound) return fail(sound.error());
    if (const auto found = find_ports(); !found) return fail(found.error());
    remap_own_ports();
    give_new_ports();
    return answer();
  }

 private:
  Status check_request() const;
  Status find_ports();
  Status check_pool(Port port) const;
  Status check_port(Port port) const;
  void remap_own_ports();
  void give_new_ports();
  Decided<std::vector<Lease>> answer();

  bool wants(Protocol protocol) const { return protocol == Protocol::tcp ? request_.tcp : request_.udp; }
  bool is_own(Port port) const {
    const auto* grant = tables_.grant_at(host_, port);
    return grant && grant->device == device_.device.id;
  }
  Port local_port(Port on) const {
    return request_.local_port ? plus(*request_.local_port, std::uint32_t{on.value()} - ports_.first().value()) : on;
  }
  Time deadline(LeaseKind kind) const {
    if (kind != LeaseKind::requested) return draft_.now() + plan_.lease_lifetime;
    return draft_.now() + Policy::granted_lifetime(request_.lifetime.value_or(plan_.lease_lifetime));
  }
  Lease lease_on(Protocol protocol, Port port);

  const LeaseRequest& request_;
  const Tables& tables_;
  const DeviceEntry& device_;
  const AccountEntry& account_;
  const Plan& plan_;
  Draft draft_;
  std::string host_;
  PortRange ports_{Port{1}};
};

Status Decision::check_request() const {
  const auto& name = device_.device.name;
  if (account_.account.suspended)
    return fail(refusal("account_suspended", fmt::format("account {} of device {} is suspended", account_.account.name, name),
                        fmt::format("lift it with: drpf account set {} --resume", account_.account.name)));
  if (request_.count == 0 || (!request_.tcp && !request_.udp))
    return fail(invalid("request_empty", fmt::format("the request for device {} names no port or no protocol", name),
                        "ask for at least one port and tcp, udp or both"));
  if (request_.kind == LeaseKind::requested && !device_.device.connected)
    return fail(refusal("not_connected", fmt::format("device {} is not connected", name), "connect it first"));
  if (request_.host && !tables_.host(*request_.host))
    return fail(not_found("host_unknown", fmt::format("there is no public host '{}'", *request_.host), "see: drpf status"));
  for (const auto& port : {request_.port, request_.local_port})
    if (port && port->is_zero())
      return fail(refusal("port_zero", "port 0 cannot be leased", "name a port from 1 to 65535, or none for the next free one"));
  if (request_.local_port && request_.local_port->value() + request_.count - 1 > 65535)
    return fail(invalid("local_port_outside",
                        fmt::format("{} local ports from {} on end above 65535", request_.count, to_string(*request_.local_port)),
                        "begin lower or ask for fewer"));
  if (request_.port && request_.port->value() + request_.count - 1 > 65535)
    return fail(refusal("port_outside_pool", fmt::format("{} ports from {} on end above 65535", request_.count, to_string(*request_.port)),
                        fmt::format("choose from the pool {}", to_string(tables_.policy().pool))));
  return {};
}

Status Decision::find_ports() {
  if (!request_.port) {
    if (auto quota = check_plan_allows(tables_, account_, request_.count); !quota) return quota;
    auto chosen =
        choose_ports(tables_, device_, request_.count, request_.host ? std::optional<std::string_view>(*request_.host) : std::nullopt);
    if (!chosen) return fail(std::move(chosen.error()));
    host_ = std::move(chosen->host);
    ports_ = chosen->ports;
    return check_rest_allows(tables_, account_, host_, ports_);
  }
  host_ = request_.host ? *request_.host : usual_host(tables_, device_);
  ports_ = PortRange(*request_.port, plus(*request_.port, request_.count - 1U));
  std::uint32_t more = 0;
  for (std::uint32_t i = 0; i < request_.count; ++i) {
    const auto port = plus(ports_.first(), i);
    if (is_own(port)) continue;
    if (auto in_pool = check_pool(port); !in_pool) return in_pool;
    ++more;
  }
  // First what is true of every port: who may not have this one does not learn whether somebody has it.
  if (more > 0 && !plan_.port_choice && !request_.by_administrator)
    return fail(refusal("port_choice_not_allowed",
                        fmt::format("plan {} of account {} does not choose its port numbers", plan_.name, account_.account.name),
                        "ask without a port number, or have an administrator set the lease"));
  if (auto quota = check_plan_allows(tables_, account_, more); !quota) return quota;
  if (auto rest = check_rest_allows(tables_, account_, host_, ports_); !rest) return rest;
  for (std::uint32_t i = 0; i < request_.count; ++i)
    if (const auto port = plus(ports_.first(), i); !is_own(port))
      if (auto free = check_port(port); !free) return free;
  return {};
}

Status Decision::check_pool(Port port) const {
  const auto& pool = tables_.policy().pool;
  if (pool.contains(port)) return {};
  return fail(refusal("port_outside_pool", fmt::format("port {} is outside the pool {}", to_string(port), to_string(pool)),
                      "choose a port of the pool, or have the pool widened"));
}

Status Decision::check_port(Port port) const {
  const auto text = fmt::format("port {} of host {}", to_string(port), host_);
  const auto& policy = tables_.policy();
  const auto* holder = tables_.grant_at(host_, port);
  if (holder && (request_.by_administrator || holder->account == account_.account.id))
    return fail(refusal("port_taken", fmt::format("{} is held by another device", text), "choose another port, or remove it there first"));
  // What other accounts have, and had a moment ago, is all the same to a device.
  const auto not_free = [&] { return fail(refusal("port_taken", fmt::format("{} is not free", text), "choose another port")); };
  if (holder) return not_free();
  if (std::find(policy.occupied.begin(), policy.occupied.end(), port) != policy.occupied.end())
    return fail(refusal("port_occupied", fmt::format("a program of the gateway's host listened on {} when it was looked at", text),
                        "choose another port; or end that program (ss -lntup shows it) and have the gateway read its configuration again"));
  if (!tables_.leasable().contains(port))
    return fail(refusal("port_reserved", fmt::format("{} is reserved for the gateway", text), "choose another port"));
  const auto* resting = tables_.quarantine_at(host_, port);
  if (resting && resting->last_holder != account_.account.id) {
    if (!request_.by_administrator) return not_free();
    const auto left = std::chrono::ceil<std::chrono::seconds>(std::max(resting->until - draft_.now(), Duration::zero())).count();
    return fail(refusal("port_quarantined", fmt::format("{} was another account's and rests for {} s more", text, left),
                        "choose another port, or wait"));
  }
  return {};
}

// The lease as it is to be afterwards; its grant is filled in by the draft.
Lease Decision::lease_on(Protocol protocol, Port port) {
  Lease lease;
  lease.on = {host_, protocol, port};
  lease.device = device_.device.id;
  lease.local_port = local_port(port);
  lease.kind = request_.kind;
  const auto* before = tables_.lease(lease.on);
  // A program that asks for a port which the device holds anyway sets where it leads; it does not shorten its life.
  if (before && request_.kind != LeaseKind::fixed) lease.kind = before->kind;
  if (!device_.device.connected) return lease;
  const auto until = deadline(lease.kind);
  if (!before || before->state == LeaseState::held || before->local_port != lease.local_port)
    return draft_.activated(std::move(lease), until);
  lease.state = LeaseState::active;
  lease.generation = before->generation;
  lease.deadline = until;
  return lease;
}

void Decision::remap_own_ports() {
  std::map<GrantId, std::vector<Port>> own;
  for (std::uint32_t i = 0; i < ports_.size(); ++i) {
    const auto port = plus(ports_.first(), i);
    if (is_own(port)) own[tables_.grant_at(host_, port)->id].push_back(port);
  }
  for (const auto& [id, ports] : own) {
    const auto& grant = *tables_.grant(id);
    std::vector<Lease> leases;
    for (const auto* lease : tables_.leases_of(grant))
      if (!ports_.contains(lease->on.port) || !wants(lease->on.protocol)) leases.push_back(*lease);
    for (const auto protocol : {Protocol::tcp, Protocol::udp})
      for (const auto port : ports)
        if (wants(protocol)) leases.push_back(lease_on(protocol, port));
    draft_.reshape(grant, grant, std::move(leases), device_.device);
  }
}

void Decision::give_new_ports() {
  draft_.claim(host_, ports_);
  for (std::uint32_t i = 0; i < ports_.size();) {
    const auto first = plus(ports_.first(), i);
    if (is_own(first)) {
      ++i;
      continue;
    }
    std::uint32_t count = 1;
    while (i + count < ports_.size() && !is_own(plus(first, count))) ++count;
    i += count;
    Grant grant;
    grant.account = account_.account.id;
    grant.device = device_.device.id;
    grant.host = host_;
    grant.ports = PortRange(first, plus(first, count - 1));
    grant.kind = request_.kind;
    if (grant.kind == LeaseKind::automatic && !device_.device.connected) grant.kept_until = draft_.now() + tables_.policy().grace;
    std::vector<Lease> leases;
    for (const auto protocol : {Protocol::tcp, Protocol::udp})
      for (std::uint32_t n = 0; n < count; ++n)
        if (wants(protocol)) leases.push_back(lease_on(protocol, plus(first, n)));
    draft_.give(std::move(grant), std::move(leases), device_.device);
  }
}

Decided<std::vector<Lease>> Decision::answer() {
  std::map<PublicPort, Lease> asked;
  for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
    if (!wants(protocol)) continue;
    for (std::uint32_t i = 0; i < ports_.size(); ++i) {
      const PublicPort on{host_, protocol, plus(ports_.first(), i)};
      const auto* before = tables_.lease(on);
      asked.emplace(on, before ? *before : Lease{});
    }
  }
  for (const auto& record : draft_.transaction().records) {
    const auto* put = std::get_if<PutLease>(&record);
    if (!put) continue;
    const auto found = asked.find(put->lease.on);
    if (found != asked.end()) found->second = put->lease;
  }
  std::vector<Lease> leases;
  for (auto& [on, lease] : asked) leases.push_back(std::move(lease));
  return {std::move(leases), draft_.take()};
}

}  // namespace

Result<Decided<std::vector<Lease>>> decide(const LeaseRequest& request, const Tables& tables, Time now) {
  const auto* device = tables.device(request.device);
  if (!device)
    return fail(not_found("device_unknown",
                          fmt::format("there is no device with the number {}", static_cast<std::uint32_t>(request.device)),
                          "see: drpf device list"));
  return Decision(request, tables, *device, now).decide();
}

}  // namespace drpf::lease
