// What must be true, whatever has happened. The numbers are those of the invariants in ARCHITECTURE.md.
#include <fmt/core.h>

#include <algorithm>
#include <boost/json/parse.hpp>

#include "lease/validation.h"
#include "simulation/simulation.h"

namespace drpf::simulation {

using namespace std::chrono_literals;
using Kind = Cause::Kind;

namespace {

std::string text(const PortKey& key) {
  const auto& [address, protocol, port] = key;
  return fmt::format("{} {}/{}", to_string(address), to_string(port), to_string(protocol));
}
Protocol protocol_of(const PortKey& key) { return std::get<1>(key); }
std::uint32_t number(lease::Generation generation) { return static_cast<std::uint32_t>(generation); }

void must(bool holds, std::string_view what) {
  if (!holds) throw Violation(std::string(what));
}

}  // namespace

std::optional<std::string> Simulation::host_of(const Address& address) const {
  for (const auto& host : policy_.hosts)
    if (host.v4 == address || host.v6 == address) return host.name;
  return std::nullopt;
}

// The active lease that was committed for this public port, if it is of this generation.
const lease::Lease* Simulation::durable_lease(const PortKey& key, lease::Generation generation) const {
  const auto& [address, protocol, port] = key;
  const auto host = host_of(address);
  if (!host) return nullptr;
  const auto found = durable_.leases.find({*host, protocol, port});
  if (found == durable_.leases.end() || found->second.state != lease::LeaseState::active || found->second.generation != generation)
    return nullptr;
  return &found->second;
}

// The active lease that a connection has: also by an address that its host had until the configuration changed, and which another may have
// by now.
const lease::Lease* Simulation::durable_lease(const PortKey& key, const Kernel::Flow& flow) const {
  const auto& [address, protocol, port] = key;
  if (const auto* lease = durable_lease(key, flow.mark)) return lease;
  for (const auto& [on, lease] : durable_.leases)
    if (lease.generation == flow.mark && lease.state == lease::LeaseState::active && on.protocol == protocol && on.port == port)
      return &lease;
  return nullptr;
}

void Simulation::see_what_was_carried_out() {
  std::map<lease::Generation, Time> active;
  for (const auto& [on, lease] : durable_.leases)
    if (lease.state == lease::LeaseState::active) active[lease.generation] = lease.deadline;
  std::erase_if(removing_, [&](lease::Generation generation) {
    if (active.contains(generation)) return true;  // it ended on one address family only
    if (kernel_.lives(generation)) return false;
    ended_.insert(generation);
    return true;
  });
  const auto runs_too_long = [&](lease::Generation generation) {
    const auto live = kernel_.live().find(generation);
    const auto lease = active.find(generation);
    return live != kernel_.live().end() && lease != active.end() &&
           kernel_.on_boot_clock(live->second) > lease->second + ModelRedirect::deadline_tolerance;
  };
  std::erase_if(renewing_, [&](lease::Generation generation) { return !runs_too_long(generation); });
  if (slept_) slept_ = std::any_of(active.begin(), active.end(), [&](const auto& one) { return runs_too_long(one.first); });
}

void Simulation::check() {
  check_kernel();
  if (!process_.gateway) return;
  check_setup();
  if (!process_.gateway->is_book_committed()) return faults_.note("the book could not be read back at once");
  durable_.compare(process_.gateway->book().state());  // what the book knows is what was committed
  if (dice_.one_in(8)) {
    const auto sound = lease::validate(durable_.state());
    must(sound.has_value(), "the book contradicts itself: " + (sound ? std::string() : sound.error().message));
    (void)durable_.holders();  // 2: no port has two owners
  }
}

// Of the setup; it is asked for after each step and seldom changes.
const std::string& Simulation::wanted_ruleset() {
  const bool same = told_setup_.configuration == setup_.configuration && told_setup_.hosts == setup_.hosts;
  if (told_ruleset_.empty() || !same) told_ruleset_ = ruleset_text(setup_);
  told_setup_ = setup_;
  return told_ruleset_;
}

// The host goes by the setup, or the gateway says that it does not.
void Simulation::check_setup() {
  const auto warnings = process_.gateway->status().warnings;
  const auto warned_of = [&](std::string_view what) {
    return std::any_of(warnings.begin(), warnings.end(), [&](const auto& one) {
      return one.starts_with("not by the configuration that holds yet") && one.find(what) != std::string::npos;
    });
  };
  must(kernel_.ruleset == wanted_ruleset() || kernel_.foreign_change || warned_of("the rule set"),
       "the rule set is not the configuration's, and nobody says so");
  must(kernel_.ephemeral == setup_.configuration.ephemeral || warned_of("own ports"),
       "the host's own ports are not the configuration's, and nobody says so");
  must(process_.gateway->book().policy() == setup_.policy() || warned_of("the leases"),
       "the leases are not the configuration's, and nobody says so");
}

void Simulation::check_kernel() {
  for (const auto& [generation, until] : kernel_.live())
    must(!ended_.contains(generation), fmt::format("generation {} passes again after its end was carried out", number(generation)));
  for (const auto& [key, element] : kernel_.inward()) {
    if (!kernel_.lives(element.generation)) continue;  // nothing passes by it
    const auto* lease = durable_lease(key, element.generation);
    const bool under_way = removing_.contains(element.generation);
    must(lease != nullptr || under_way || !process_.gateway, fmt::format("{} leads to {} by generation {}, and no committed lease says so",
                                                                         text(key), text(element.other), number(element.generation)));
    if (lease == nullptr) continue;
    const auto& device = durable_.devices.at(lease->device);
    const auto& [address, protocol, port] = element.other;
    must((address == device.tunnel_v4 || address == device.tunnel_v6) && port == lease->local_port,
         fmt::format("{} leads to {}, which is not where its lease leads to", text(key), text(element.other)));
    // 4: it ends by itself, and not later than its lease.
    const auto end = lease->deadline + ModelRedirect::deadline_tolerance;
    must(end > clock_.now() || slept_ || renewing_.contains(element.generation),
         fmt::format("{} is open {} ms after the end of its lease", text(key), (clock_.now() - lease->deadline) / 1ms));
    // A generation means one thing; where its host is reached may change while nobody serves.
    const lease::Redirection meaning{element.generation, protocol_of(key), {}, std::get<2>(key), address, port, {}};
    const auto [known, fresh] = meaning_.try_emplace({element.generation, address.family()}, meaning);
    must(fresh || known->second == meaning, fmt::format("generation {} was given to two things", number(element.generation)));
  }
  // 5: whoever still has a connection has it with the holder of the port.
  for (const auto& [key, flow] : kernel_.flows())
    must(!process_.gateway || !kernel_.lives(flow.mark) || removing_.contains(flow.mark) || durable_lease(key.second, flow) != nullptr,
         fmt::format("a connection with {} goes on by generation {}, which is not its lease's", text(key.second), number(flow.mark)));
  for (const auto& [key, element] : kernel_.outward()) {
    if (!kernel_.lives(element.generation) || removing_.contains(element.generation) || !process_.gateway) continue;
    const auto* lease = durable_lease(element.other, element.generation);
    const auto device = lease == nullptr ? durable_.devices.end() : durable_.devices.find(lease->device);
    must(device != durable_.devices.end() && (device->second.tunnel_v4 == std::get<0>(key) || device->second.tunnel_v6 == std::get<0>(key)),
         fmt::format("{} may send from {}, and no committed lease says so", text(key), text(element.other)));
  }
}

// A packet has passed, in one direction or the other.
void Simulation::passed(const Kernel::Flow& flow, const PortKey& public_side) {
  faults_.note("a packet passed");
  must(!ended_.contains(flow.mark), fmt::format("a packet of generation {} passed after its end was carried out", number(flow.mark)));
  const auto* lease = durable_lease(public_side, flow);
  if (lease == nullptr) {
    must(removing_.contains(flow.mark) || !process_.gateway,
         fmt::format("a packet between {} and {} passed without a lease", text(public_side), text(flow.device)));
    faults_.note("a packet passed while the end of its lease was under way");
    return;
  }
  const auto& device = durable_.devices.at(lease->device);
  must(std::get<0>(flow.device) == device.tunnel_v4 || std::get<0>(flow.device) == device.tunnel_v6,
       fmt::format("a packet for {} reached {} by generation {}, and its device {} is at {}", text(public_side), text(flow.device),
                   number(flow.mark), device.name, to_string(device.tunnel_v4)));
  must(lease->deadline + ModelRedirect::deadline_tolerance > clock_.now() || slept_ || renewing_.contains(flow.mark),
       fmt::format("a packet for {} passed after the end of its lease", text(public_side)));
}

void Simulation::must_be_closed(lease::DeviceId device, const std::vector<Address>& addresses, std::string_view what) {
  const auto its = [&](const PortKey& key) { return std::find(addresses.begin(), addresses.end(), std::get<0>(key)) != addresses.end(); };
  for (const auto& [key, element] : kernel_.inward())
    must(!its(element.other) || !kernel_.lives(element.generation),
         fmt::format("{}: answered with success, and {} still leads to device {}", what, text(key), static_cast<std::uint32_t>(device)));
}

void Simulation::check_carried_out(const std::string& what) {
  see_what_was_carried_out();
  for (const auto generation : committed_now_)
    must(!removing_.contains(generation),
         fmt::format("{}: answered with success before generation {} was taken out of the kernel", what, number(generation)));
  for (const auto& flow : must_be_fenced_)
    must(process_.tunnel->fenced.contains(flow), what + ": answered with success, and packets of it may still be under way");
  durable_.compare(process_.gateway->book().state());
}

void Simulation::check_in_kernel(const lease::Lease& lease, const std::string& what) {
  if (lease.state != lease::LeaseState::active) return;
  for (const auto& host : policy_.hosts) {
    if (host.name != lease.on.host || !host.v4) continue;
    const auto element = kernel_.inward().find({*host.v4, lease.on.protocol, lease.on.port});
    // It may be over already where the kernel was slow, and somebody else may have emptied the table meanwhile.
    must((element != kernel_.inward().end() && element->second.generation == lease.generation) || lease.deadline <= clock_.now() + 1ms ||
             kernel_.foreign_change,
         what + ": a lease was answered that is not in the kernel");
  }
}

// 3: what is answered is committed and carried out.
void Simulation::check_answered(const Request& request, const net::Response& response) {
  if (response.status < 200 || response.status >= 300) return;
  const auto what = request.method + " " + request.target;
  // Until the book has been read back, nothing but reading succeeds.
  if (!process_.gateway->is_book_committed())
    return must(request.method == "GET", what + ": answered with success on a book that is not committed");
  check_carried_out(what);
  const auto addresses_of = [&](const lease::Device& device) {
    std::vector<Address> addresses{device.tunnel_v4};
    if (device.tunnel_v6) addresses.push_back(*device.tunnel_v6);
    return addresses;
  };
  const auto& cause = request.cause;
  switch (cause.kind) {
    case Kind::add_lease: {
      const auto answered = boost::json::parse(response.body);
      for (const auto& value : answered.as_array()) {
        const auto& line = value.as_object();
        const auto protocol = parse_protocol(std::string_view(line.at("protocol").as_string()));
        const Port port{static_cast<std::uint16_t>(line.at("public_port").to_number<int>())};
        const auto lease = durable_.leases.find({std::string(line.at("host").as_string()), *protocol, port});
        must(lease != durable_.leases.end(), what + ": a lease was answered that was not committed");
        if (lease->second.state != lease::LeaseState::active) continue;
        const auto address = parse_address(std::string_view(line.at("public_address").as_string()));
        const auto element = kernel_.inward().find({*address, *protocol, port});
        // It may be over already where the kernel was slow, and somebody else may have emptied the table meanwhile.
        must((element != kernel_.inward().end() && element->second.generation == lease->second.generation) ||
                 lease->second.deadline <= clock_.now() + 1ms || kernel_.foreign_change,
             what + ": a lease was answered that is not in the kernel");
      }
      break;
    }
    case Kind::remove_lease: {
      // A device ends what it asked for; a port that it holds anyway is its own again then.
      const auto lease = durable_.leases.find(*cause.on);
      const bool is_own_again =
          cause.device && lease != durable_.leases.end() && lease->second.kind == lease::LeaseKind::automatic && !lease->second.mapping;
      must(lease == durable_.leases.end() || is_own_again, what + ": answered, and the lease is still kept");
      break;
    }
    case Kind::disconnect: {
      const auto device = durable_.devices.find(*cause.device);
      if (device == durable_.devices.end()) break;
      must(!device->second.connected, what + ": answered, and the device still counts as connected");
      must_be_closed(device->first, addresses_of(device->second), what);
      break;
    }
    case Kind::remove_device:
      must(!durable_.devices.contains(*cause.device) || !request.target.ends_with(durable_.devices.at(*cause.device).name),
           what + ": answered, and the device is still kept");
      break;
    case Kind::remove_account:
      for (const auto& [id, account] : durable_.accounts)
        must(account.name != cause.name, what + ": answered, and the account is still kept");
      break;
    case Kind::set_account:
      for (const auto& [id, device] : durable_.devices)
        if (const auto& account = durable_.accounts.at(device.account); account.name == cause.name && account.suspended)
          must_be_closed(id, addresses_of(device), what);
      break;
    case Kind::add_device: {
      const auto answered = boost::json::parse(response.body);
      const auto& name = answered.as_object().at("name").as_string();
      const auto* device = process_.gateway->book().device(std::string_view(name));
      must(device != nullptr && durable_.peers.contains(device->id), what + ": answered, and the device has no key in the store");
      must(process_.tunnel->has(durable_.peers.at(device->id).public_key), what + ": answered, and the device is not in the tunnel");
      break;
    }
    default:
      break;
  }
}

void Simulation::check_settled() {
  must(process_.gateway != nullptr, "the gateway does not stay up although nothing is wrong");
  const auto& book = process_.gateway->book();
  must(process_.gateway->is_book_committed(), "settled, and the book is not as it was committed");
  must(kernel_.ruleset == wanted_ruleset(), "settled, and the rule set is not the configuration's");
  must(book.policy() == setup_.policy(), "settled, and the leases are not the configuration's");
  must(removing_.empty(), "settled, and something that was ended is still open");
  must(!slept_, "settled, and the kernel holds a lease longer than the book");

  // Store, book, kernel and tunnel are one.
  const auto stored = process_.store->stored({clock_.boot_id(), clock_.now(), clock_.wall_now()});
  must(stored.has_value(), "settled, and the store cannot be read");
  durable_.compare(*stored);
  std::map<PortKey, lease::Redirection> wanted;
  for (const auto& one : book.redirections()) {
    must(one.deadline > clock_.now(), "settled, and a lease is still called active after its end");
    wanted[public_key(one)] = one;
  }
  must(wanted.size() == kernel_.inward().size(),
       fmt::format("settled, and the kernel holds {} redirects instead of {}", kernel_.inward().size(), wanted.size()));
  for (const auto& [key, element] : kernel_.inward()) {
    const auto found = wanted.find(key);
    must(found != wanted.end() && found->second.generation == element.generation && device_key(found->second) == element.other,
         fmt::format("settled, and {} is not redirected as the book says", text(key)));
    const auto difference = kernel_.on_boot_clock(element.until) - found->second.deadline;
    must(std::chrono::abs(difference) <= ModelRedirect::deadline_tolerance,
         fmt::format("settled, and {} ends {} ms beside its deadline", text(key), difference / 1ms));
    must(kernel_.lives(element.generation), fmt::format("settled, and {} is closed although it is leased", text(key)));
  }
  std::set<lease::Generation> live;
  for (const auto& [key, one] : wanted) live.insert(one.generation);
  must(live.size() == kernel_.live().size(), "settled, and the kernel knows other generations than the book");
  for (const auto& [key, flow] : kernel_.flows())
    must(live.contains(flow.mark),
         fmt::format("settled, and a connection of generation {} shuts {} out", number(flow.mark), text(key.second)));

  must(process_.tunnel->peers() == book.devices().size(),
       fmt::format("settled, and {} of {} devices are in the tunnel", process_.tunnel->peers(), book.devices().size()));
  for (const auto& [id, client] : clients_) {
    const auto* device = book.device(id);
    must(device != nullptr, "settled, and a device is lost");
    must(device->connected == client.online,
         fmt::format("settled, and device {} {}", device->name,
                     client.online ? "is there, but does not count as connected" : "is gone, but counts as connected"));
    if (!client.online) continue;
    must(process_.tunnel->forwards(client.key, client.endpoint.address), fmt::format("settled, and device {} is shut out", device->name));
    if (book.account(device->account)->suspended) continue;
    for (const auto* lease : book.leases_of(id))
      must(lease->state == lease::LeaseState::active,
           fmt::format("settled, and a lease of the connected device {} is not active", device->name));
  }
}

}  // namespace drpf::simulation
