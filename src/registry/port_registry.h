// What is known of a port, from all sources: the one look-up service of the program. Built in are IANA's facts, our own table of
// well-known services and what the scanner's lists say is found by habit; files in the form of services(5) lie over them. Facts only: what
// may be leased is the lease book's, what is open the scanner's.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/iana_table.h"
#include "registry/port_class.h"
#include "registry/services_file.h"
#include "registry/well_known.h"

namespace drpf::registry {

inline constexpr std::string_view source_iana = "iana";  // IANA's registry, state of iana_state
inline constexpr std::string_view source_own = "drpf";   // our own table: names that people use and that IANA does not have
inline constexpr std::string_view services_path = "/etc/services";

// Views into the registry that gave it; they live as long as it does and is not changed.
struct Service {
  PortRange ports{Port{}};
  Transport transport{};
  std::string_view name;             // by the highest source that has one; empty where there is only a habit
  std::string_view source;           // of the name: source_iana, source_own, or the file
  std::string_view registered;       // IANA's name; another service where the names do not agree; empty: unassigned
  std::string_view comment;          // of the file's line
  std::string_view habit;            // what is found here, whatever the name is: of the scanner's lists, for this transport
  const WellKnown* about = nullptr;  // none for most
};

class PortRegistry {
 public:
  // Puts a file over what is there; the last one has the last word.
  void overlay(std::string source, std::vector<ServiceLine> services);

  std::optional<Service> find(Port port, Transport transport) const;
  std::optional<Service> find(Port port, Protocol protocol) const { return find(port, transport_of(protocol)); }
  // "https", or nothing. For tables.
  std::string_view name_of(Port port, Protocol protocol) const;
  // Every name of it, the one that `find` gives first.
  std::vector<std::string_view> names_of(Port port, Transport transport) const;

  // All that have this name, in any case; ascending by port, then transport. For each transport the tables and files are asked first, and
  // what is found there by habit only where they have no such name.
  std::vector<Service> named(std::string_view name) const;
  // The ports of it, for `-p NAME`; empty where there is none.
  std::vector<Port> ports_named(std::string_view name, Protocol protocol) const;
  // Names that somebody who wrote `name` may have meant, the likeliest first; the slips of a hand are likelier than other letters.
  std::vector<std::string_view> nearest(std::string_view name, std::size_t count_max = 3) const;
  // One slip away from a name, where no text has it as a word of its own: then this is the name. Empty if it is no slip.
  std::string_view meant_by(std::string_view word) const;
  // With this word in a name, the purpose, the category or the habit; those whose purpose we know first, then ascending by port.
  std::vector<Service> about(std::string_view word) const;
  // All services in a range of ports, ascending.
  std::vector<Service> within(PortRange range) const;

 private:
  struct Layer {
    std::string source;
    std::vector<ServiceLine> lines;  // ascending by port and transport; those of one port in the file's order
  };
  template <class Visit>  // visit(name, ports, transports)
  void for_each_name(Visit visit) const;
  std::vector<Service> called(std::string_view name) const;
  std::vector<Service> by_habit(std::string_view name, Protocol protocol) const;
  std::vector<std::string_view> nearest(std::string_view name, std::size_t count_max, std::size_t distance_max) const;

  std::vector<Layer> layers_;  // the highest first
};

}  // namespace drpf::registry
