// Cures take no wall out: they name our packets to the program that owns the chain, and touch none of its other rules.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "firewall/foreign_rules.h"

namespace drpf::firewall {
namespace {

using Effect = ForeignRule::Effect;
using Kind = OurPacket::Kind;

constexpr unsigned search_port = 1900;
constexpr std::string_view firewalld_zone = "drpf", firewalld_policy = "drpf-out", firewalld_policy_in = "drpf-in";

std::string joined(const std::vector<std::string>& commands) {
  std::string out;
  for (const auto& command : commands) out += (out.empty() ? "" : "; ") + command;
  return out;
}

// "filter_IN_public", "filter_IN_public_deny": whose zone the public interface is in; without one it is firewalld's default.
std::string zone_of(std::string_view chain) {
  constexpr std::string_view of_zone = "filter_IN_", of_policy = "filter_IN_policy_";
  if (!chain.starts_with(of_zone) || chain.starts_with(of_policy)) return {};
  chain.remove_prefix(of_zone.size());
  for (const std::string_view part : {"_pre", "_log", "_deny", "_allow", "_post"})
    if (chain.ends_with(part)) chain.remove_suffix(part.size());
  return fmt::format("--zone={} ", chain);
}

class PassageCure {
 public:
  PassageCure(const ForeignRule& rule, const RulesetView& view) : rule_(rule), view_(view), tunnel_(view.tunnel_interface) {}

  std::string text() {
    if (rule_.owner == "firewalld") return by_firewalld();
    if (rule_.owner == "ufw") return by_ufw();
    if (rule_.owner == "docker" && rule_.base_chain == "FORWARD") return by_docker();
    return by_nft();
  }

 private:
  bool hits(Kind kind) const { return rule_.packets.count(kind) != 0; }
  bool hits_outward() const { return hits(Kind::from_device) || hits(Kind::answer_to_device); }
  bool hits_inward() const { return hits(Kind::visit) || hits(Kind::answer_to_visit); }
  void run(std::string command) {
    if (std::find(commands_.begin(), commands_.end(), command) == commands_.end()) commands_.push_back(std::move(command));
  }

  // The zone is of devices only: nothing of this host is open in it but what the gateway serves them.
  std::string by_firewalld() {
    const auto set = [&](const std::string& arguments) { run("firewall-cmd --permanent " + arguments); };
    if (hits(Kind::handshake)) {
      const auto zone = zone_of(rule_.chain);
      set(fmt::format("{}--add-port={}/udp", zone, view_.wireguard_port.value()));
    }
    if (hits(Kind::request) || hits_outward() || hits_inward()) {
      set(fmt::format("--new-zone={}", firewalld_zone));
      set(fmt::format("--zone={} --change-interface={}", firewalld_zone, tunnel_));
      set(fmt::format("--zone={} --add-port={}/udp --add-port={}/tcp{}", firewalld_zone, view_.port_mapping_port.value(),
                      view_.api_port.value(), view_.upnp ? fmt::format(" --add-port={}/udp", search_port) : std::string()));
    }
    if (hits_outward()) {
      set(fmt::format("--new-policy={}", firewalld_policy));
      set(fmt::format("--policy={} --add-ingress-zone={}", firewalld_policy, firewalld_zone));
      set(fmt::format("--policy={} --add-egress-zone=ANY", firewalld_policy));
      set(fmt::format("--policy={} --set-target=ACCEPT", firewalld_policy));
    }
    if (hits_inward()) {
      set(fmt::format("--new-policy={}", firewalld_policy_in));
      set(fmt::format("--policy={} --add-ingress-zone=ANY", firewalld_policy_in));
      set(fmt::format("--policy={} --add-egress-zone={}", firewalld_policy_in, firewalld_zone));
      set(fmt::format("--policy={} --set-target=ACCEPT", firewalld_policy_in));
    }
    if (commands_.empty())
      return fmt::format("look for that rule in firewalld: firewall-cmd --list-all-zones; firewall-cmd --direct --get-all-rules");
    run("firewall-cmd --reload");
    return "let firewalld know the tunnel: " + joined(commands_);
  }

  std::string by_ufw() {
    if (hits(Kind::handshake)) run(fmt::format("ufw allow {}/udp", view_.wireguard_port.value()));
    if (hits(Kind::request)) {
      run(fmt::format("ufw allow in on {} to any port {} proto udp", tunnel_, view_.port_mapping_port.value()));
      run(fmt::format("ufw allow in on {} to any port {} proto tcp", tunnel_, view_.api_port.value()));
      if (view_.upnp) run(fmt::format("ufw allow in on {} to any port {} proto udp", tunnel_, search_port));
    }
    for (const auto& interface : view_.public_interfaces) {
      if (hits(Kind::tunnel_out))
        run(fmt::format("ufw allow out on {} proto udp from any port {}", interface, view_.wireguard_port.value()));
      if (hits_outward()) run(fmt::format("ufw route allow in on {} out on {}", tunnel_, interface));
      if (hits_inward()) run(fmt::format("ufw route allow in on {} out on {}", interface, tunnel_));
    }
    if (hits(Kind::answer_to_request)) run(fmt::format("ufw allow out on {}", tunnel_));
    return "let ufw know the tunnel: " + joined(commands_);
  }

