#include "protocol/upnp/description.h"

#include <fmt/format.h>

#include "core/encoding.h"
#include "protocol/xml_text.h"

namespace drpf::protocol::upnp {
namespace {

constexpr std::string_view device_prefix = "urn:schemas-upnp-org:device:";

std::string_view name_of(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::gateway:
      return "InternetGatewayDevice";
    case DeviceKind::wan:
      return "WANDevice";
    case DeviceKind::wan_connection:
      return "WANConnectionDevice";
  }
  return {};
}

unsigned version_of(const Service& service, Version version) { return version == Version::v1 ? 1 : service.version_max; }

std::string service_entry(ServiceKind kind, Version version) {
  const auto& service = service_of(kind);
  return "<service>" + element("serviceType", type_of(service, version_of(service, version))) +
         element("serviceId", fmt::format("urn:upnp-org:serviceId:{}", service.id)) +
         element("SCPDURL", fmt::format("{}/{}{}.xml", root_path, version == Version::v1 ? "v1/" : "", service.path)) +
         element("controlURL", fmt::format("{}/control/{}", root_path, service.path)) +
         element("eventSubURL", fmt::format("{}/event/{}", root_path, service.path)) + "</service>";
}

std::string device_head(const Identity& identity, DeviceKind kind, Version version) {
  return element("deviceType", type_of(kind, static_cast<unsigned>(version))) + element("friendlyName", "drpf gateway") +
         element("manufacturer", "drpf") + element("modelDescription", "VPN gateway with public ports for its devices") +
         element("modelName", "drpf") + element("modelNumber", "1") + element("serialNumber", uuid_of(identity, kind).substr(0, 8)) +
         element("UDN", "uuid:" + uuid_of(identity, kind));
}

template <class Function>
void each_word(std::string_view text, Function function) {
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    function(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::string arguments(std::string_view list, std::string_view direction) {
  std::string out;
  each_word(list, [&](std::string_view word) {
    const auto colon = word.find(':');
    out += "<argument>" + element("name", word.substr(0, colon)) + element("direction", direction) +
           element("relatedStateVariable", word.substr(colon + 1)) + "</argument>";
  });
  return out;
}

std::string variable_entry(const Variable& variable) {
  std::string out = "<stateVariable sendEvents=\"no\">" + element("name", variable.name) + element("dataType", variable.type);
  if (!variable.allowed.empty()) {
    out += "<allowedValueList>";
    each_word(variable.allowed, [&](std::string_view value) { out += element("allowedValue", value); });
    out += "</allowedValueList>";
  }
  return out + "</stateVariable>";
}

constexpr std::string_view declaration = "<?xml version=\"1.0\"?>\n";
constexpr std::string_view spec_version = "<specVersion><major>1</major><minor>0</minor></specVersion>";

}  // namespace

std::string uuid_of(const Identity& identity, DeviceKind kind) {
  auto bytes = identity;
  bytes[6] = static_cast<std::uint8_t>(0x80 | (bytes[6] & 0x0f));  // version 8 and the variant of RFC 9562
  bytes[8] = static_cast<std::uint8_t>(0x80 | (bytes[8] & 0x3f));
  bytes[15] = static_cast<std::uint8_t>((bytes[15] & 0xfc) | static_cast<std::uint8_t>(kind));
  const auto hex = to_hex(bytes);
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4), hex.substr(20));
}

std::string type_of(DeviceKind kind, unsigned version) { return fmt::format("{}{}:{}", device_prefix, name_of(kind), version); }

// Windows' own client, and the consoles built on it.
Version version_for(std::string_view user_agent) {
  for (const std::string_view old : {"Microsoft-Windows", "FDSSDP", "Xbox"})
    if (user_agent.find(old) != std::string_view::npos) return Version::v1;
  return Version::v2;
}

std::string device_description(const Identity& identity, Version version) {
  const auto head = [&](DeviceKind kind) { return device_head(identity, kind, version); };
  auto connection_services = service_entry(ServiceKind::wan_ip_connection, version);
  if (version == Version::v2) connection_services += service_entry(ServiceKind::wan_ipv6_firewall, version);
  return fmt::format(
      "{}<root xmlns=\"urn:schemas-upnp-org:device-1-0\">{}<device>{}<serviceList>{}</serviceList>"
      "<deviceList><device>{}<serviceList>{}</serviceList>"
      "<deviceList><device>{}<serviceList>{}</serviceList></device></deviceList></device></deviceList></device></root>\n",
      declaration, spec_version, head(DeviceKind::gateway), service_entry(ServiceKind::layer3_forwarding, version), head(DeviceKind::wan),
      service_entry(ServiceKind::wan_common_interface, version), head(DeviceKind::wan_connection), connection_services);
}

std::string service_description(const Service& service, Version version) {
  const auto number = version_of(service, version);
  std::string out = fmt::format("{}<scpd xmlns=\"urn:schemas-upnp-org:service-1-0\">{}<actionList>", declaration, spec_version);
  for (const auto& action : service.actions) {
    if (action.since_version > number) continue;
    out += "<action>" + element("name", action.name);
    const auto all = arguments(action.in, "in") + arguments(action.out, "out");
    if (!all.empty()) out += "<argumentList>" + all + "</argumentList>";
    out += "</action>";
  }
  out += "</actionList><serviceStateTable>";
  for (const auto& variable : service.variables)
    if (variable.since_version <= number) out += variable_entry(variable);
  return out + "</serviceStateTable></scpd>\n";
}

}  // namespace drpf::protocol::upnp
