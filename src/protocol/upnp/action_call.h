// One action under way: who asks, with which arguments, and whom it is answered to. For the .cpp files of the actions.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/port.h"
#include "protocol/port_mapping/mappings.h"
#include "protocol/upnp/action_outcome.h"
#include "protocol/upnp/soap.h"

namespace drpf::protocol::upnp {

struct ActionCall {
  port_mapping::Mappings& mappings;
  const Call& call;
  const Address& source;
  const port_mapping::Client& client;

  // nullptr: not given.
  const std::string* argument(std::string_view name) const {
    const auto found = call.arguments.find(name);
    return found == call.arguments.end() ? nullptr : &found->second;
  }
  // Not given, or given without a value: UPnP's wildcard.
  bool is_empty(std::string_view name) const {
    const auto* value = argument(name);
    return !value || value->empty();
  }
  std::optional<std::uint32_t> number(std::string_view name, std::uint32_t largest) const {
    const auto* value = argument(name);
    if (!value || value->empty() || value->size() > 10) return std::nullopt;
    std::uint64_t out = 0;
    for (const char c : *value) {
      if (c < '0' || c > '9') return std::nullopt;
      out = out * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return out <= largest ? std::optional(static_cast<std::uint32_t>(out)) : std::nullopt;
  }
  std::optional<Port> port(std::string_view name) const {
    const auto value = number(name, 65535);
    return value ? std::optional(Port{static_cast<std::uint16_t>(*value)}) : std::nullopt;
  }
  bool is_own(const Address& address) const { return address == source || address == client.inside_v4 || address == client.inside_v6; }

  ActionOutcome answer(Values values = {}) const { return write_answer(call, values); }
};

// The parts of Actions::perform. Each answers by `done`, once.
void perform_on_connection(const ActionCall& call, Duration uptime, ActionDone done);
void perform_on_firewall(const ActionCall& call, ActionDone done);

std::string lifetime_text(Duration lifetime);  // whole seconds, at least 1
// What a port-mapping refusal is in UPnP; `about_port`: what a refusal means that concerns the number asked for.
Fault fault_of(const Error& error, Fault no_ports_left, Fault about_port);
// As much of it as is kept: printable ASCII.
std::string kept_description(std::string_view text);

}  // namespace drpf::protocol::upnp
