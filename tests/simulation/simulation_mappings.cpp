// Programs that ask for ports by themselves, several in one commit, as the servers of the port-mapping protocols stage them.
#include <fmt/core.h>

#include <map>

#include "simulation/simulation.h"

namespace drpf::simulation {

using namespace std::chrono_literals;

namespace {

void must(bool holds, const std::string& what) {
  if (!holds) throw Violation(what);
}

lease::MappingRequest any_wish(Dice& dice, lease::DeviceId device) {
  lease::MappingRequest wish;
  wish.device = device;
  wish.protocol = dice.one_in(2) ? Protocol::tcp : Protocol::udp;
  wish.internal_port = Port{static_cast<std::uint16_t>(dice.one_in(2) ? 20000 + dice.below(18) : 100 + dice.below(4))};
  if (dice.one_in(2)) wish.suggested_port = Port{static_cast<std::uint16_t>(19999 + dice.below(20))};
  wish.only_suggested = dice.one_in(4);
  wish.to_public_number = dice.one_in(4);
  wish.count = static_cast<std::uint16_t>(dice.one_in(4) ? 2 + dice.below(3) : 1);
  wish.lifetime = dice.between(1s, 1h);
  wish.while_connected = dice.one_in(4);
  wish.door = static_cast<lease::Door>(dice.below(3));
  wish.nonce[0] = static_cast<std::uint8_t>(dice.below(2));
  return wish;
}

}  // namespace

void Simulation::programs_ask() {
  if (clients_.empty() || !process_.gateway) return;
  std::map<lease::PublicPort, lease::Lease> answered;
  std::set<lease::DeviceId> all_ended;  // that gave everything up, and asked for nothing after it
  Cause cause{Cause::Kind::mappings, {}, {}, {}, {}};
  work(cause, [&] {
    auto& gateway = *process_.gateway;
    std::size_t staged = 0;
    for (auto left = 1 + dice_.below(4); left > 0; --left) {
      const auto id = any(clients_);
      const auto& client = clients_.at(id);
      if (!client.online || !process_.tunnel->forwards(client.key, client.endpoint.address)) continue;
      const auto own = gateway.book().mappings_of(id);
      if (!own.empty() && dice_.one_in(3)) {
        lease::MappingEnd end;
        end.device = id;
        const auto& one = *own[dice_.below(static_cast<std::uint32_t>(own.size()))];
        const bool all = dice_.one_in(3);
        if (!all) end.protocol = one.on.protocol;
        if (!all) end.internal_port = one.mapping->internal_port;
        if (!all && dice_.one_in(2)) end.nonce = lease::Nonce{static_cast<std::uint8_t>(dice_.below(2))};
        cause_.ending.insert(id);
        const auto ended = gateway.stage(end);
        say(fmt::format("a program of device {} gives {} up: {}", static_cast<std::uint32_t>(id), all ? "all" : "a mapping",
                        ended ? fmt::format("{}", *ended) : ended.error().code));
        faults_.note(ended ? "mapping: given up" : "mapping: not given up, " + ended.error().code);
        if (!ended) continue;
        ++staged;
        std::erase_if(answered, [&](const auto& entry) { return entry.second.device == id; });
        if (all) all_ended.insert(id);
        continue;
      }
      auto wish = any_wish(dice_, id);
      if (!own.empty() && dice_.one_in(3)) {
        // The same again, as programs do all the time.
        const auto& one = *own[dice_.below(static_cast<std::uint32_t>(own.size()))];
        wish.protocol = one.on.protocol;
        wish.internal_port = one.mapping->internal_port;
      }
      const auto given = gateway.stage(wish);
      say(fmt::format("a program of device {} asks for {} {}/{}: {}", static_cast<std::uint32_t>(id), wish.count,
                      to_string(wish.internal_port), to_string(wish.protocol),
                      given ? to_string(given->front().on.port) : given.error().code));
      faults_.note(given ? "mapping: given" : "mapping: refused, " + given.error().code);
      if (!given) continue;
      ++staged;
      all_ended.erase(id);
      for (const auto& lease : *given) answered[lease.on] = lease;
    }
    if (staged == 0) return;
    if (staged > 1) faults_.note("mapping: several in one commit");
    faults_.crash_point("between decisions on mappings and their commit");
    const auto done = gateway.commit_staged();
    say(done ? "  committed" : "  not committed: " + done.error().code);
    faults_.note(done ? "mapping: committed" : "mapping: not committed");
    if (!done) return;

    const std::string what = "mappings";
    check_carried_out(what);
    for (const auto& [on, lease] : answered) {
      const auto kept = durable_.leases.find(on);
      must(kept != durable_.leases.end() && kept->second.mapping == lease.mapping && kept->second.local_port == lease.local_port &&
               kept->second.generation == lease.generation && kept->second.deadline == lease.deadline,
           fmt::format("a mapping on {}/{} was answered that was not committed", to_string(on.port), to_string(on.protocol)));
      check_in_kernel(kept->second, what);
    }
    for (const auto& [on, lease] : durable_.leases)
      must(!lease.mapping || !all_ended.contains(lease.device),
           fmt::format("the mapping on {}/{} is still there after its device gave all up", to_string(on.port), to_string(on.protocol)));
  });
}

}  // namespace drpf::simulation
