#include "client/ports/hook_calls.h"

namespace drpf::client {
namespace {

HookState state_of(HookEvent event, std::string_view interface, const std::vector<PublishedPort>& ports) {
  HookState state;
  state.event = event;
  state.ports = public_numbers(ports);
  state.interface = interface;
  state.public_address = first_public_address(ports);
  return state;
}

using ByNumber = std::map<Port, std::vector<PublishedPort>>;

ByNumber by_number(const std::vector<PublishedPort>& ports) {
  ByNumber numbers;
  for (const auto& port : ports) numbers[port.public_port].push_back(port);
  return numbers;
}

HookState::Lease lease_of(const std::vector<PublishedPort>& of_one_number) {
  bool tcp = false;
  bool udp = false;
  for (const auto& port : of_one_number) (port.protocol == Protocol::tcp ? tcp : udp) = true;
  HookState::Lease lease;
  lease.port = of_one_number.front().public_port;
  lease.protocol = tcp && udp ? "tcp+udp" : tcp ? "tcp" : "udp";
  lease.local_port = of_one_number.front().local_port;
  return lease;
}

}  // namespace

std::vector<HookCall> hook_calls(const HookCommands& commands, HookEvent event, std::string_view interface,
                                 const std::vector<PublishedPort>& before, const std::vector<PublishedPort>& after,
                                 const ProgramsByPort& programs) {
  std::vector<HookCall> calls;
  const auto whole = [&](std::string_view option, const std::optional<std::string>& command, const std::vector<PublishedPort>& ports) {
    if (command) calls.push_back({std::string(option), *command, "all", state_of(event, interface, ports)});
  };
  const auto one = [&](HookEvent what, const std::vector<PublishedPort>& lease) {
    auto state = state_of(what, interface, after);
    state.lease = lease_of(lease);
    if (const auto program = programs.find(state.lease->local_port); program != programs.end()) state.lease->program = program->second;
    state.public_address = first_public_address(lease);
    calls.push_back({"--on-lease", *commands.on_lease, to_string(state.lease->port), std::move(state)});
  };
  if (commands.on_lease) {
    const auto were = by_number(before);
    const auto are = by_number(after);
    for (const auto& [number, lease] : were)
      if (!are.contains(number)) one(HookEvent::end, lease);
    for (const auto& [number, lease] : are) {
      const auto known = were.find(number);
      if (known == were.end())
        one(HookEvent::lease, lease);
      else if (known->second != lease)
        one(HookEvent::change, lease);
    }
  }
  whole("--on-change", commands.on_change, after);
  if (event == HookEvent::down)
    whole("--on-down", commands.on_down, before);
  else if (!after.empty())
    whole("--on-up", commands.on_up, after);
  return calls;
}

}  // namespace drpf::client
