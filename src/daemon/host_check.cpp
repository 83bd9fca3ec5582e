#include "daemon/host_check.h"

#include <fcntl.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include "daemon/listeners.h"
#include "daemon/ways_in.h"
#include "firewall/foreign_rules.h"
#include "firewall/gateway_ruleset.h"
#include "ruleset/dead_man.h"
#include "system/fd.h"
#include "system/links_and_routes.h"
#include "system/nft_program.h"
#include "system/process.h"
#include "system/sysctl.h"
#include "system/text_file.h"

namespace drpf::daemon {
namespace {

using api::Finding;
using Level = api::Finding::Level;

constexpr Duration nft_time_limit = std::chrono::seconds(10);

firewall::RulesetView view_of(const configuration::Configuration& configuration, const std::vector<configuration::FoundHost>& hosts) {
  firewall::RulesetView view;
  view.tunnel_interface = configuration.tunnel_interface;
  view.tunnel_prefixes = {configuration.tunnel_v4};
  if (configuration.tunnel_v6) view.tunnel_prefixes.push_back(*configuration.tunnel_v6);
  for (const auto& found : hosts)
    view.public_interfaces.insert(view.public_interfaces.end(), found.interfaces.begin(), found.interfaces.end());
  std::sort(view.public_interfaces.begin(), view.public_interfaces.end());  // an interface may carry several hosts
  view.public_interfaces.erase(std::unique(view.public_interfaces.begin(), view.public_interfaces.end()), view.public_interfaces.end());
  for (const auto& found : hosts)
    for (const auto& address : {found.host.v4, found.host.v6})
      if (address) view.public_addresses.push_back(*address);
  view.pool = configuration.pool;
  view.reserved = configuration.reserved;
  view.snat = configuration.snat;
  view.wireguard_port = configuration.wireguard_port;
  view.api_port = configuration.api_port;
  view.upnp = configuration.upnp;
  return view;
}

void check_foreign_rules(const configuration::Configuration& configuration, const std::vector<configuration::FoundHost>& hosts,
                         bool running, std::vector<Finding>& findings) {
  if (system::find_program("nft").empty()) {
    findings.push_back({Level::problem, "firewall", "the program nft is not installed", "apt install nftables"});
    return;
  }
  const auto view = view_of(configuration, hosts);
  const auto listed = system::run_nft(system::NftTask::list_others, view.own_table, nft_time_limit);
  if (!listed || listed->exit_code != 0) {
    findings.push_back({Level::warning, "firewall",
                        "the host's rules could not be read: " + (listed ? listed->err : listed.error().message),
                        "run it as root, or with CAP_NET_ADMIN; the kernel needs nf_tables"});
    return;
  }
  const auto foreign = firewall::find_foreign_rules(listed->out, view);
  for (const auto& rule : foreign)
    findings.push_back({firewall::is_grave(rule) ? Level::problem : Level::warning, "firewall (" + rule.owner + ")",
                        "table " + rule.table + ", chain " + rule.chain + " " + firewall::explain(rule) + ": " + rule.text,
                        firewall::cure_for(rule, view)});
  if (foreign.empty()) findings.push_back({Level::good, "firewall", "no foreign rule drops, marks or rewrites the tunnel's traffic", {}});
  if (running && !firewall::has_own_table(listed->out, view))
    findings.push_back({Level::problem, "firewall", "the table " + view.own_table + " is gone: nothing is forwarded",
                        "the gateway restores it within seconds; find out who flushed the rules"});
}

// The routing rules that refuse what no rule set of ours has seen, and others that use the same mark.
void check_routing_rules(const configuration::Configuration& configuration, bool running, std::vector<Finding>& findings) {
  auto network = system::LinksAndRoutes::open();
  if (!network) return;
  const ruleset::DeadMan dead_man(tunnel_interfaces(configuration), configuration.tunnel_v4, configuration.tunnel_v6);
  const auto own = dead_man.rules();
  std::vector<system::RoutingRule> present;
  for (const auto family : {Family::v4, Family::v6})
    if (const auto rules = network->rules(family)) present.insert(present.end(), rules->begin(), rules->end());
  for (const auto& rule : own) {
    if (!running || std::find(present.begin(), present.end(), rule) != present.end()) continue;
    findings.push_back({Level::problem, "routing",
                        "the routing rule \"" + to_string(rule) +
                            "\" is gone: if another program flushed the firewall, packets would be "
                            "forwarded unchecked",
                        "the gateway puts it back within 2 s; if it is gone again, find out who removes it: ip monitor rule"});
  }
  for (const auto& rule : present) {
    if (!rule.mark || (rule.mark->mask & firewall::seen_mark) == 0 || std::find(own.begin(), own.end(), rule) != own.end()) continue;
    if (rule.mark->mask == 0xffffffff && rule.mark->value != firewall::seen_mark) continue;  // a whole mark that ours never is
    findings.push_back(
        {Level::warning, "routing",
         "the routing rule \"" + to_string(rule) + "\" looks at the bit 0x10000 of the packet mark, which drpf sets on all packets",
         "give that rule another bit of the mark"});
  }
}

void check_listeners(const configuration::Configuration& configuration, const std::vector<configuration::FoundHost>& hosts, bool running,
                     std::vector<Finding>& findings) {
  const auto listeners = reachable_listeners(configuration, hosts);
  if (!listeners) {
    findings.push_back({Level::warning, "port plan", "which programs of this host listen is not known: " + listeners.error().message,
                        listeners.error().cure});
    return;
  }
  bool clean = true;
  for (const auto& listener : *listeners) {
    const auto name = std::string(to_string(listener.protocol)) + " port " + to_string(listener.port);
    if (!running && listener.protocol == Protocol::udp && listener.port == configuration.wireguard_port) {
      clean = false;
      findings.push_back({Level::problem, "port plan", "another program listens on " + name + ", which devices are to connect to",
                          "end that program (ss -ulpn shows it), or choose another port ([tunnel] wireguard_port)"});
    } else if (configuration.pool.contains(listener.port)) {
      clean = false;
      findings.push_back(
          {Level::warning, "port plan",
           "a service of this host listens on " + name + ", inside the pool: the port is not leased to anybody who does not have it",
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

bool is_set(const std::string& name, std::string_view value) {
  const auto read = system::read_sysctl(name);
  return read && *read == value;
}

std::optional<std::uint64_t> number_in(const std::string& name) {
  const auto read = system::read_sysctl(name);
  std::uint64_t value = 0;
  if (!read || std::from_chars(read->data(), read->data() + read->size(), value).ec != std::errc{}) return std::nullopt;
  return value;
}

// What the gateway sets when it starts, so that it can be wrong only while it runs.
void check_own_sysctls(const configuration::Configuration& configuration, std::vector<Finding>& findings) {
  if (const auto ephemeral = system::read_ephemeral_ports();
      ephemeral && (ephemeral->overlaps(configuration.snat) || ephemeral->overlaps(configuration.pool) ||
                    ephemeral->contains(configuration.wireguard_port)))
    findings.push_back(
        {Level::problem, "sysctl",
         "net.ipv4.ip_local_port_range is " + to_string(*ephemeral) + ": this host's own connections may take leased or translated ports",
         "sysctl -w net.ipv4.ip_local_port_range='" + to_string(configuration.ephemeral.first()) + " " +
             to_string(configuration.ephemeral.last()) + "'"});
  // Turning forwarding off turns this on, and on turns it off: one finding is enough.
  if (is_set("net.ipv4.conf.all.accept_redirects", "1") && !is_set("net.ipv4.ip_forward", "0"))
    findings.push_back({Level::warning, "sysctl",
                        "net.ipv4.conf.all.accept_redirects is on: a neighbour on the public side can lead this host's packets to himself",
                        "sysctl -w net.ipv4.conf.all.accept_redirects=0"});
  if (is_set("net.ipv4.conf.all.src_valid_mark", "0"))
    findings.push_back({Level::problem, "sysctl",
                        "net.ipv4.conf.all.src_valid_mark is off: with rp_filter, packets from and to devices are dropped",
                        "the gateway turns it on again within 2 s; if it is off again, find out who does that"});
  std::vector<std::string> forwarding{"net.ipv4.ip_forward"};
  if (configuration.tunnel_v6) forwarding.emplace_back("net.ipv6.conf.all.forwarding");
  for (const auto& name : forwarding)
    if (is_set(name, "0"))
      findings.push_back({Level::problem, "sysctl", name + " is off: nothing is forwarded",
                          "the gateway turns it on again within 2 s; if it is off again, find out who does that"});
}

// The connection table belongs to the whole machine; a few devices must not be able to fill it.
void check_connection_table(const configuration::Configuration& configuration, std::vector<Finding>& findings) {
  constexpr std::uint64_t busy_devices = 8, ways = 2, alarm_percent = 80;
  const auto most = number_in("net.netfilter.nf_conntrack_max");
  if (!most) return;  // not loaded yet
  const auto per_device = std::uint64_t{configuration.limits.connections_per_device};
  if (*most < busy_devices * ways * per_device)
    findings.push_back({Level::warning, "sysctl",
                        "net.netfilter.nf_conntrack_max is " + std::to_string(*most) + ": " + std::to_string(busy_devices) +
                            " devices at their limit of " + std::to_string(per_device) +
                            " connections each way could fill the table, and then "
                            "nobody gets a new one",
                        "sysctl -w net.netfilter.nf_conntrack_max=" + std::to_string(busy_devices * ways * per_device) +
                            ", or a lower [limits] connections_per_device (at most " + std::to_string(*most / busy_devices / ways) +
                            " for this table)"});
  if (const auto count = number_in("net.netfilter.nf_conntrack_count"); count && *count * 100 > *most * alarm_percent)
    findings.push_back({Level::problem, "sysctl",
                        "the connection table is nearly full: " + std::to_string(*count) + " of " + std::to_string(*most),
                        "sysctl -w net.netfilter.nf_conntrack_max=" + std::to_string(*most * 4)});
}

// With several public interfaces, a visitor may come in by another one than the way back to him takes.
void check_reverse_paths(const std::vector<configuration::FoundHost>& hosts, std::vector<Finding>& findings) {
  std::set<std::string> interfaces;
  for (const auto& found : hosts) interfaces.insert(found.interfaces.begin(), found.interfaces.end());
  if (interfaces.size() < 2) return;
  for (auto interface : interfaces) {
    std::replace(interface.begin(), interface.end(), '.', '/');
    const auto name = "net.ipv4.conf." + interface + ".rp_filter";
    const auto for_all = number_in("net.ipv4.conf.all.rp_filter").value_or(0);
    if (std::max(for_all, number_in(name).value_or(0)) == 1)  // the higher one counts
      findings.push_back({Level::warning, "sysctl",
                          (for_all == 1 ? std::string("net.ipv4.conf.all.rp_filter") : name) + " is 1: visitors who come in by " +
                              interface + " but are answered by another public interface are dropped",
                          "sysctl -w " + name + "=2"});
  }
}

void check_sysctls(const configuration::Configuration& configuration, const std::vector<configuration::FoundHost>& hosts, bool running,
                   std::vector<Finding>& findings) {
  if (running) check_own_sysctls(configuration, findings);
  std::set<std::string> interfaces{"all", configuration.tunnel_interface};
  for (const auto& found : hosts) interfaces.insert(found.interfaces.begin(), found.interfaces.end());
  struct Wish {
    const char* name;
    std::string consequence;
  };
  const Wish wishes[] = {
      {"route_localnet", "packets from outside may be led to services that listen on 127.0.0.1 only"},
      {"accept_local", "packets from outside that carry an address of this host as their source are taken"},
  };
  for (auto interface : interfaces) {
    std::replace(interface.begin(), interface.end(), '.', '/');
    for (const auto& wish : wishes) {
      const auto name = "net.ipv4.conf." + interface + "." + wish.name;
      if (is_set(name, "1"))
        findings.push_back({Level::warning, "sysctl", name + " is on: " + wish.consequence, "sysctl -w " + name + "=0"});
    }
  }
  // Only where "all" has it, too, do the interfaces' own values count; it is off there by default.
  if (is_set("net.ipv4.conf.all.accept_source_route", "1"))
    findings.push_back({Level::warning, "sysctl",
                        "net.ipv4.conf.all.accept_source_route is on: senders may choose the way of their packets through this host",
                        "sysctl -w net.ipv4.conf.all.accept_source_route=0"});
  if (is_set("net.netfilter.nf_conntrack_helper", "1"))
    findings.push_back({Level::problem, "sysctl",
                        "net.netfilter.nf_conntrack_helper is on: a web page can open ports of a device (NAT slipstreaming)",
                        "sysctl -w net.netfilter.nf_conntrack_helper=0"});
  if (is_set("net.netfilter.nf_conntrack_tcp_loose", "1"))
    findings.push_back(
        {Level::note, "sysctl",
         "net.netfilter.nf_conntrack_tcp_loose is on: connections are taken up in the middle; drpf's rules refuse that for leases, "
         "and this would refuse it once more",
         "sysctl -w net.netfilter.nf_conntrack_tcp_loose=0"});
  if (is_set("net.netfilter.nf_conntrack_tcp_be_liberal", "1"))
    findings.push_back({Level::warning, "sysctl",
                        "net.netfilter.nf_conntrack_tcp_be_liberal is on: forged packets in open TCP connections are not told apart",
                        "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=0"});
  check_reverse_paths(hosts, findings);
  check_connection_table(configuration, findings);
}

// Linux 6.9 and newer keep a table for its owner and after its end.
bool keeps_tables(const char* release) {
  int major = 0, minor = 0;
  return std::sscanf(release, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 9));
}

void check_kernel(std::vector<Finding>& findings) {
  utsname name{};
  ::uname(&name);
  findings.push_back({Level::note, "kernel", std::string("Linux ") + name.release, {}});
  if (!keeps_tables(name.release))
    findings.push_back(
        {Level::note, "kernel",
         "this kernel cannot keep other programs from changing drpf's rules; they are looked at every 2 s and restored, and meanwhile "
         "nothing is forwarded",
         "Linux 6.9 or newer has it"});
  const system::Fd tun(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!tun.valid() && (errno == EMFILE || errno == ENFILE))
    findings.push_back({Level::problem, "kernel",
                        errno == EMFILE ? "this process can open no more files" : "this host can open no more files",
                        errno == EMFILE ? "raise its limit (LimitNOFILE= in the unit, ulimit -n), and look for who opens connections to it"
                                        : "raise fs.file-max, and look for the program that opens them"});
  else if (!tun.valid())
    findings.push_back({Level::problem, "kernel", std::string("/dev/net/tun cannot be opened: ") + std::strerror(errno),
                        "modprobe tun; in a container, pass the device /dev/net/tun in"});
  if (!system::read_text_file("/proc/net/ip_tables_names").empty() || !system::read_text_file("/proc/net/ip6_tables_names").empty())
    findings.push_back({Level::warning, "firewall", "rules of the old iptables-legacy are loaded; they are not seen by this check",
                        "look at `iptables-legacy-save`, and move them to nftables"});
}

}  // namespace

std::vector<Finding> check_host(const configuration::Configuration& configuration, const std::vector<configuration::FoundHost>& hosts,
                                bool running) {
  std::vector<Finding> findings;
  if (hosts.empty())
    findings.push_back(
        {Level::problem, "public address", "no public address was found: there is no default route", "name it: [[host]] ipv4 = \"...\""});
  for (const auto& found : hosts)
    for (const auto& address : {found.host.v4, found.host.v6})
      if (address && (address->is_link_local() || address->is_loopback()))
        findings.push_back({Level::problem, "public address", to_string(*address) + " cannot be reached from the Internet",
                            "name a public address: [[host]] ipv4 = \"...\""});
  check_foreign_rules(configuration, hosts, running, findings);
  check_routing_rules(configuration, running, findings);
  check_listeners(configuration, hosts, running, findings);
  check_sysctls(configuration, hosts, running, findings);
  check_kernel(findings);
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) { return a.level > b.level; });
  return findings;
}

}  // namespace drpf::daemon
