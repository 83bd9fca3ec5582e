// What an Internet gateway device offers in UPnP: its services with their actions and state variables, as tables. Decides nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace drpf::protocol::upnp {

enum class ServiceKind : std::uint8_t {
  layer3_forwarding,     // Layer3Forwarding:1
  wan_common_interface,  // WANCommonInterfaceConfig:1
  wan_ip_connection,     // WANIPConnection:1 and :2
  wan_ipv6_firewall,     // WANIPv6FirewallControl:1
};

// `in` and `out`: "argument:variable", divided by blanks, in the order in which they are sent.
struct Action {
  std::string_view name;
  std::string_view in;
  std::string_view out;
  unsigned since_version = 1;  // of the service
};

// `allowed`: values divided by blanks; empty = every value of the type.
struct Variable {
  std::string_view name;
  std::string_view type;
  std::string_view allowed = {};
  unsigned since_version = 1;
};

struct Service {
  ServiceKind kind{};
  std::string_view name;  // "WANIPConnection"
  std::string_view id;    // of urn:upnp-org:serviceId:
  std::string_view path;  // its word in our URLs
  unsigned version_max = 1;
  std::span<const Action> actions;
  std::span<const Variable> variables;

  const Action* action(std::string_view wanted) const;
};

std::span<const Service> services();
const Service& service_of(ServiceKind kind);

// "urn:schemas-upnp-org:service:WANIPConnection:2".
std::string type_of(const Service& service, unsigned version);

struct TypedService {
  const Service* service = nullptr;
  unsigned version = 1;
};
// Every version up to the one that we have is good; nullopt for what we do not offer.
std::optional<TypedService> parse_service_type(std::string_view type);

}  // namespace drpf::protocol::upnp