  // Docker asks this chain before its own, and with both of its back ends it leaves the chain to others.
  std::string by_docker() {
    const auto program = rule_.table.starts_with("ip6") ? "ip6tables" : "iptables";
    for (const auto& interface : view_.public_interfaces) {
      run(fmt::format("{} -I DOCKER-USER -i {} -o {} -j ACCEPT", program, tunnel_, interface));
      run(fmt::format("{} -I DOCKER-USER -i {} -o {} -j ACCEPT", program, interface, tunnel_));
    }
    return "let the tunnel pass before Docker's own chains, and again after each boot: " + joined(commands_);
  }

  std::string by_nft() {
    const auto accept = [&](const std::string& match) {
      run(fmt::format("nft insert rule {} {} {} accept", rule_.table, rule_.base_chain, match));
    };
    const bool is_forward = rule_.base_chain_hook == "forward";
    const auto port = view_.wireguard_port.value();
    if (hits(Kind::handshake)) accept(fmt::format("udp dport {}", port));
    if (hits(Kind::tunnel_out)) accept(fmt::format("udp sport {}", port));
    if (hits(Kind::request)) {
      accept(fmt::format("iifname {} udp dport {}", tunnel_, view_.port_mapping_port.value()));
      accept(fmt::format("iifname {} tcp dport {}", tunnel_, view_.api_port.value()));
      if (view_.upnp) accept(fmt::format("iifname {} udp dport {}", tunnel_, search_port));
    }
    if (hits(Kind::answer_to_request)) accept(fmt::format("oifname {}", tunnel_));
    if (hits_outward() || hits_inward()) {
      if (is_forward) {
        accept(fmt::format("iifname {}", tunnel_));
        accept(fmt::format("oifname {}", tunnel_));
      } else if (rule_.base_chain_hook == "postrouting" || rule_.base_chain_hook == "egress") {
        if (hits_inward() || hits(Kind::answer_to_device)) accept(fmt::format("oifname {}", tunnel_));
        for (const auto& interface : view_.public_interfaces)
          if (hits(Kind::from_device) || hits(Kind::answer_to_visit)) accept(fmt::format("oifname {} ct status snat,dnat", interface));
      } else {
        accept(fmt::format("iifname {}", tunnel_));
        for (const auto& interface : view_.public_interfaces)
          if (hits(Kind::visit) || hits(Kind::answer_to_device))
            accept(fmt::format("iifname {} meta l4proto {{ tcp, udp }} th dport {{ {}, {} }}", interface, to_string(view_.pool),
                               to_string(view_.snat)));
      }
    }
    return "write these rules into the file that makes that table (/etc/nftables.conf?), and put them in place now: " + joined(commands_);
  }

  const ForeignRule& rule_;
  const RulesetView& view_;
  const std::string& tunnel_;
  std::vector<std::string> commands_;
};

// Programs put their rules back: what nft takes out of their tables is there again after their next reload, and a wall of theirs is gone
// until then.
std::string take_out(const ForeignRule& rule) {
  if (rule.owner == "firewalld")
    return "take it out of firewalld (firewall-cmd --list-all-zones, --list-all-policies and --direct --get-all-rules show what it stems "
           "from)";
  if (rule.owner == "ufw") return "take it out of ufw (ufw status numbered; /etc/ufw/before.rules)";
  if (rule.owner == "docker") return "see which container or network it is for (docker ps, docker network ls), and change that one";
  const auto chain = rule.table + " " + rule.chain;
  return "take the rule out: nft delete rule " + chain + " handle " +
         (rule.handle.empty() ? "N (`nft -a list chain " + chain + "` shows it)" : rule.handle);
}

}  // namespace

std::string cure_for(const ForeignRule& rule, const RulesetView& view) {
  switch (rule.effect) {
    case Effect::drops_all:
      return PassageCure(rule, view).text();
    case Effect::drops_some:
      return "make sure that it is meant for others, and limit it to their interfaces, networks or ports; or " + take_out(rule);
    case Effect::undecided:
      return "see by trying: connect a device, and visit a lease of it from outside; where that works, the rule does no harm";
    case Effect::rewrites_source:
      return "drpf translates its tunnels' addresses itself: limit that rule to its own networks (for example "
             "`ip saddr 172.17.0.0/16`), or " +
             take_out(rule);
    case Effect::redirects_visitors:
      return "use a port outside the pool " + to_string(view.pool) + " there, or keep the port from being leased ([ports] reserved), or " +
             take_out(rule);
    case Effect::marks_connections:
    case Effect::marks_packets:
      return "limit that rule to its own interfaces or networks, or " + take_out(rule);
    case Effect::untracks:
    case Effect::offloads:
      return "limit that rule to other interfaces than " + view.tunnel_interface + " and the public one, or " + take_out(rule);
  }
  return {};
}

}  // namespace drpf::firewall
