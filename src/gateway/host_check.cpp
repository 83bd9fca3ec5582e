#include "gateway/host_check.h"

#include <fcntl.h>
#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "firewall/foreign_rules.h"
#include "system/fd.h"
#include "system/listening_sockets.h"
#include "system/nft_program.h"
#include "system/process.h"

namespace drpf::gateway {
namespace {

using api::Finding;
using Level = api::Finding::Level;

constexpr Duration nft_time_limit = std::chrono::seconds(10);

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

firewall::RulesetView view_of(const Configuration& configuration) {
  firewall::RulesetView view;
  view.tunnel_interface = configuration.tunnel_interface;
  view.tunnel_prefixes = {configuration.tunnel_v4};
  if (configuration.tunnel_v6) view.tunnel_prefixes.push_back(*configuration.tunnel_v6);
  return view;
}

std::string explain(firewall::ForeignRule::Effect effect) {
  switch (effect) {
    case firewall::ForeignRule::Effect::drops_forwarded:
      return "drops forwarded packets unless it is told to let them pass, so leases would not be reached";
    case firewall::ForeignRule::Effect::drops_input:
      return "drops incoming packets unless it is told to let them pass, so devices may not be able to connect";
    case firewall::ForeignRule::Effect::rewrites_source:
      return "may give tunnel traffic source ports that belong to services or to other devices' leases (Port Shadow)";
  }
  return {};
}

void check_foreign_rules(const Configuration& configuration, bool running, std::vector<Finding>& findings) {
  if (system::find_program("nft").empty()) {
    findings.push_back({Level::problem, "firewall", "the program nft is not installed", "apt install nftables"});
    return;
  }
  const auto listed = system::run_nft(system::NftTask::list, {}, nft_time_limit);
  if (!listed || listed->exit_code != 0) {
    findings.push_back({Level::warning, "firewall",
                        "the host's rules could not be read: " + (listed ? listed->err : listed.error().message),
                        "run it as root, or with CAP_NET_ADMIN"});
    return;
  }
  const auto view = view_of(configuration);
  const auto foreign = firewall::find_foreign_rules(listed->out, view);
  for (const auto& rule : foreign)
    findings.push_back({rule.effect == firewall::ForeignRule::Effect::drops_forwarded ? Level::problem : Level::warning,
                        "firewall (" + rule.owner + ")",
                        "table " + rule.table + ", chain " + rule.chain + " " + explain(rule.effect) + ": " + rule.text,
                        firewall::cure_for(rule, view, configuration.wireguard_port)});
  if (foreign.empty()) findings.push_back({Level::good, "firewall", "no foreign rule drops or rewrites the tunnel's traffic", {}});
  if (running && listed->out.find("table " + view.own_table) == std::string::npos)
    findings.push_back({Level::problem, "firewall", "the table " + view.own_table + " is gone: nothing is forwarded",
                        "the gateway restores it within seconds; find out who flushed the rules"});
}

void check_listeners(const Configuration& configuration, std::vector<Finding>& findings) {
  bool clean = true;
  for (const auto& listener : reachable_listeners(configuration)) {
    const auto name = std::string(to_string(listener.protocol)) + " port " + to_string(listener.port);
    if (configuration.pool.contains(listener.port)) {
      clean = false;
      findings.push_back({Level::warning, "port plan", "a service of this host listens on " + name + ", inside the pool: it is not leased",
                          "move the service below port 10000, or the pool away from it ([ports] pool)"});
    } else if (configuration.snat.contains(listener.port)) {
      clean = false;
      findings.push_back({listener.protocol == Protocol::tcp ? Level::problem : Level::warning, "port plan",
                          "a service of this host listens on " + name + ", inside the range that devices' own traffic is translated to",
                          "move the service, or the range away from it ([ports] snat)"});
    }
  }
  if (clean) findings.push_back({Level::good, "port plan", "no service of this host listens inside the pool or the translation range", {}});
}

void check_sysctls(const Configuration& configuration, bool running, std::vector<Finding>& findings) {
  if (!running) return;  // the gateway sets them itself
  std::istringstream range(read_file("/proc/sys/net/ipv4/ip_local_port_range"));
  std::uint16_t first = 0, last = 0;
  range >> first >> last;
  const PortRange ephemeral(Port{first}, Port{last});
  if (ephemeral.overlaps(configuration.snat) || ephemeral.overlaps(configuration.pool) || ephemeral.contains(configuration.wireguard_port))
    findings.push_back(
        {Level::problem, "sysctl",
         "net.ipv4.ip_local_port_range is " + to_string(ephemeral) + ": this host's own connections may take leased or translated ports",
         "sysctl -w net.ipv4.ip_local_port_range='" + to_string(configuration.ephemeral.first()) + " " +
             to_string(configuration.ephemeral.last()) + "'"});
  if (!read_file("/proc/sys/net/ipv4/ip_forward").starts_with("1"))
    findings.push_back({Level::problem, "sysctl", "net.ipv4.ip_forward is off: nothing is forwarded", "sysctl -w net.ipv4.ip_forward=1"});
}

void check_kernel(std::vector<Finding>& findings) {
  utsname name{};
  ::uname(&name);
  findings.push_back({Level::note, "kernel", std::string("Linux ") + name.release, {}});
  const system::Fd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!tun.valid())
    findings.push_back(
        {Level::problem, "kernel", "/dev/net/tun cannot be opened", "modprobe tun; in a container, pass the device /dev/net/tun in"});
  if (!read_file("/proc/net/ip_tables_names").empty())
    findings.push_back({Level::warning, "firewall", "rules of the old iptables-legacy are loaded; they are not seen by this check",
                        "look at `iptables-legacy-save`, and move them to nftables"});
}

}  // namespace

std::vector<Listener> reachable_listeners(const Configuration& configuration) {
  std::vector<Listener> listeners;
  for (const auto& socket : system::listening_sockets()) {
    const auto& address = socket.local.address;
    if (address.is_loopback() || configuration.tunnel_v4.contains(address)) continue;
    if (configuration.tunnel_v6 && configuration.tunnel_v6->contains(address)) continue;
    if (socket.protocol == Protocol::udp && configuration.ephemeral.contains(socket.local.port))
      continue;  // a client's socket, not a service
    listeners.push_back({socket.protocol, socket.local.port});
  }
  return listeners;
}

std::vector<Finding> check_host(const Configuration& configuration, const std::vector<FoundHost>& hosts, bool running) {
  std::vector<Finding> findings;
  if (hosts.empty())
    findings.push_back(
        {Level::problem, "public address", "no public address was found: there is no default route", "name it: [[host]] ipv4 = \"...\""});
  for (const auto& found : hosts)
    for (const auto& address : {found.host.v4, found.host.v6})
      if (address && (address->is_link_local() || address->is_loopback()))
        findings.push_back({Level::problem, "public address", to_string(*address) + " cannot be reached from the Internet",
                            "name a public address: [[host]] ipv4 = \"...\""});
  check_foreign_rules(configuration, running, findings);
  check_listeners(configuration, findings);
  check_sysctls(configuration, running, findings);
  check_kernel(findings);
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) { return a.level > b.level; });
  return findings;
}

}  // namespace drpf::gateway
