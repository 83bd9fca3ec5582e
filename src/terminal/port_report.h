// How answers about ports are shown: a few with all that is known, many as a table, all as JSON. Looks nothing up.
#pragma once

#include <boost/json/value.hpp>
#include <span>
#include <string>
#include <vector>

#include "registry/port_registry.h"

namespace drpf::terminal {

// One answer; the same service by several transports is one.
struct PortAnswer {
  registry::Service service;
  std::vector<registry::Transport> transports;
  std::vector<std::string> names;  // all of them, the first is the service's
};

std::vector<PortAnswer> gather(const registry::PortRegistry& names, std::span<const registry::Service> services);

std::string as_cards(std::span<const PortAnswer> answers);
std::string as_table(std::span<const PortAnswer> answers);
// What is to be said of ports that have no service: their range. Ascending.
std::string as_unassigned(std::span<const Port> ports);

// One object for each port and transport.
boost::json::array as_json(const registry::PortRegistry& names, std::span<const registry::Service> services);
boost::json::object unassigned_as_json(Port port);

}  // namespace drpf::terminal
