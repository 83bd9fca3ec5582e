#include "simulation/model_host.h"

#include <fmt/format.h>

#include "configuration/configuration_file.h"
#include "daemon/prove_configuration.h"
#include "daemon/ruleset_for.h"
#include "firewall/gateway_ruleset.h"

namespace drpf::simulation {
namespace {

const char* const public_interface = "wan";

std::vector<Address> addresses_of(const Surroundings& surroundings) {
  std::vector<Address> all;
  if (surroundings.v4) all.push_back(*surroundings.v4);
  if (surroundings.v6) all.push_back(*surroundings.v6);
  if (surroundings.has_second) all.push_back(second_v4);
  return all;
}

// As daemon::find_public_hosts does it with what the kernel says.
Result<std::vector<configuration::FoundHost>> find(const configuration::Configuration& configuration, const Surroundings& surroundings) {
  std::vector<configuration::FoundHost> found;
  for (const auto& host : configuration.hosts) {
    lease::PublicHost one{host.name, host.v4, host.v6};
    if (!host.v4 && !host.v6) one = {host.name, surroundings.v4, surroundings.v6};
    if (!one.v4 && !one.v6) return fail(unavailable("public_address_missing", "the simulated host has no address"));
    found.push_back({one, {public_interface}});
  }
  return found;
}

daemon::HostFacts facts_of(const Surroundings& surroundings, bool running) {
  daemon::HostFacts facts;
  facts.running = running;
  facts.has_user = facts.may_open_tun = [](const std::string&) { return true; };
  system::Link link;
  link.name = public_interface;
  facts.links.push_back(link);
  for (const auto& address : addresses_of(surroundings)) {
    system::InterfaceAddress one;
    one.interface = public_interface;
    one.address = address;
    facts.addresses.push_back(one);
  }
  facts.listeners.assign(surroundings.listeners.begin(), surroundings.listeners.end());
  return facts;
}

}  // namespace

std::string file_text(std::uint32_t variant) {
  const auto has = [variant](std::uint32_t bit) { return (variant & bit) != 0; };
  return fmt::format(
      R"([tunnel]
ipv4 = "{}"
ipv6 = "fd77::/64"
[leases]
grace = "{}"
[limits]
accounts_max = 5
devices_per_account_max = 3
[ports]
ephemeral = "{}"
reserved = [{}]
pool = "{}"
[[plan]]
name = "personal"
ports_max = 4
ports_at_connect = 2
lease_lifetime = "20m"
[[plan]]
name = "business"
ports_max = 9
ports_at_connect = 3
port_choice = true
lease_lifetime = "10m"
[[host]]
name = "main"
interfaces = ["wan"]
{})",
      has(16) ? "10.78.0.0/16" : "10.77.0.0/16", has(1) ? "30m" : "40m", has(32) ? "53000-60999" : "52000-60999", has(8) ? "20008" : "",
      has(4) ? "20004-20017" : "20000-20017", has(2) ? "" : "[[host]]\nname = \"second\"\nipv4 = \"198.51.100.2\"\n");
}

Result<configuration::Setup> read_setup(const Surroundings& surroundings, bool running) {
  auto configuration = configuration::parse_configuration(surroundings.file, "drpf.toml");
  if (!configuration) return fail(configuration.error());
  if (auto proven = daemon::prove_against(*configuration, facts_of(surroundings, running)); !proven) return fail(proven.error());
  auto hosts = find(*configuration, surroundings);
  if (!hosts) return fail(hosts.error());
  return configuration::Setup{std::move(*configuration), std::move(*hosts), {surroundings.listeners.begin(), surroundings.listeners.end()}};
}

std::string ruleset_text(const configuration::Setup& setup) {
  auto text = firewall::nft_text(daemon::ruleset_for(setup));
  if (!text) throw Violation("a setup that was proven makes no rule set: " + text.error().message);
  return *text;
}

Result<std::vector<configuration::FoundHost>> ModelHost::find_hosts(const configuration::Configuration& configuration) {
  return find(configuration, world_.surroundings);
}

Status ModelHost::put_parameters(const configuration::Setup& setup) {
  world_.faults.crash_point("before the host's parameters");
  const auto refused = [](const char* how) {
    return fail(failure("sysctl_refused", std::string("the simulated kernel refuses a parameter") + how));
  };
  if (world_.faults.strikes(Fault::kernel_refuses, 12)) return refused("");
  world_.kernel.ephemeral = setup.configuration.ephemeral;
  if (world_.faults.strikes(Fault::kernel_doubtful, 12)) return refused(" (but did it)");
  return {};
}

Status ModelHost::put_ruleset(const configuration::Setup& setup, std::span<const lease::Redirection> leases, Time now) {
  world_.about_to_change(setup);
  if (world_.faults.mutated(Mutation::ruleset_stays) && !world_.kernel.ruleset.empty()) return {};
  return world_.redirect.change_ruleset(ruleset_text(setup), leases, now);
}

}  // namespace drpf::simulation
