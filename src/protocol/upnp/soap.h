// SOAP as UPnP speaks it (UPnP Device Architecture 2.0 section 3): calls read, answers and faults written. What is large, deep or has a
// DOCTYPE is refused before an XML parser sees it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/upnp/services.h"

namespace drpf::protocol::upnp {

inline constexpr std::size_t soap_body_max = 8 * 1024;
inline constexpr std::size_t soap_tags_max = 128;  // opening and closing
inline constexpr std::size_t soap_depth_max = 8;
inline constexpr std::size_t soap_argument_size_max = 1024;

// UPnP's error codes: of the architecture, of WANIPConnection:2 and of WANIPv6FirewallControl:1.
enum class Fault : std::uint16_t {
  invalid_action = 401,
  invalid_arguments = 402,
  action_failed = 501,
  not_implemented = 602,
  not_authorized = 606,
  pinhole_space_exhausted = 701,
  firewall_disabled = 702,
  pinhole_not_allowed = 703,
  no_such_pinhole = 704,
  protocol_not_supported = 705,
  internal_port_wildcard = 706,
  protocol_wildcard = 707,
  index_invalid = 713,
  no_such_entry = 714,
  source_wildcard_not_permitted = 715,
  external_port_wildcard = 716,
  conflict = 718,
  remote_host_only_wildcard = 726,
  no_port_maps_available = 728,
  conflict_with_other_mechanism = 729,
  port_mapping_not_found = 730,
  read_only = 731,
  internal_port_wildcard_not_permitted = 732,
  inconsistent_parameters = 733,
};
std::string_view text_of(Fault fault);

struct Call {
  TypedService service;
  std::string action;
  std::map<std::string, std::string, std::less<>> arguments;
};

// `soap_action`: the header's value, "urn:...:service:WANIPConnection:1#AddPortMapping" with or without quotes.
struct SoapAction {
  TypedService service;
  std::string name;
};
std::optional<SoapAction> read_soap_action(std::string_view soap_action);

// What may not reach the parser.
bool is_harmless(std::string_view xml);

// nullopt: not a SOAP call of this action. Every argument of the action may be missing; what must be there is the action's affair.
std::optional<Call> read_call(const SoapAction& action, std::string_view body);

using Values = std::initializer_list<std::pair<std::string_view, std::string>>;
std::string write_answer(const Call& call, Values values);
// For an XML document as a value: in CDATA, which programs expect there. It must not contain "]]>", as no escaped text does.
std::string write_document_answer(const Call& call, std::string_view name, std::string_view document);
std::string write_fault(Fault fault);

}  // namespace drpf::protocol::upnp
