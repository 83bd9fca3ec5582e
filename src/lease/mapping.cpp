#include "lease/mapping.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "lease/draft.h"
#include "lease/lease_request.h"
#include "lease/presence.h"

namespace drpf::lease {

namespace {

Protocol other(Protocol protocol) { return protocol == Protocol::tcp ? Protocol::udp : Protocol::tcp; }

// Contiguous ports of one host.
struct Run {
  std::string host;
  Port first;
  std::uint16_t count = 1;
};

class MappingDecision {
 public:
  MappingDecision(const MappingRequest& request, const Tables& tables, const DeviceEntry& device, Time now)
      : request_(request),
        tables_(tables),
        device_(device),
        account_(tables.account(device.device.account)->account),
        plan_(tables.plan_of(account_)),
        now_(now) {}

  Result<Decided<std::vector<Lease>>> decide() {
    if (const auto sound = check_request(); !sound) return fail(sound.error());
    if (const auto same = existing()) return carry(*same);
    if (request_.suggested_port && request_.only_suggested) return exactly();
    if (const auto own = own_ports(Companion::unmapped)) return carry(*own);
    auto fresh = new_ports();
    if (fresh) return fresh;
    // The same number for TCP and UDP of one program is worth a port more, but not a refusal.
    if (const auto own = own_ports(Companion::any)) return carry(*own);
    return fresh;
  }

 private:
  // What may already use the other protocol of a port that is given.
  enum class Companion : std::uint8_t { unmapped, any };

  Status check_request() const;
  std::optional<Run> existing() const;
  Result<Decided<std::vector<Lease>>> exactly();
  std::optional<Run> own_ports(Companion companion) const;
  std::optional<Run> automatic_run(std::uint16_t count, Companion companion) const;
  Result<Decided<std::vector<Lease>>> new_ports() const;
  Result<Decided<std::vector<Lease>>> ask_for(std::optional<Port> port, std::uint16_t count) const;
  Result<Decided<std::vector<Lease>>> carry(const Run& run) const;

  bool wants(Protocol protocol) const { return request_.both || protocol == request_.protocol; }
  bool may_be_on(const std::string& host) const { return !request_.host || *request_.host == host; }
  bool is_available(const std::string& host, Port port) const;
  bool is_available(const std::string& host, Port port, Protocol protocol) const;
  bool can_carry(const Run& run) const;
  bool has_companion(const std::string& host, Port port, std::optional<Port> internal_port) const;
  bool has_parity(Port port) const {
    return request_.count == 1 || request_.internal_port.is_zero() || port.value() % 2 == request_.internal_port.value() % 2;
  }
  Port internal_port(Port on, std::uint32_t index) const {
    return request_.internal_port.is_zero() ? on : plus(request_.internal_port, index);
  }
  Mapping mapping(Port on, std::uint32_t index, Port local_port_after) const;
  Port local_port(Port on, std::uint32_t index) const { return request_.to_public_number ? on : plus(request_.internal_port, index); }
  Time deadline() const {
    if (request_.while_connected) return now_ + plan_.lease_lifetime;
    return now_ + Policy::granted_lifetime(request_.lifetime);
  }
  const Lease* mapped(Protocol protocol, Port internal_port) const;

