#include "guard/host/open_connections.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "core/encoding.h"
#include "system/links_and_routes.h"
#include "system/text_file.h"

namespace drpf::guard {
namespace {

using firewall::Direction;
using firewall::HostPacket;

constexpr unsigned state_established = 1, state_listen = 10;  // the kernel's tcp_states.h
constexpr int ancestors_max = 64;

// "0100007F:0016": words of four bytes in the machine's order.
std::optional<Endpoint> parse_kernel_endpoint(std::string_view text) {
  const auto colon = text.find(':');
  if (colon != 8 && colon != 32) return std::nullopt;
  const auto bytes = from_hex(text.substr(0, colon));
  const auto port = from_hex(text.substr(colon + 1));
  if (!bytes || !port || port->size() != 2) return std::nullopt;
  auto ordered = *bytes;
  for (std::size_t i = 0; i < ordered.size(); i += 4)
    std::reverse(ordered.begin() + static_cast<std::ptrdiff_t>(i), ordered.begin() + static_cast<std::ptrdiff_t>(i + 4));
  auto address = Address::from_bytes(ordered);
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (address.is_v6() && std::equal(mapped.begin(), mapped.end(), ordered.begin()))
    address = Address::from_bytes(std::span(ordered).subspan(12));
  return Endpoint{address, Port{static_cast<std::uint16_t>((*port)[0] << 8 | (*port)[1])}};
}

struct TcpRow {
  Endpoint local;
  Endpoint remote;
  unsigned state = 0;
};

std::vector<TcpRow> parse_rows(std::string_view text) {
  std::vector<TcpRow> rows;
  std::istringstream lines{std::string(text)};
  std::string line;
  std::getline(lines, line);  // the headings
  while (std::getline(lines, line) && rows.size() < open_connections_max) {
    std::istringstream words(line);
    std::string number, local, remote, state;
    words >> number >> local >> remote >> state;
    const auto here = parse_kernel_endpoint(local);
    const auto there = parse_kernel_endpoint(remote);
    const auto what = from_hex(state);
    if (here && there && what && what->size() == 1) rows.push_back({*here, *there, what->front()});
  }
  return rows;
}

std::string variable_of(std::string_view environment, std::string_view name) {
  for (std::string_view rest = environment; !rest.empty();) {
    const auto end = std::min(rest.find('\0'), rest.size());
    const auto one = rest.substr(0, end);
    if (one.starts_with(name) && one.size() > name.size() && one[name.size()] == '=') return std::string(one.substr(name.size() + 1));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

pid_t parent_of(pid_t process) {
  const auto status = system::read_text_file(fmt::format("/proc/{}/status", process));
  const auto at = status.find("\nPPid:");
  return at == std::string::npos ? 0 : std::atoi(status.c_str() + at + 6);
}

std::map<Address, std::string> interfaces_by_address() {
  std::map<Address, std::string> out;
  auto network = system::LinksAndRoutes::open();
  if (!network) return out;
  if (const auto addresses = network->addresses())
    for (const auto& one : *addresses) out.emplace(one.address, one.interface);
  return out;
}

}  // namespace

std::vector<HostPacket> parse_connections(std::string_view tcp, std::string_view tcp6) {
  auto rows = parse_rows(tcp);
  for (auto& row : parse_rows(tcp6)) rows.push_back(row);
  std::set<Port> listening;
  for (const auto& row : rows)
    if (row.state == state_listen) listening.insert(row.local.port);
  std::vector<HostPacket> out;
  for (const auto& row : rows) {
    if (row.state != state_established || row.remote.address.is_loopback()) continue;
    HostPacket packet;
    const bool in = listening.contains(row.local.port);
    packet.direction = in ? Direction::in : Direction::out;
    const auto& [from, to] = in ? std::pair(row.remote, row.local) : std::pair(row.local, row.remote);
    packet.source = from.address;
    packet.source_port = from.port;
    packet.destination = to.address;
    packet.destination_port = to.port;
    out.push_back(packet);
  }
  return out;
}

std::vector<HostPacket> open_connections() {
  auto connections = parse_connections(system::read_text_file("/proc/net/tcp"), system::read_text_file("/proc/net/tcp6"));
  const auto interfaces = interfaces_by_address();
  for (auto& one : connections) {
    const auto& own = one.direction == Direction::in ? one.destination : one.source;
    if (const auto found = interfaces.find(own); found != interfaces.end()) one.interface = found->second;
  }
  return connections;
}

std::optional<firewall::HostSession> parse_ssh_connection(std::string_view text) {
  std::istringstream words{std::string(text)};
  std::string client, client_port, server, server_port;
  words >> client >> client_port >> server >> server_port;
  const auto remote = parse_address(client.substr(0, client.find('%')));
  const auto local = parse_address(server.substr(0, server.find('%')));
  const auto from = parse_port(client_port);
  const auto to = parse_port(server_port);
  if (!remote || !local || !from || !to || remote->family() != local->family()) return std::nullopt;
  return firewall::HostSession{{*remote, *from}, {*local, *to}};
}

std::optional<firewall::HostSession> typing_session() {
  const auto interfaces = interfaces_by_address();
  const auto here = [&](const std::optional<firewall::HostSession>& session) {
    return session && !session->remote.address.is_loopback() && interfaces.contains(session->local.address);
  };
  auto process = ::getpid();
  for (int i = 0; i < ancestors_max && process > 1; ++i, process = parent_of(process)) {
    const auto session =
        parse_ssh_connection(variable_of(system::read_text_file(fmt::format("/proc/{}/environ", process)), "SSH_CONNECTION"));
    if (here(session)) return session;
  }
  return std::nullopt;
}

HostPacket first_packet(const firewall::HostSession& session) {
  HostPacket packet;
  packet.source = session.remote.address;
  packet.source_port = session.remote.port;
  packet.destination = session.local.address;
  packet.destination_port = session.local.port;
  const auto interfaces = interfaces_by_address();
  if (const auto found = interfaces.find(session.local.address); found != interfaces.end()) packet.interface = found->second;
  return packet;
}

}  // namespace drpf::guard
