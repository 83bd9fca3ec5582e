// What listens on this machine, whose it is, and who could reach it by the rules of this machine. Looks only.
#pragma once

#include <boost/json/array.hpp>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "registry/port_registry.h"

namespace drpf::guard {

struct OwnPort {
  enum class Reach : std::uint8_t { this_machine, nobody, unknown, some, everybody };  // the widest of its interfaces counts
  struct Way {
    std::string interface;
    Reach reach{};
    std::string because;  // the rule that keeps some or all out, or that cannot be judged
  };
  Protocol protocol{};
  Endpoint local;
  std::string program;  // empty: not to be found out
  Reach reach{};
  std::vector<Way> ways;  // none: this machine only, or no interface leads to it
};

std::string_view to_string(OwnPort::Reach reach);

struct OwnPorts {
  std::vector<OwnPort> ports;
  std::string rules_unreadable;  // why, if so
};

Result<OwnPorts> find_own_ports();

std::string as_text(const OwnPorts& own, const registry::PortRegistry& names);
boost::json::array as_json(const OwnPorts& own, const registry::PortRegistry& names);

}  // namespace drpf::guard
