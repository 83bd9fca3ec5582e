#include "protocol/upnp/services.h"

#include <algorithm>
#include <array>

namespace drpf::protocol::upnp {
namespace {

constexpr std::string_view service_prefix = "urn:schemas-upnp-org:service:";

constexpr std::array forwarding_actions{
    Action{"SetDefaultConnectionService", "NewDefaultConnectionService:DefaultConnectionService", ""},
    Action{"GetDefaultConnectionService", "", "NewDefaultConnectionService:DefaultConnectionService"},
};
constexpr std::array forwarding_variables{Variable{"DefaultConnectionService", "string"}};

constexpr std::array interface_actions{
    Action{"GetCommonLinkProperties", "",
           "NewWANAccessType:WANAccessType NewLayer1UpstreamMaxBitRate:Layer1UpstreamMaxBitRate "
           "NewLayer1DownstreamMaxBitRate:Layer1DownstreamMaxBitRate NewPhysicalLinkStatus:PhysicalLinkStatus"},
    Action{"GetTotalBytesSent", "", "NewTotalBytesSent:TotalBytesSent"},
    Action{"GetTotalBytesReceived", "", "NewTotalBytesReceived:TotalBytesReceived"},
};
constexpr std::array interface_variables{
    Variable{"WANAccessType", "string", "DSL POTS Cable Ethernet Other"},
    Variable{"Layer1UpstreamMaxBitRate", "ui4"},
    Variable{"Layer1DownstreamMaxBitRate", "ui4"},
    Variable{"PhysicalLinkStatus", "string", "Up Down Initializing Unavailable"},
    Variable{"TotalBytesSent", "ui4"},
    Variable{"TotalBytesReceived", "ui4"},
};

constexpr std::array connection_actions{
    Action{"SetConnectionType", "NewConnectionType:ConnectionType", ""},
    Action{"GetConnectionTypeInfo", "", "NewConnectionType:ConnectionType NewPossibleConnectionTypes:PossibleConnectionTypes"},
    Action{"RequestConnection", "", ""},
    Action{"ForceTermination", "", ""},
    Action{"GetStatusInfo", "", "NewConnectionStatus:ConnectionStatus NewLastConnectionError:LastConnectionError NewUptime:Uptime"},
    Action{"GetNATRSIPStatus", "", "NewRSIPAvailable:RSIPAvailable NewNATEnabled:NATEnabled"},
    Action{"GetGenericPortMappingEntry", "NewPortMappingIndex:PortMappingNumberOfEntries",
           "NewRemoteHost:RemoteHost NewExternalPort:ExternalPort NewProtocol:PortMappingProtocol NewInternalPort:InternalPort "
           "NewInternalClient:InternalClient NewEnabled:PortMappingEnabled NewPortMappingDescription:PortMappingDescription "
           "NewLeaseDuration:PortMappingLeaseDuration"},
    Action{"GetSpecificPortMappingEntry", "NewRemoteHost:RemoteHost NewExternalPort:ExternalPort NewProtocol:PortMappingProtocol",
           "NewInternalPort:InternalPort NewInternalClient:InternalClient NewEnabled:PortMappingEnabled "
           "NewPortMappingDescription:PortMappingDescription NewLeaseDuration:PortMappingLeaseDuration"},
    Action{"AddPortMapping",
           "NewRemoteHost:RemoteHost NewExternalPort:ExternalPort NewProtocol:PortMappingProtocol NewInternalPort:InternalPort "
           "NewInternalClient:InternalClient NewEnabled:PortMappingEnabled NewPortMappingDescription:PortMappingDescription "
           "NewLeaseDuration:PortMappingLeaseDuration",
           ""},
    Action{"AddAnyPortMapping",
           "NewRemoteHost:RemoteHost NewExternalPort:ExternalPort NewProtocol:PortMappingProtocol NewInternalPort:InternalPort "
           "NewInternalClient:InternalClient NewEnabled:PortMappingEnabled NewPortMappingDescription:PortMappingDescription "
           "NewLeaseDuration:PortMappingLeaseDuration",
           "NewReservedPort:ExternalPort", 2},
    Action{"DeletePortMapping", "NewRemoteHost:RemoteHost NewExternalPort:ExternalPort NewProtocol:PortMappingProtocol", ""},
    Action{"DeletePortMappingRange",
           "NewStartPort:ExternalPort NewEndPort:ExternalPort NewProtocol:PortMappingProtocol NewManage:A_ARG_TYPE_Manage", "", 2},
    Action{"GetListOfPortMappings",
           "NewStartPort:ExternalPort NewEndPort:ExternalPort NewProtocol:PortMappingProtocol NewManage:A_ARG_TYPE_Manage "
           "NewNumberOfPorts:PortMappingNumberOfEntries",
           "NewPortListing:A_ARG_TYPE_PortListing", 2},
    Action{"GetExternalIPAddress", "", "NewExternalIPAddress:ExternalIPAddress"},
};
constexpr std::array connection_variables{
    Variable{"ConnectionType", "string"},
    Variable{"PossibleConnectionTypes", "string", "Unconfigured IP_Routed IP_Bridged"},
    Variable{"ConnectionStatus", "string", "Unconfigured Connecting Connected PendingDisconnect Disconnecting Disconnected"},
    Variable{"Uptime", "ui4"},
    Variable{"LastConnectionError", "string", "ERROR_NONE"},
    Variable{"RSIPAvailable", "boolean"},
    Variable{"NATEnabled", "boolean"},
    Variable{"ExternalIPAddress", "string"},
    Variable{"PortMappingNumberOfEntries", "ui2"},
    Variable{"PortMappingEnabled", "boolean"},
    Variable{"PortMappingLeaseDuration", "ui4"},
    Variable{"RemoteHost", "string"},
    Variable{"ExternalPort", "ui2"},
    Variable{"InternalPort", "ui2"},
    Variable{"PortMappingProtocol", "string", "TCP UDP"},
    Variable{"InternalClient", "string"},
    Variable{"PortMappingDescription", "string"},
    Variable{"A_ARG_TYPE_Manage", "boolean", "", 2},
    Variable{"A_ARG_TYPE_PortListing", "string", "", 2},
};

constexpr std::array firewall_actions{
    Action{"GetFirewallStatus", "", "FirewallEnabled:FirewallEnabled InboundPinholeAllowed:InboundPinholeAllowed"},
    Action{"GetOutboundPinholeTimeout",
           "RemoteHost:A_ARG_TYPE_IPv6Address RemotePort:A_ARG_TYPE_Port InternalClient:A_ARG_TYPE_IPv6Address "
           "InternalPort:A_ARG_TYPE_Port Protocol:A_ARG_TYPE_Protocol",
           "OutboundPinholeTimeout:A_ARG_TYPE_OutboundPinholeTimeout"},
    Action{"AddPinhole",
           "RemoteHost:A_ARG_TYPE_IPv6Address RemotePort:A_ARG_TYPE_Port InternalClient:A_ARG_TYPE_IPv6Address "
           "InternalPort:A_ARG_TYPE_Port Protocol:A_ARG_TYPE_Protocol LeaseTime:A_ARG_TYPE_LeaseTime",
           "UniqueID:A_ARG_TYPE_UniqueID"},
    Action{"UpdatePinhole", "UniqueID:A_ARG_TYPE_UniqueID NewLeaseTime:A_ARG_TYPE_LeaseTime", ""},
    Action{"DeletePinhole", "UniqueID:A_ARG_TYPE_UniqueID", ""},
    Action{"GetPinholePackets", "UniqueID:A_ARG_TYPE_UniqueID", "PinholePackets:A_ARG_TYPE_PinholePackets"},
    Action{"CheckPinholeWorking", "UniqueID:A_ARG_TYPE_UniqueID", "IsWorking:A_ARG_TYPE_Boolean"},
};
constexpr std::array firewall_variables{
    Variable{"FirewallEnabled", "boolean"},       Variable{"InboundPinholeAllowed", "boolean"},
    Variable{"A_ARG_TYPE_IPv6Address", "string"}, Variable{"A_ARG_TYPE_Port", "ui2"},
    Variable{"A_ARG_TYPE_Protocol", "ui2"},       Variable{"A_ARG_TYPE_LeaseTime", "ui4"},
    Variable{"A_ARG_TYPE_UniqueID", "ui2"},       Variable{"A_ARG_TYPE_OutboundPinholeTimeout", "ui4"},
    Variable{"A_ARG_TYPE_PinholePackets", "ui4"}, Variable{"A_ARG_TYPE_Boolean", "boolean"},
};

constexpr std::array all{
    Service{ServiceKind::layer3_forwarding, "Layer3Forwarding", "L3Forwarding1", "forwarding", 1, forwarding_actions, forwarding_variables},
    Service{ServiceKind::wan_common_interface, "WANCommonInterfaceConfig", "WANCommonIFC1", "interface", 1, interface_actions,
            interface_variables},
    Service{ServiceKind::wan_ip_connection, "WANIPConnection", "WANIPConn1", "connection", 2, connection_actions, connection_variables},
    Service{ServiceKind::wan_ipv6_firewall, "WANIPv6FirewallControl", "WANIPv6Firewall1", "firewall", 1, firewall_actions,
            firewall_variables},
};

}  // namespace

const Action* Service::action(std::string_view wanted) const {
  const auto found = std::find_if(actions.begin(), actions.end(), [&](const Action& action) { return action.name == wanted; });
  return found == actions.end() ? nullptr : &*found;
}

std::span<const Service> services() { return all; }

const Service& service_of(ServiceKind kind) {
  return *std::find_if(all.begin(), all.end(), [kind](const Service& service) { return service.kind == kind; });
}

std::string type_of(const Service& service, unsigned version) {
  return std::string(service_prefix).append(service.name).append(":").append(std::to_string(version));
}

std::optional<TypedService> parse_service_type(std::string_view type) {
  for (const auto& service : all)
    for (unsigned version = 1; version <= service.version_max; ++version)
      if (type == type_of(service, version)) return TypedService{&service, version};
  return std::nullopt;
}

}  // namespace drpf::protocol::upnp