  const MappingRequest& request_;
  const Tables& tables_;
  const DeviceEntry& device_;
  const Account& account_;
  const Plan& plan_;
  Time now_;
};

Status MappingDecision::check_request() const {
  const auto& name = device_.device.name;
  if (account_.suspended)
    return fail(refusal("account_suspended", fmt::format("account {} of device {} is suspended", account_.name, name),
                        fmt::format("lift it with: drpf account set {} --resume", account_.name)));
  if (!device_.device.connected) return fail(refusal("not_connected", fmt::format("device {} is not connected", name), "connect it first"));
  if (request_.host && !tables_.host(*request_.host))
    return fail(not_found("host_unknown", fmt::format("there is no public host '{}'", *request_.host), "see: drpf status"));
  if ((request_.internal_port.is_zero() && !request_.to_public_number) || (request_.suggested_port && request_.suggested_port->is_zero()))
    return fail(refusal("port_zero", "port 0 cannot be mapped", "name a port from 1 to 65535"));
  if (request_.count == 0 || request_.internal_port.value() + request_.count > 65536)
    return fail(invalid("request_empty",
                        fmt::format("{} ports from {} on are no ports to map", request_.count, to_string(request_.internal_port)),
                        "ask for at least one port, and for none above 65535"));
  return {};
}

const Lease* MappingDecision::mapped(Protocol protocol, Port internal_port) const {
  const auto found = device_.mappings.find(HostPorts::key(protocol, internal_port));
  return found == device_.mappings.end() ? nullptr : tables_.lease(found->second);
}

// What carries the mapping already, as far as it is contiguous.
std::optional<Run> MappingDecision::existing() const {
  if (request_.internal_port.is_zero()) return std::nullopt;
  for (const auto protocol : {request_.protocol, other(request_.protocol)}) {
    if (!wants(protocol)) continue;
    const auto [first, last] = device_.mappings.equal_range(HostPorts::key(protocol, request_.internal_port));
    for (auto at = first; at != last; ++at) {
      const auto& on = at->second;
      if (!may_be_on(on.host) || (request_.suggested_port && request_.only_suggested && on.port != *request_.suggested_port)) continue;
      Run run{on.host, on.port, 1};
      while (run.count < request_.count) {
        const auto* next = mapped(protocol, plus(request_.internal_port, run.count));
        if (!next || next->on.host != run.host || next->on.port != plus(run.first, run.count)) break;
        ++run.count;
      }
      if ((!request_.whole || run.count == request_.count) && can_carry(run)) return run;
    }
  }
  return std::nullopt;
}

// Each port of it is free for what is asked, or has it already.
bool MappingDecision::can_carry(const Run& run) const {
  for (const auto protocol : {Protocol::tcp, Protocol::udp}) {
    if (!wants(protocol)) continue;
    for (std::uint32_t index = 0; index < run.count; ++index) {
      const auto port = plus(run.first, index);
      if (is_available(run.host, port, protocol)) continue;
      const auto* lease = tables_.lease({run.host, protocol, port});
      if (!lease || lease->device != device_.device.id || !lease->mapping || lease->mapping->internal_port != internal_port(port, index))
        return false;
    }
  }
  return true;
}

bool MappingDecision::is_available(const std::string& host, Port port) const {
  return is_available(host, port, request_.protocol) && (!request_.both || is_available(host, port, other(request_.protocol)));
}

// A port of the device that no program uses for this protocol, and that nobody has led elsewhere by hand.
bool MappingDecision::is_available(const std::string& host, Port port, Protocol protocol) const {
  if (!may_be_on(host) || std::find(request_.avoid.begin(), request_.avoid.end(), port) != request_.avoid.end()) return false;
  const auto* grant = tables_.grant_at(host, port);
  if (!grant || grant->device != device_.device.id || grant->kind == LeaseKind::fixed) return false;
  const auto* lease = tables_.lease({host, protocol, port});
  if (!lease) return true;  // asked for with the other protocol only
  return lease->state == LeaseState::active && lease->kind == LeaseKind::automatic && !lease->mapping && lease->local_port == port;
}

// Does the other protocol of the port carry a mapping? With `internal_port`: this one.
bool MappingDecision::has_companion(const std::string& host, Port port, std::optional<Port> internal_port) const {
  const auto* lease = tables_.lease({host, other(request_.protocol), port});
  if (!lease || request_.both) return false;
  if (!internal_port) return lease->mapping || lease->kind == LeaseKind::requested;
  return lease->mapping && lease->mapping->internal_port == *internal_port;
}

Result<Decided<std::vector<Lease>>> MappingDecision::exactly() {
  const auto port = *request_.suggested_port;
  if (port.value() + request_.count - 1 > 65535) return ask_for(port, request_.count);  // refused
  for (const auto& host : tables_.policy().hosts) {
    const Run run{host.name, port, request_.count};
    if (may_be_on(host.name) && can_carry(run)) return carry(run);
  }
  auto fresh = ask_for(port, request_.count);
  if (fresh) return fresh;
  // Where no other number could be had either, that is what there is to know.
  const auto& code = fresh.error().code;
  const bool about_number =
      code == "port_outside_pool" || code == "port_reserved" || code == "port_occupied" || code == "port_choice_not_allowed";
  if (about_number && !automatic_run(1, Companion::any))
    if (auto any = ask_for(std::nullopt, 1); !any && any.error().code == "quota_exhausted") return any;
  return fresh;
}

std::optional<Run> MappingDecision::own_ports(Companion companion) const {
  if (request_.count > 1) {
    if (auto whole = automatic_run(request_.count, companion)) return whole;
    return std::nullopt;
  }
  // What the other protocol of the same program has.
  if (const auto* twin = request_.both ? nullptr : mapped(other(request_.protocol), request_.internal_port))
    if (is_available(twin->on.host, twin->on.port)) return Run{twin->on.host, twin->on.port, 1};
  const auto wished = [&](Port port) -> std::optional<Run> {
    for (const auto& host : tables_.policy().hosts)
      if (is_available(host.name, port) && (companion == Companion::any || !has_companion(host.name, port, std::nullopt)))
        return Run{host.name, port, 1};
    return std::nullopt;
  };
  if (request_.suggested_port)
    if (auto run = wished(*request_.suggested_port)) return run;
  if (!request_.to_public_number)
    if (auto run = wished(request_.internal_port)) return run;
  if (auto run = automatic_run(1, companion)) return run;
  if (companion == Companion::unmapped) return std::nullopt;
  for (const auto& [key, on] : device_.mappings)
    if (is_available(on.host, on.port)) return Run{on.host, on.port, 1};
  return std::nullopt;
}

// From the highest down: the first ones are what people set up by hand.
std::optional<Run> MappingDecision::automatic_run(std::uint16_t count, Companion companion) const {
  for (const auto id : device_.automatic_grants) {
    const auto& grant = *tables_.grant(id);
    std::uint16_t run = 0;
    for (auto port = std::uint32_t{grant.ports.last().value()}; port >= grant.ports.first().value(); --port) {
      const Port first{static_cast<std::uint16_t>(port)};
      const bool fits = is_available(grant.host, first) && (companion == Companion::any || !has_companion(grant.host, first, std::nullopt));
      run = fits ? static_cast<std::uint16_t>(run + 1) : std::uint16_t{0};
      if (run >= count && has_parity(first)) return Run{grant.host, first, count};
    }
  }
  return std::nullopt;
}

Result<Decided<std::vector<Lease>>> MappingDecision::new_ports() const {
  if (plan_.port_choice && request_.count == 1) {
    for (const auto& wish : {request_.suggested_port, request_.to_public_number ? std::nullopt : std::optional(request_.internal_port)}) {
      if (!wish) continue;
      if (auto given = ask_for(wish, 1)) return given;
    }
  }
  auto given = ask_for(std::nullopt, request_.count);
  for (auto count = request_.count; !given && count > 1 && !request_.whole;) {
    count = static_cast<std::uint16_t>(count / 2);
    if (const auto own = automatic_run(count, Companion::unmapped)) return carry(*own);
    given = ask_for(std::nullopt, count);
  }
  return given;
}

Result<Decided<std::vector<Lease>>> MappingDecision::ask_for(std::optional<Port> port, std::uint16_t count) const {
  for (const auto& host : tables_.policy().hosts) {
    for (std::uint32_t index = 0; port && may_be_on(host.name) && index < count && port->value() + index <= 65535; ++index) {
      const auto* grant = tables_.grant_at(host.name, plus(*port, index));
      if (grant && grant->device == device_.device.id)
        return fail(
            refusal("port_taken",
                    fmt::format("port {} is used by another program of device {}", to_string(plus(*port, index)), device_.device.name),
                    "choose another port"));
    }
  }
  LeaseRequest request;
  request.device = device_.device.id;
  request.port = port;
  request.host = request_.host;
  request.tcp = wants(Protocol::tcp);
  request.udp = wants(Protocol::udp);
  request.count = count;
  if (!request_.to_public_number) request.local_port = request_.internal_port;
  request.kind = LeaseKind::requested;
  request.lifetime = deadline() - now_;
  auto decided = lease::decide(request, tables_, now_);
  if (!decided) return decided;
  const auto first = std::min_element(decided->value.begin(), decided->value.end(), [](const Lease& a, const Lease& b) {
                       return a.on.port < b.on.port;
                     })->on.port;
  const auto fill_in = [&](Lease& lease) {
    lease.mapping = mapping(lease.on.port, lease.on.port.value() - std::uint32_t{first.value()}, lease.local_port);
    lease.deadline = deadline();
  };
  for (auto& record : decided->transaction.records)
    if (auto* put = std::get_if<PutLease>(&record)) fill_in(put->lease);
  for (auto& lease : decided->value) fill_in(lease);
  return decided;
}

Mapping MappingDecision::mapping(Port on, std::uint32_t index, Port local_port_after) const {
  Mapping made;
  made.door = request_.door;
  made.internal_port = internal_port(on, index);
  made.nonce = request_.nonce;
  made.description = request_.description;
  made.local_port_after = local_port_after;
  made.while_connected = request_.while_connected;
  return made;
}

// Puts the mapping on ports that the device holds.
Result<Decided<std::vector<Lease>>> MappingDecision::carry(const Run& run) const {
  Draft draft(tables_, now_);
  std::vector<Lease> leases;
  for (std::uint32_t nth = 0; nth < run.count * 2U; ++nth) {
    const auto protocol = nth < run.count ? Protocol::tcp : Protocol::udp;
    if (!wants(protocol)) continue;
    const auto index = nth % run.count;
    const PublicPort on{run.host, protocol, plus(run.first, index)};
    const auto* before = tables_.lease(on);
    Lease after;
    if (before) {
      after = *before;
    } else {
      after.on = on;
      after.grant = tables_.grant_at(on.host, on.port)->id;
      after.device = device_.device.id;
      after.kind = LeaseKind::requested;
    }
    after.local_port = local_port(on.port, index);
    after.mapping =
        mapping(on.port, index, before ? (before->mapping ? before->mapping->local_port_after : before->local_port) : after.local_port);
    if (before && before->local_port == after.local_port && before->deadline > now_)
      after.deadline = deadline();
    else
      after = draft.activated(std::move(after), deadline());
    draft.change(before, &after, device_.device);
    leases.push_back(std::move(after));
  }
  return Decided<std::vector<Lease>>{std::move(leases), draft.take()};
}

bool matches(const MappingEnd& end, const Lease& lease) {
  return (!end.protocol || *end.protocol == lease.on.protocol) &&
         (!end.internal_port || *end.internal_port == lease.mapping->internal_port) &&
         (!end.public_ports || end.public_ports->contains(lease.on.port)) && (!end.host || *end.host == lease.on.host) &&
         (!end.door || *end.door == lease.mapping->door);
}

tl::unexpected<Error> no_such_device(DeviceId id) {
  return fail(not_found("device_unknown", fmt::format("there is no device with the number {}", static_cast<std::uint32_t>(id)),
                        "see: drpf device list"));
}

}  // namespace

Result<Decided<std::vector<Lease>>> decide(const MappingRequest& request, const Tables& tables, Time now) {
  const auto* device = tables.device(request.device);
  if (!device) return no_such_device(request.device);
  return MappingDecision(request, tables, *device, now).decide();
}

Result<Decided<std::size_t>> decide(const MappingEnd& end, const Tables& tables, Time now) {
  const auto* device = tables.device(end.device);
  if (!device) return no_such_device(end.device);
  const auto& plan = tables.plan_of(tables.account(device->device.account)->account);
  std::map<GrantId, std::set<PublicPort>> gone;
  std::size_t ended = 0;
  bool mismatch = false;
  const auto consider = [&](const PublicPort& on) {
    const auto& lease = *tables.lease(on);
    if (!matches(end, lease)) return;
    if (end.nonce && *end.nonce != lease.mapping->nonce) {
      mismatch = true;
      return;
    }
    ++ended;
    gone[lease.grant].insert(on);
  };
  if (end.protocol && end.internal_port) {
    const auto [first, last] = device->mappings.equal_range(HostPorts::key(*end.protocol, *end.internal_port));
    for (auto at = first; at != last; ++at) consider(at->second);
  } else {
    for (const auto& [key, on] : device->mappings) consider(on);
  }
  Draft draft(tables, now);
  for (const auto& [id, ports] : gone) {
    const auto& grant = *tables.grant(id);
    std::vector<Lease> leases;
    for (const auto* lease : tables.leases_of(grant)) {
      if (!ports.contains(lease->on))
        leases.push_back(*lease);
      else if (auto after = without_mapping(draft, *lease, now + plan.lease_lifetime))
        leases.push_back(std::move(*after));
    }
    draft.reshape(grant, grant, std::move(leases), device->device);
  }
  if (ended == 0 && mismatch)
    return fail(refusal("nonce_mismatch", fmt::format("the mapping of device {} was made with another nonce", device->device.name),
                        "delete it with the nonce that made it"));
  return Decided<std::size_t>{ended, draft.take()};
}

}  // namespace drpf::lease
