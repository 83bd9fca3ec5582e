// WANIPConnection:1 and :2.
#include <fmt/format.h>

#include "protocol/upnp/action_call.h"
#include "protocol/upnp/actions.h"
#include "protocol/xml_text.h"

namespace drpf::protocol::upnp {
namespace {

using port_mapping::Ending;
using port_mapping::Mapped;
using port_mapping::Mappings;
using port_mapping::Wish;

std::optional<Protocol> protocol_of(const ActionCall& call) {
  const auto* word = call.argument("NewProtocol");
  if (!word) return std::nullopt;
  if (*word == "TCP" || *word == "tcp") return Protocol::tcp;
  if (*word == "UDP" || *word == "udp") return Protocol::udp;
  return std::nullopt;
}

std::string protocol_text(Protocol protocol) { return protocol == Protocol::tcp ? "TCP" : "UDP"; }

std::optional<Mapped> find(const ActionCall& call, Port external, Protocol protocol) {
  for (auto& mapped : call.mappings.mappings_of(call.source))
    if (mapped.external_port == external && mapped.protocol == protocol) return std::move(mapped);
  return std::nullopt;
}

std::string inside_address(const ActionCall& call) { return to_string(call.client.inside_v4.value_or(call.source)); }

ActionOutcome generic_entry(const ActionCall& call) {
  const auto index = call.number("NewPortMappingIndex", 65535);
  if (!index) return Fault::invalid_arguments;
  const auto all = call.mappings.mappings_of(call.source);
  if (*index >= all.size()) return Fault::index_invalid;
  const auto& mapped = all[*index];
  return call.answer({{"NewRemoteHost", ""},
                      {"NewExternalPort", to_string(mapped.external_port)},
                      {"NewProtocol", protocol_text(mapped.protocol)},
                      {"NewInternalPort", to_string(mapped.internal_port)},
                      {"NewInternalClient", inside_address(call)},
                      {"NewEnabled", "1"},
                      {"NewPortMappingDescription", mapped.description},
                      {"NewLeaseDuration", lifetime_text(mapped.lifetime)}});
}

// Only the asker's own: to everybody else a mapping is not there.
ActionOutcome specific_entry(const ActionCall& call) {
  const auto external = call.port("NewExternalPort");
  const auto protocol = protocol_of(call);
  if (!external || !protocol) return Fault::invalid_arguments;
  const auto mapped = call.is_empty("NewRemoteHost") ? find(call, *external, *protocol) : std::nullopt;
  if (!mapped) return Fault::no_such_entry;
  return call.answer({{"NewInternalPort", to_string(mapped->internal_port)},
                      {"NewInternalClient", inside_address(call)},
                      {"NewEnabled", "1"},
                      {"NewPortMappingDescription", mapped->description},
                      {"NewLeaseDuration", lifetime_text(mapped->lifetime)}});
}

ActionOutcome listing(const ActionCall& call) {
  const auto first = call.port("NewStartPort");
  const auto last = call.port("NewEndPort");
  const auto protocol = protocol_of(call);
  const auto wanted = call.number("NewNumberOfPorts", 65535);
  if (!first || !last || !protocol || !wanted) return Fault::invalid_arguments;
  if (*first > *last) return Fault::inconsistent_parameters;
  const std::size_t most = *wanted == 0 ? Actions::listing_entries_max : std::min<std::size_t>(*wanted, Actions::listing_entries_max);
  std::string entries;
  std::size_t count = 0;
  for (const auto& mapped : call.mappings.mappings_of(call.source)) {
    if (count == most) break;
    if (mapped.protocol != *protocol || mapped.external_port < *first || mapped.external_port > *last) continue;
    ++count;
    entries += "<p:PortMappingEntry>" + element("p:NewRemoteHost", "") + element("p:NewExternalPort", to_string(mapped.external_port)) +
               element("p:NewProtocol", protocol_text(mapped.protocol)) + element("p:NewInternalPort", to_string(mapped.internal_port)) +
               element("p:NewInternalClient", inside_address(call)) + element("p:NewEnabled", "1") +
               element("p:NewDescription", mapped.description) + element("p:NewLeaseTime", lifetime_text(mapped.lifetime)) +
               "</p:PortMappingEntry>";
  }
  if (count == 0) return Fault::port_mapping_not_found;
  return write_document_answer(
      call.call, "NewPortListing",
      "<?xml version=\"1.0\"?><p:PortMappingList xmlns:p=\"urn:schemas-upnp-org:gw:WANIPConnection\">" + entries + "</p:PortMappingList>");
}

ActionOutcome external_address(const ActionCall& call) {
  if (!call.client.external_v4) return Fault::action_failed;
  return call.answer({{"NewExternalIPAddress", to_string(*call.client.external_v4)}});
}

struct Refused {
  Fault fault{};
};

// What is the same for both ways to add: everything but the external port.
std::variant<Wish, Refused> read_wish(const ActionCall& call) {
  const auto external = call.port("NewExternalPort");
  const auto internal = call.port("NewInternalPort");
  const auto protocol = protocol_of(call);
  const auto* inside = call.argument("NewInternalClient");
  const auto lifetime = call.is_empty("NewLeaseDuration") ? std::optional<std::uint32_t>(0) : call.number("NewLeaseDuration", UINT32_MAX);
  if (!external || !internal || !protocol || !inside || !lifetime) return Refused{Fault::invalid_arguments};
  if (const auto* enabled = call.argument("NewEnabled"); enabled && (*enabled == "0" || *enabled == "false" || *enabled == "no"))
    return Refused{Fault::invalid_arguments};  // there are no mappings that do nothing
  if (!call.is_empty("NewRemoteHost")) return Refused{Fault::remote_host_only_wildcard};
  if (internal->is_zero()) return Refused{Fault::internal_port_wildcard_not_permitted};
  if (!inside->empty()) {
    const auto address = parse_address(*inside);
    if (!address || !call.is_own(*address)) return Refused{Fault::not_authorized};
  }
  Wish wish;
  wish.client = call.source;
  wish.protocol = *protocol;
  wish.internal_port = *internal;
  wish.suggested_port = *external;
  wish.lifetime = std::chrono::seconds(*lifetime == 0 ? 3600 : *lifetime);
  wish.while_connected = *lifetime == 0;
  wish.door = port_mapping::Door::upnp;
  if (const auto* description = call.argument("NewPortMappingDescription")) wish.description = kept_description(*description);
  return wish;
}

void add(const ActionCall& call, ActionDone done) {
  auto read = read_wish(call);
  if (const auto* refused = std::get_if<Refused>(&read)) return done(refused->fault);
  auto& wish = std::get<Wish>(read);
  if (wish.suggested_port.is_zero()) return done(Fault::external_port_wildcard);
  wish.only_suggested = true;
  auto when_mapped = [text = write_answer(call.call, {}), done](Result<std::vector<Mapped>> result) {
    if (!result) return done(fault_of(result.error(), Fault::no_port_maps_available, Fault::conflict));
    done(text);
  };
  const auto before = find(call, wish.suggested_port, wish.protocol);
  if (!before || before->internal_port == wish.internal_port) return call.mappings.map(wish, std::move(when_mapped));
  // The same program, or another of the same device, wants the port to lead elsewhere from now on.
  if (before->door != port_mapping::Door::upnp) return done(Fault::conflict_with_other_mechanism);
  Ending ending;
  ending.client = call.source;
  ending.protocol = wish.protocol;
  ending.external_ports = PortRange(wish.suggested_port);
  ending.door = port_mapping::Door::upnp;
  call.mappings.end(ending, [&mappings = call.mappings, wish, done, when_mapped = std::move(when_mapped)](Result<std::size_t> ended) {
    if (!ended) return done(fault_of(ended.error(), Fault::no_port_maps_available, Fault::conflict));
    mappings.map(wish, when_mapped);
  });
}

void add_any(const ActionCall& call, ActionDone done) {
  auto read = read_wish(call);
  if (const auto* refused = std::get_if<Refused>(&read)) return done(refused->fault);
  call.mappings.map(std::get<Wish>(read), [call = call.call, done = std::move(done)](Result<std::vector<Mapped>> result) {
    if (!result || result->empty())
      return done(result ? Fault::action_failed : fault_of(result.error(), Fault::no_port_maps_available, Fault::no_port_maps_available));
    done(write_answer(call, {{"NewReservedPort", to_string(result->front().external_port)}}));
  });
}

void end(const ActionCall& call, PortRange ports, Protocol protocol, Fault nothing_there, ActionDone done) {
  Ending ending;
  ending.client = call.source;
  ending.protocol = protocol;
  ending.external_ports = ports;
  ending.door = port_mapping::Door::upnp;
  call.mappings.end(ending, [text = write_answer(call.call, {}), nothing_there, done = std::move(done)](Result<std::size_t> ended) {
    if (!ended) return done(fault_of(ended.error(), Fault::action_failed, Fault::not_authorized));
    if (*ended == 0) return done(nothing_there);
    done(text);
  });
}

void remove(const ActionCall& call, ActionDone done) {
  const auto external = call.port("NewExternalPort");
  const auto protocol = protocol_of(call);
  if (!external || !protocol) return done(Fault::invalid_arguments);
  const auto mapped = call.is_empty("NewRemoteHost") ? find(call, *external, *protocol) : std::nullopt;
  if (!mapped) return done(Fault::no_such_entry);
  if (mapped->door != port_mapping::Door::upnp) return done(Fault::not_authorized);
  end(call, PortRange(*external), *protocol, Fault::no_such_entry, std::move(done));
}

void remove_range(const ActionCall& call, ActionDone done) {
  const auto first = call.port("NewStartPort");
  const auto last = call.port("NewEndPort");
  const auto protocol = protocol_of(call);
  if (!first || !last || !protocol) return done(Fault::invalid_arguments);
  if (*first > *last) return done(Fault::inconsistent_parameters);
  end(call, PortRange(*first, *last), *protocol, Fault::port_mapping_not_found, std::move(done));
}

}  // namespace

void perform_on_connection(const ActionCall& call, Duration uptime, ActionDone done) {
  const auto& action = call.call.action;
  if (action == "AddPortMapping") return add(call, std::move(done));
  if (action == "AddAnyPortMapping") return add_any(call, std::move(done));
  if (action == "DeletePortMapping") return remove(call, std::move(done));
  if (action == "DeletePortMappingRange") return remove_range(call, std::move(done));
  if (action == "GetGenericPortMappingEntry") return done(generic_entry(call));
  if (action == "GetSpecificPortMappingEntry") return done(specific_entry(call));
  if (action == "GetListOfPortMappings") return done(listing(call));
  if (action == "GetExternalIPAddress") return done(external_address(call));
  if (action == "GetStatusInfo")
    return done(call.answer({{"NewConnectionStatus", "Connected"},
                             {"NewLastConnectionError", "ERROR_NONE"},
                             {"NewUptime", std::to_string(std::chrono::duration_cast<std::chrono::seconds>(uptime).count())}}));
  if (action == "GetConnectionTypeInfo")
    return done(call.answer({{"NewConnectionType", "IP_Routed"}, {"NewPossibleConnectionTypes", "IP_Routed"}}));
  if (action == "GetNATRSIPStatus") return done(call.answer({{"NewRSIPAvailable", "0"}, {"NewNATEnabled", "1"}}));
  if (action == "RequestConnection") return done(call.answer());  // it stands already
  if (action == "SetConnectionType") return done(Fault::read_only);
  if (action == "ForceTermination") return done(Fault::not_authorized);
  done(Fault::invalid_action);
}

}  // namespace drpf::protocol::upnp
