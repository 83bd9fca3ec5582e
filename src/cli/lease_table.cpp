#include "cli/lease_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/value.hpp>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "api_client/admin_client.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

namespace json = boost::json;
using api_client::text_of;

constexpr const char* nothing_leased = "no leases yet: a device gets its ports when it connects\n";

std::string endpoint(const std::string& address, const std::string& port) {
  if (address.empty()) return "?:" + port;
  return (address.find(':') == std::string::npos ? address : "[" + address + "]") + ":" + port;
}

std::int64_t number_of(const json::value& lease, std::string_view member) {
  return static_cast<std::int64_t>(api_client::number_of(lease, member));
}

std::string run_of(std::int64_t first, std::int64_t last) {
  return first == last ? std::to_string(first) : fmt::format("{}-{}", first, last);
}

// The deadline of an active lease moves on by itself while its device is connected; a program's ends unless it asks again.
std::string state_of(const json::value& lease) {
  const auto state = text_of(lease, "state");
  const bool ends = state != "active" || text_of(lease, "kind") == "requested";
  const auto until = ends ? text_of(lease, "expires_at") : std::string();
  return until.empty() ? state : state + " until " + until;
}

terminal::Cell state_cell(const json::value& lease) {
  return {state_of(lease), text_of(lease, "state") == "active" ? terminal::Colour::green : terminal::Colour::dim};
}

// How a port is leased, but for its number and protocol: equal ones that follow each other are one row.
struct Manner {
  std::string host, device, account, kind, state, local_address;
  std::int64_t local_offset = 0;
  auto operator<=>(const Manner&) const = default;
};

struct Row {
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::set<std::string> protocols;
  const json::value* lease = nullptr;  // the first of them
};

using Numbers = std::map<std::int64_t, Row>;

// By the IPv4 address inside the tunnel, which each device has; an element of the other family tells nothing else.
std::map<Manner, Numbers> by_manner(const json::array& leases) {
  std::map<std::tuple<std::string, std::int64_t, std::string>, const json::value*> ports;
  for (const auto& lease : leases) {
    auto& one = ports[{text_of(lease, "host"), number_of(lease, "public_port"), text_of(lease, "protocol")}];
    if (one == nullptr || text_of(lease, "local_address").find(':') == std::string::npos) one = &lease;
  }
  std::map<Manner, Numbers> all;
  for (const auto& [key, lease] : ports) {
    const auto number = number_of(*lease, "public_port");
    auto& row = all[{text_of(*lease, "host"), text_of(*lease, "device"), text_of(*lease, "account"), text_of(*lease, "kind"),
                     state_of(*lease), text_of(*lease, "local_address"), number_of(*lease, "local_port") - number}][number];
    row.first = row.last = number;
    row.protocols.insert(text_of(*lease, "protocol"));
    if (row.lease == nullptr) row.lease = lease;
  }
  return all;
}

std::vector<Row> runs_of(const Numbers& numbers) {
  std::vector<Row> runs;
  for (const auto& [number, row] : numbers) {
    if (!runs.empty() && runs.back().last + 1 == number && runs.back().protocols == row.protocols)
      runs.back().last = number;
    else
      runs.push_back(row);
  }
  return runs;
}

// "198.51.100.1 and 2001:db8::1", for each host where there are several.
std::string addresses_of_hosts(const json::array& leases) {
  std::map<std::string, std::vector<std::string>> hosts;
  for (const auto& lease : leases) {
    auto& addresses = hosts[text_of(lease, "host")];
    const auto address = text_of(lease, "public_address");
    if (!address.empty() && std::find(addresses.begin(), addresses.end(), address) == addresses.end()) addresses.push_back(address);
  }
  std::string out;
  for (const auto& [host, addresses] : hosts)
    out += fmt::format("Public address{}{}: {}\n", addresses.size() > 1 ? "es" : "", hosts.size() > 1 ? " of " + host : "",
                       addresses.empty() ? "none at present" : fmt::format("{}", fmt::join(addresses, " and ")));
  return out;
}

}  // namespace

std::string lease_table(const json::value& leases) {
  const auto& all = leases.as_array();
  if (all.empty()) return nothing_leased;
  std::map<std::pair<std::string, std::int64_t>, std::vector<std::pair<Manner, Row>>> rows;
  std::set<std::string> hosts;
  for (const auto& [manner, numbers] : by_manner(all)) {
    hosts.insert(manner.host);
    for (const auto& row : runs_of(numbers)) rows[{manner.host, row.first}].emplace_back(manner, row);
  }
  std::vector<std::string> headings{"PORTS", "PROTOCOL", "DEVICE", "LEADS TO", "SERVICE", "ACCOUNT", "KIND", "STATE"};
  if (hosts.size() > 1) headings.insert(headings.begin(), "HOST");
  terminal::Table table(headings);
  for (const auto& [place, here] : rows)
    for (const auto& [manner, row] : here) {
      std::vector<terminal::Cell> cells{
          {run_of(row.first, row.last)},
          {fmt::format("{}", fmt::join(row.protocols, "+"))},
          {manner.device},
          {endpoint(manner.local_address, run_of(row.first + manner.local_offset, row.last + manner.local_offset))},
          {row.first == row.last ? text_of(*row.lease, "service") : ""},
          {manner.account},
          {manner.kind},
          state_cell(*row.lease)};
      if (hosts.size() > 1) cells.insert(cells.begin(), terminal::Cell{manner.host});
      table.add(std::move(cells));
    }
  return addresses_of_hosts(all) + "\n" + table.text(terminal::standard_output_has_colour());
}

std::string lease_table_of_all(const json::value& leases) {
  if (leases.as_array().empty()) return nothing_leased;
  terminal::Table table({"PUBLIC", "PROTOCOL", "DEVICE", "LEADS TO", "SERVICE", "ACCOUNT", "KIND", "STATE"});
  for (const auto& lease : leases.as_array())
    table.add({{endpoint(text_of(lease, "public_address"), text_of(lease, "public_port"))},
               {text_of(lease, "protocol")},
               {text_of(lease, "device")},
               {endpoint(text_of(lease, "local_address"), text_of(lease, "local_port"))},
               {text_of(lease, "service")},
               {text_of(lease, "account")},
               {text_of(lease, "kind")},
               state_cell(lease)});
  return table.text(terminal::standard_output_has_colour());
}

}  // namespace drpf::cli
