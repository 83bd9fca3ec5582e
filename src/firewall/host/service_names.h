// What the words of a firewall rule stand for: numbers and ranges, the registry's services, and profiles, which are several ports under
// one name. Profiles of the user come first, then those that are built in, then the registry. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "firewall/host/service_ports.h"
#include "registry/port_registry.h"

namespace drpf::firewall {

struct Profile {
  std::string name;
  std::vector<ServicePorts> ports;
  std::string purpose;
};

inline constexpr std::size_t profiles_max = 1000;
inline constexpr std::size_t profile_line_max = 1000;  // bytes

const std::vector<Profile>& built_in_profiles();
// Lines of "NAME PORTS # PURPOSE": minecraft 25565/tcp,19132/udp # the game. Blank lines and comments are passed over; anything else that
// is no such line is an error that names the line.
Result<std::vector<Profile>> parse_profiles(std::string_view text);

class ServiceNames {
 public:
  explicit ServiceNames(registry::PortRegistry registry = {}, std::vector<Profile> own = {})
      : registry_(std::move(registry)), own_(std::move(own)) {}
  // "ssh", "ssh/tcp", "80", "80/tcp", "6881:6889/udp", "6881-6889", "netmeeting". A number without a protocol means both.
  Result<std::vector<ServicePorts>> ports_of(std::string_view word) const;
  const registry::PortRegistry& registry() const { return registry_; }

 private:
  registry::PortRegistry registry_;
  std::vector<Profile> own_;
};

}  // namespace drpf::firewall
