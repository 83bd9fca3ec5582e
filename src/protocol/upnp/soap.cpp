#include "protocol/upnp/soap.h"

#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>

#include "protocol/xml_text.h"

namespace drpf::protocol::upnp {
namespace {

constexpr std::string_view envelope_begin =
    "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
    "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>";
constexpr std::string_view envelope_end = "</s:Body></s:Envelope>\n";
constexpr std::size_t soap_action_max = 256;

std::string_view local_name(std::string_view name) {
  const auto colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

pugi::xml_node child(const pugi::xml_node& parent, std::string_view name) {
  for (const auto& node : parent.children())
    if (local_name(node.name()) == name) return node;
  return {};
}

bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string answer_around(const Call& call, std::string_view inner) {
  return fmt::format("{0}<u:{1}Response xmlns:u=\"{2}\">{3}</u:{1}Response>{4}", envelope_begin, call.action,
                     type_of(*call.service.service, call.service.version), inner, envelope_end);
}

}  // namespace

std::string_view text_of(Fault fault) {
  switch (fault) {
    case Fault::invalid_action:
      return "Invalid Action";
    case Fault::invalid_arguments:
      return "Invalid Args";
    case Fault::action_failed:
      return "Action Failed";
    case Fault::not_implemented:
      return "Optional Action Not Implemented";
    case Fault::not_authorized:
      return "Action not authorized";
    case Fault::pinhole_space_exhausted:
      return "PinholeSpaceExhausted";
    case Fault::firewall_disabled:
      return "FirewallDisabled";
    case Fault::pinhole_not_allowed:
      return "InboundPinholeNotAllowed";
    case Fault::no_such_pinhole:
      return "NoSuchEntry";
    case Fault::protocol_not_supported:
      return "ProtocolNotSupported";
    case Fault::internal_port_wildcard:
      return "InternalPortWildcardingNotAllowed";
    case Fault::protocol_wildcard:
      return "ProtocolWildcardingNotAllowed";
    case Fault::index_invalid:
      return "SpecifiedArrayIndexInvalid";
    case Fault::no_such_entry:
      return "NoSuchEntryInArray";
    case Fault::source_wildcard_not_permitted:
      return "WildCardNotPermittedInSrcIP";
    case Fault::external_port_wildcard:
      return "WildCardNotPermittedInExtPort";
    case Fault::conflict:
      return "ConflictInMappingEntry";
    case Fault::remote_host_only_wildcard:
      return "RemoteHostOnlySupportsWildcard";
    case Fault::no_port_maps_available:
      return "NoPortMapsAvailable";
    case Fault::conflict_with_other_mechanism:
      return "ConflictWithOtherMechanisms";
    case Fault::port_mapping_not_found:
      return "PortMappingNotFound";
    case Fault::read_only:
      return "ReadOnly";
    case Fault::internal_port_wildcard_not_permitted:
      return "WildCardNotPermittedInIntPort";
    case Fault::inconsistent_parameters:
      return "InconsistentParameters";
  }
  return "Action Failed";
}

std::optional<SoapAction> read_soap_action(std::string_view text) {
  if (text.size() > soap_action_max) return std::nullopt;
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  const auto hash = text.find('#');
  if (hash == std::string_view::npos || !is_word(text.substr(hash + 1))) return std::nullopt;
  const auto service = parse_service_type(text.substr(0, hash));
  if (!service) return std::nullopt;
  return SoapAction{*service, std::string(text.substr(hash + 1))};
}

// A call needs no DOCTYPE, no comment and no CDATA, so whatever begins with "<!" is refused. Tags are counted as a parser would at most
// find them.
bool is_harmless(std::string_view xml) {
  if (xml.size() > soap_body_max || xml.find('\0') != std::string_view::npos) return false;
  std::size_t tags = 0;
  std::size_t depth = 0;
  for (auto at = xml.find('<'); at != std::string_view::npos; at = xml.find('<', at + 1)) {
    const char next = at + 1 < xml.size() ? xml[at + 1] : '\0';
    if (next == '!' || ++tags > soap_tags_max) return false;
    if (next == '?') continue;
    if (next == '/') {
      if (depth == 0) return false;
      --depth;
      continue;
    }
    const auto end = xml.find('>', at);
    const bool closes_itself = end != std::string_view::npos && end > 0 && xml[end - 1] == '/';
    if (!closes_itself && ++depth > soap_depth_max) return false;
  }
  return true;
}

std::optional<Call> read_call(const SoapAction& action, std::string_view body) {
  if (!is_harmless(body)) return std::nullopt;
  pugi::xml_document document;
  const auto parsed = document.load_buffer(body.data(), body.size(), pugi::parse_escapes, pugi::encoding_utf8);
  if (!parsed) return std::nullopt;
  const auto called = child(child(child(document, "Envelope"), "Body"), action.name);
  if (!called) return std::nullopt;
  Call call{action.service, action.name, {}};
  for (const auto& argument : called.children()) {
    if (argument.type() != pugi::node_element) continue;
    const std::string_view value = argument.child_value();
    // Said twice it could be read in two ways.
    if (value.size() > soap_argument_size_max || !call.arguments.emplace(local_name(argument.name()), value).second) return std::nullopt;
  }
  return call;
}

std::string write_answer(const Call& call, Values values) {
  std::string inner;
  for (const auto& [name, value] : values) inner += element(name, value);
  return answer_around(call, inner);
}

std::string write_document_answer(const Call& call, std::string_view name, std::string_view document) {
  return answer_around(call, fmt::format("<{0}><![CDATA[{1}]]></{0}>", name, document));
}

std::string write_fault(Fault fault) {
  return fmt::format(
      "{}<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError "
      "xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>{}</errorCode><errorDescription>{}</errorDescription></UPnPError></detail>"
      "</s:Fault>{}",
      envelope_begin, static_cast<unsigned>(fault), text_of(fault), envelope_end);
}

}  // namespace drpf::protocol::upnp
