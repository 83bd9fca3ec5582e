#include "guard/own_ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <map>
#include <set>

#include "api/json_text.h"
#include "firewall/admission.h"
#include "system/links_and_routes.h"
#include "system/nft_program.h"
#include "system/processes.h"
#include "system/socket_diagnosis.h"
#include "system/sysctl.h"
#include "terminal/terminal.h"

namespace drpf::guard {
namespace {

namespace json = boost::json;
using firewall::Admission;
using Reach = OwnPort::Reach;

constexpr Duration nft_time_limit = std::chrono::seconds(10);
constexpr std::size_t interfaces_max = 64;
constexpr std::size_t addresses_max = 8;  // of an interface

struct Interface {
  std::string name;
  std::uint32_t index = 0;
  std::vector<Address> addresses;
};

Result<std::vector<Interface>> interfaces_up() {
  auto network = system::LinksAndRoutes::open();
  if (!network) return fail(network.error());
  const auto links = network->links();
  if (!links) return fail(links.error());
  const auto addresses = network->addresses();
  if (!addresses) return fail(addresses.error());
  std::vector<Interface> interfaces;
  for (const auto& link : *links) {
    if (!link.up || link.name == "lo" || interfaces.size() == interfaces_max) continue;
    Interface interface{link.name, static_cast<std::uint32_t>(link.index), {}};
    for (const auto& one : *addresses)
      if (one.interface == link.name && interface.addresses.size() < addresses_max) interface.addresses.push_back(one.address);
    if (!interface.addresses.empty()) interfaces.push_back(std::move(interface));
  }
  return interfaces;
}

std::map<std::uint64_t, std::string> programs_by_socket() {
  std::map<std::uint64_t, std::string> programs;
  for (const auto process : system::processes()) {
    const auto sockets = system::sockets_of(process);
    if (!sockets || sockets->empty()) continue;
    auto name = system::process_program(process);
    if (name.empty()) name = system::process_name(process);
    for (const auto socket : *sockets) programs.emplace(socket, name);
  }
  return programs;
}

Reach reach_of(Admission::Who who) {
  switch (who) {
    case Admission::Who::everybody:
      return Reach::everybody;
    case Admission::Who::some:
      return Reach::some;
    case Admission::Who::nobody:
      return Reach::nobody;
    case Admission::Who::unknown:
      break;
  }
  return Reach::unknown;
}

// A socket on :: takes visitors of both families, unless its program forbids it, which the kernel does not tell here.
bool takes(const Address& bound, const Address& visited) {
  if (bound.is_multicast()) return bound.is_v4() == visited.is_v4();
  if (!bound.is_unspecified()) return bound == visited;
  return bound.is_v6() || visited.is_v4();
}

void find_ways(OwnPort& own, std::uint32_t bound_to, const std::vector<Interface>& interfaces, const firewall::InputRules* rules) {
  own.reach = own.local.address.is_loopback() ? Reach::this_machine : Reach::nobody;
  if (own.local.address.is_loopback()) return;
  for (const auto& interface : interfaces) {
    if (bound_to != 0 && bound_to != interface.index) continue;
    for (const auto& address : interface.addresses) {
      if (!takes(own.local.address, address)) continue;
      OwnPort::Way way{interface.name, Reach::unknown, {}};
      if (rules) {
        const auto family = address.is_v4() ? Family::v4 : Family::v6;
        auto admission = rules->admission({own.protocol, family, address, own.local.port, interface.name});
        way.reach = reach_of(admission.who);
        way.because = std::move(admission.because);
      }
      own.reach = std::max(own.reach, way.reach);
      const auto same = [&](const OwnPort::Way& known) { return known.interface == way.interface && known.reach == way.reach; };
      if (std::none_of(own.ways.begin(), own.ways.end(), same)) own.ways.push_back(std::move(way));
    }
  }
}

std::string reach_text(const OwnPort& own) {
  if (own.reach == Reach::this_machine) return "this machine";
  const auto same = [&](const OwnPort::Way& way) { return way.reach == own.reach; };
  if (own.ways.empty()) return "nobody: no interface leads to it";
  if (std::all_of(own.ways.begin(), own.ways.end(), same)) return std::string(to_string(own.reach));
  std::string interfaces;
  std::set<std::string> seen;
  for (const auto& way : own.ways)
    if (same(way) && seen.insert(way.interface).second) interfaces += (interfaces.empty() ? "" : ", ") + way.interface;
  return fmt::format("{} by {}", to_string(own.reach), interfaces);
}

terminal::Colour colour_of(const OwnPort& own, const registry::WellKnown* about) {
  if (own.reach <= Reach::nobody) return terminal::Colour::green;
  if (about && about->exposure == registry::Exposure::closed) return terminal::Colour::red;
  return about && about->exposure == registry::Exposure::ordinary ? terminal::Colour::plain : terminal::Colour::yellow;
}

}  // namespace

std::string_view to_string(OwnPort::Reach reach) {
  switch (reach) {
    case Reach::this_machine:
      return "this machine";
    case Reach::nobody:
      return "nobody";
    case Reach::unknown:
      return "unknown";
    case Reach::some:
      return "some";
    case Reach::everybody:
      break;
  }
  return "everybody";
}

Result<OwnPorts> find_own_ports() {
  auto diagnosis = system::SocketDiagnosis::open();
  if (!diagnosis) return fail(diagnosis.error());
  const auto sockets = diagnosis->listening();
  if (!sockets) return fail(sockets.error());
  const auto interfaces = interfaces_up();
  if (!interfaces) return fail(interfaces.error());

  OwnPorts own;
  std::optional<firewall::InputRules> rules;
  const auto listed = system::run_nft(system::NftTask::list, {}, nft_time_limit);
  if (listed && listed->exit_code == 0)
    rules.emplace(listed->out);
  else
    own.rules_unreadable = listed ? listed->err.substr(0, listed->err.find('\n')) : listed.error().message;

  const auto programs = programs_by_socket();
  const auto ephemeral = system::read_ephemeral_ports();
  for (const auto& socket : *sockets) {
    const auto& [protocol, local] = socket.listening;
    if (protocol == Protocol::udp && ephemeral && ephemeral->contains(local.port)) continue;  // a client's, not a service
    OwnPort one;
    one.protocol = protocol;
    one.local = local;
    if (const auto program = programs.find(socket.inode); program != programs.end()) one.program = program->second;
    find_ways(one, socket.interface, *interfaces, rules ? &*rules : nullptr);
    // Several workers of a program may share a port.
    const auto same = [&](const OwnPort& known) {
      return known.protocol == one.protocol && known.local == one.local && known.program == one.program;
    };
    if (std::none_of(own.ports.begin(), own.ports.end(), same)) own.ports.push_back(std::move(one));
  }
  std::sort(own.ports.begin(), own.ports.end(), [](const OwnPort& a, const OwnPort& b) {
    return std::tuple(a.local.port, a.protocol, a.local.address) < std::tuple(b.local.port, b.protocol, b.local.address);
  });
  return own;
}

std::string as_text(const OwnPorts& own, const registry::PortRegistry& names) {
  if (own.ports.empty()) return "Nothing listens on this machine.\n";
  terminal::Table table({"PORT", "PROGRAM", "ADDRESS", "REACHABLE FROM", "SERVICE"});
  std::string notes;
  for (const auto& one : own.ports) {
    const auto service = names.find(one.local.port, one.protocol);
    const auto* about = service ? service->about : nullptr;
    const auto place = fmt::format("{}/{}", to_string(one.local.port), to_string(one.protocol));
    table.add({{place},
               {one.program.empty() ? "?" : one.program},
               {one.local.address.is_unspecified() ? "*" : to_string(one.local.address)},
               {reach_text(one), colour_of(one, about)},
               {service ? std::string(service->name) : ""}});
    for (const auto& way : one.ways)
      if (!way.because.empty())
        notes += fmt::format("  {} by {}, {}: {}\n", place, way.interface, to_string(way.reach), api::printable(way.because));
    if (one.reach > Reach::nobody && about && about->exposure != registry::Exposure::ordinary)
      notes += terminal::coloured(fmt::format("  {} {}, {}: {}\n", place, about->name, to_string(about->exposure), about->warning),
                                  about->exposure == registry::Exposure::closed ? terminal::Colour::red : terminal::Colour::yellow);
  }
  auto text = table.text(terminal::standard_output_has_colour());
  if (!own.rules_unreadable.empty())
    text += fmt::format("unknown: the rule set is not readable, for which nft needs root ({})\n", api::printable(own.rules_unreadable));
  if (!notes.empty()) text += "\n" + notes;
  return text + "\nThat is what this machine's own rules say; a router or a provider in front of it may keep more out.\n";
}

json::array as_json(const OwnPorts& own, const registry::PortRegistry& names) {
  json::array out;
  for (const auto& one : own.ports) {
    const auto service = names.find(one.local.port, one.protocol);
    const auto* about = service ? service->about : nullptr;
    json::array ways;
    for (const auto& way : one.ways)
      ways.push_back(
          json::object{{"interface", way.interface}, {"reachable_from", std::string(to_string(way.reach))}, {"because", way.because}});
    json::object object;
    object["port"] = one.local.port.value();
    object["protocol"] = std::string(to_string(one.protocol));
    object["address"] = to_string(one.local.address);
    object["program"] = one.program.empty() ? json::value(nullptr) : json::value(one.program);
    object["reachable_from"] = std::string(to_string(one.reach));
    object["ways"] = std::move(ways);
    object["service"] = service && !service->name.empty() ? json::value(std::string(service->name)) : json::value(nullptr);
    object["exposure"] = about ? json::value(std::string(to_string(about->exposure))) : json::value(nullptr);
    object["risk"] = about && !about->warning.empty() ? json::value(std::string(about->warning)) : json::value(nullptr);
    out.push_back(std::move(object));
  }
  return out;
}

}  // namespace drpf::guard
