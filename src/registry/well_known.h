// What one should know about the services that one meets: purpose, risk, what replaces them. Our own words, written from the protocols'
// specifications. Not a list of all ports: the numbers and names of IANA's registry are in iana_table.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/port.h"
#include "registry/category.h"
#include "registry/transport.h"

namespace drpf::registry {

// May the whole Internet reach such a service?
enum class Exposure : std::uint8_t {
  ordinary,  // it is made for that
  careful,   // only as the warning says
  closed,    // never
};

std::string_view to_string(Exposure exposure);  // "ordinary", "careful", "keep closed"

struct WellKnown {
  Port port;
  TransportSet transports;
  std::string_view name;  // what people call it
  std::string_view also;  // further names, separated by blanks
  Category category{};
  std::string_view purpose;  // one sentence
  Exposure exposure{};
  std::string_view warning;     // empty where there is nothing to warn of
  std::string_view successor;   // what should be used instead where the service sends in clear text, or is out of date
  std::string_view more_ports;  // which further ports it opens for itself, and how; empty for most
};

// Ascending by port; the same port more than once only for different transports.
std::span<const WellKnown> well_known();
const WellKnown* find_well_known(Port port, Transport transport);

}  // namespace drpf::registry
