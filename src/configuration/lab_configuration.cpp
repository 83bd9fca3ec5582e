#include "configuration/lab_configuration.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include "configuration/configuration_file.h"
#include "configuration/toml_table.h"

namespace drpf::configuration {
namespace {

constexpr std::uint64_t first_host_number = 1;
constexpr std::uint64_t entry_number = 2;
constexpr std::uint64_t more_hosts_number = 100;  // and the following; there are at most 64

class Mapping {
 public:
  Mapping(const Configuration& given, const LabNetwork& network) : given_(given), network_(network) {}

  void apply(toml::table& root, LabConfiguration& out) {
    hosts(root, out);
    entry(root, out);
    limits(root, out);
    tunnel(root);
    if (!root.contains("plan")) root.insert_or_assign("plan", toml::array{});
    if (auto* plans = root.get_as<toml::array>("plan"))
      plans->push_back(toml::table{{"name", network_.plan}, {"ports_max", 1000}, {"ports_at_connect", 1}, {"port_choice", true}});
  }

 private:
  // The gateway of the lab has a key of its own, and would have a prefix of its own.
  void tunnel(toml::table& root) const {
    if (!root.contains("tunnel")) root.insert("tunnel", toml::table{});
    auto& table = *root.get_as<toml::table>("tunnel");
    if (!table.contains("ipv6") && given_.tunnel_v6) table.insert("ipv6", to_string(*given_.tunnel_v6));
  }

  static std::uint64_t number_of(std::size_t host) { return host == 0 ? first_host_number : more_hosts_number + host; }

  void hosts(toml::table& root, LabConfiguration& out) const {
    toml::array mapped;
    const auto put = [&](const PublicHostConfig& host, std::size_t index) {
      const bool both = !host.v4 && !host.v6;
      toml::table table{{"name", host.name}, {"interfaces", toml::array{network_.interface}}};
      const auto number = number_of(index);
      if (host.v4 || both) {
        out.addresses.push_back(network_.public_v4.nth(number));
        table.insert("ipv4", to_string(out.addresses.back()));
      }
      if (network_.public_v6 && (host.v6 || both)) {
        out.addresses.push_back(network_.public_v6->nth(number));
        table.insert("ipv6", to_string(out.addresses.back()));
      }
      mapped.push_back(std::move(table));
    };
    for (std::size_t i = 0; i < given_.hosts.size(); ++i) put(given_.hosts[i], i);
    if (given_.hosts.empty()) put({}, 0);
    root.insert_or_assign("host", std::move(mapped));
  }

  // The address of the host that has the operator's, or one of its own.
  Address entry_for(const Address& given) const {
    const Prefix& prefix = given.is_v4() ? network_.public_v4 : *network_.public_v6;
    for (std::size_t i = 0; i < given_.hosts.size(); ++i)
      if (given_.hosts[i].v4 == given || given_.hosts[i].v6 == given) return prefix.nth(number_of(i));
    return prefix.nth(entry_number);
  }

  void entry(toml::table& root, LabConfiguration& out) const {
    root.erase("entry");
    toml::table table;
    for (const auto& given : {given_.entry_v4, given_.entry_v6}) {
      if (!given || (given->is_v6() && !network_.public_v6)) continue;
      const Address address = entry_for(*given);
      table.insert(given->is_v4() ? "ipv4" : "ipv6", to_string(address));
      if (std::find(out.addresses.begin(), out.addresses.end(), address) == out.addresses.end()) out.addresses.push_back(address);
    }
    if (!table.empty()) root.insert("entry", std::move(table));
  }

  void limits(toml::table& root, LabConfiguration& out) const {
    if (!root.contains("limits")) root.insert("limits", toml::table{});
    // As many visits as are tried come faster than one lease may be visited.
    root.get_as<toml::table>("limits")->insert_or_assign("packets_per_lease_per_s", std::int64_t{0});
    if (given_.limits.connections_per_device <= network_.connections_max) return;
    out.remarks.push_back(fmt::format("the limit of {} connections per device is tried with {}, which this kernel can hold beside others",
                                      given_.limits.connections_per_device, network_.connections_max));
    root.get_as<toml::table>("limits")->insert_or_assign("connections_per_device", std::int64_t{network_.connections_max});
  }

  const Configuration& given_;
  const LabNetwork& network_;
};

}  // namespace

Result<LabConfiguration> make_lab_configuration(std::string_view text, std::string_view file_name, const LabNetwork& network) {
  const auto given = parse_configuration(text, file_name);
  if (!given) return fail(given.error());
  LabConfiguration out;
  try {
    auto parsed = toml::parse(text, file_name);
    if (!parsed) return fail(misconfigured("config_malformed", fmt::format("{} cannot be read again", file_name)));
    toml::table& root = parsed.table();
    Mapping(*given, network).apply(root, out);
    std::ostringstream written;
    written << root << "\n";
    out.text = written.str();
  } catch (const TomlAssertion&) {
    return fail(misconfigured("config_malformed", fmt::format("{} cannot be read again", file_name)));
  }
  auto settings = parse_configuration(out.text, "the lab's configuration");
  if (!settings) return fail(settings.error());
  out.settings = std::move(*settings);
  return out;
}

}  // namespace drpf::configuration
