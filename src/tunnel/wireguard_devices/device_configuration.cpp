#include "tunnel/wireguard_devices/device_configuration.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/encoding.h"

namespace drpf::tunnel::wireguard_devices {
namespace {

constexpr std::uint16_t keepalive_s = 25;  // shorter than what NAT routers keep an idle UDP flow for
constexpr std::uint16_t tcp_headers_v4 = 40;
constexpr std::uint16_t tcp_headers_v6 = 60;
constexpr unsigned gateway_doors_port = 5351;
constexpr unsigned upnp_search_port = 1900;
constexpr unsigned rule_priority = 6472;  // before the main table (32766), whatever else is set up later
constexpr std::uint32_t mark_base = 0x64720000;
constexpr unsigned visitors_max = 65536;  // UDP visitors remembered at once, per family
constexpr unsigned visitors_minutes = 3;
// Nobody sends to this network, so a route to it leads nothing astray. Programs that ask a router for ports look for a route with a gateway
// whose destination is 0.0.0.0, and read no further.
constexpr const char* findable = "0.0.0.0/8";

bool is_zero(const std::array<std::uint8_t, 32>& key) {
  return std::all_of(key.begin(), key.end(), [](std::uint8_t byte) { return byte == 0; });
}

std::string findable_gateway(const Address& gateway) {
  return fmt::format("ip route add {} via {} dev %i onlink", findable, to_string(gateway));
}

// Marks answers and numbers their routing table. From the device's address, so that two tunnels on one machine do not share it.
std::uint32_t answer_mark(const Address& tunnel_v4) { return mark_base | (tunnel_v4.v4_host_order() & 0xffff); }

struct FamilyWords {
  const char* ip;        // of nft
  const char* option;    // of the ip program
  const char* set;       // name of the set of UDP visitors
  const char* set_type;  // of an address in it
};
constexpr FamilyWords words_v4{"ip", "-4", "visitors4", "ipv4_addr"};
constexpr FamilyWords words_v6{"ip6", "-6", "visitors6", "ipv6_addr"};

class InboundOnlyHooks {
 public:
  explicit InboundOnlyHooks(const DeviceConfiguration& configuration)
      : configuration_(configuration), mark_(fmt::format("{:#x}", answer_mark(configuration.tunnel_v4))) {}

  std::string text() {
    out_ = "Table = off\n";
    comment("Answers to visitors go back through the tunnel; everything else keeps its own way. This needs nftables.");
    clear_leftovers();
    firewall();
    fences();
    routes(words_v4, configuration_.gateway_v4);
    if (configuration_.tunnel_v6) routes(words_v6, configuration_.gateway_v6);
    comment("Programs that ask a router for ports find the gateway by this. It leads no traffic anywhere.");
    up(findable_gateway(configuration_.gateway_v4) + " || true");
    comment("Programs look for a UPnP gateway in the local network. This line, uncommented, makes them look in the tunnel:");
    comment("PostUp = ip -4 route add 239.255.255.250 dev %i");
    return std::move(out_);
  }

 private:
  void comment(std::string_view text) { out_.append("# ").append(text).append("\n"); }
  void up(std::string_view command) { out_.append("PostUp = ").append(command).append("\n"); }
  void down(std::string_view command) { out_.append("PreDown = ").append(command).append(" || true\n"); }
  void chain(std::string_view name, std::string_view hook) {
    up(fmt::format("nft 'add chain inet drpf-%i {} {{ type {}; policy accept; }}'", name, hook));
  }
  void rule(std::string_view chain, std::string_view text) { up(fmt::format("nft 'add rule inet drpf-%i {} {}'", chain, text)); }

  void clear_leftovers() {
    for (const auto* words : {&words_v4, &words_v6})
      up(fmt::format("while ip {} rule del fwmark {} table {} 2>/dev/null; do :; done", words->option, mark_, mark_));
    up("nft 'add table inet drpf-%i; delete table inet drpf-%i; add table inet drpf-%i'");
    down("nft delete table inet drpf-%i");
  }

  void firewall() {
    comment("What came in by the tunnel is remembered by a mark on its connection.");
    chain("arrive", "filter hook prerouting priority -150");
    rule("arrive", fmt::format("iifname \"%i\" ct state new ct mark set {}", mark_));
    rule("arrive", fmt::format("iifname != \"%i\" ct direction reply ct mark {} meta mark set {}", mark_, mark_));
    clamp("arrive", "iifname");
    comment("Answers carry the mark, and so find the tunnel's routing table.");
    chain("answer", "route hook output priority -150");
    rule("answer", fmt::format("ct direction reply ct mark {} meta mark set {}", mark_, mark_));
    chain("leave", "filter hook postrouting priority -150");
    clamp("leave", "oifname");
    comment("A UDP server that listens on all addresses would answer from the wrong one; this puts the right one in.");
    chain("mend", "filter hook output priority -310");
    udp(words_v4, configuration_.tunnel_v4);
    if (configuration_.tunnel_v6) udp(words_v6, *configuration_.tunnel_v6);
    comment("Visitors come in by the tunnel although the way back to them is another: no strict reverse path check on this interface.");
    up("echo 2 2>/dev/null >/proc/sys/net/ipv4/conf/%i/rp_filter || true");
  }

  // What drpf connect has as its fences, but for what may come out of the tunnel: there is nobody here who would learn of leases.
  void fences() {
    comment("The tunnel's address is this machine's alone: nobody beside or behind it speaks in its name, or asks for its ports.");
    chain("claim", "filter hook prerouting priority -300");
    chain("enter", "filter hook postrouting priority 150");
    chain("ask", "filter hook forward priority -2");
    const auto source = [this](const FamilyWords& words, const Address& own) {
      rule("claim", fmt::format("iifname != \"lo\" {} saddr {} drop", words.ip, to_string(own)));
      rule("enter", fmt::format("oifname \"%i\" {} saddr != {} drop", words.ip, to_string(own)));
    };
    source(words_v4, configuration_.tunnel_v4);
    if (configuration_.tunnel_v6) source(words_v6, *configuration_.tunnel_v6);
    rule("ask", fmt::format("oifname \"%i\" ct direction original meta l4proto {{ tcp, udp }} th dport {{ {}, {} }} drop", upnp_search_port,
                            gateway_doors_port));
  }

  // Segments must fit the tunnel, which is narrower than the way that the kernel believes it is on.
  void clamp(std::string_view chain, std::string_view direction) {
    const auto one = [&](std::string_view protocol, std::uint16_t headers) {
      const int size = configuration_.mtu - headers;
      rule(chain, fmt::format("{} \"%i\" meta nfproto {} tcp flags & syn == syn tcp option maxseg size > {} tcp option maxseg size set {}",
                              direction, protocol, size, size));
    };
    one("ipv4", tcp_headers_v4);
    if (configuration_.tunnel_v6) one("ipv6", tcp_headers_v6);
  }

  void udp(const FamilyWords& words, const Address& own) {
    up(fmt::format(
        "nft 'add set inet drpf-%i {} {{ type {} . inet_service . inet_service; size {}; flags dynamic,timeout; timeout {}m; }}'",
        words.set, words.set_type, visitors_max, visitors_minutes));
    rule("arrive", fmt::format("iifname \"%i\" {0} daddr {1} update @{2} {{ {0} saddr . udp sport . udp dport }}", words.ip, to_string(own),
                               words.set));
    rule("mend",
         fmt::format("{0} saddr != {1} {0} daddr . udp dport . udp sport @{2} {0} saddr set {1}", words.ip, to_string(own), words.set));
  }

  void routes(const FamilyWords& words, const std::optional<Address>& gateway) {
    up(fmt::format("ip {} route add default dev %i table {}", words.option, mark_));
    up(fmt::format("ip {} rule add fwmark {} table {} priority {}", words.option, mark_, mark_, rule_priority));
    down(fmt::format("ip {} rule del fwmark {} table {}", words.option, mark_, mark_));
    if (gateway) up(fmt::format("ip {} route add {} dev %i", words.option, to_string(*gateway)));
  }

  const DeviceConfiguration& configuration_;
  std::string mark_;
  std::string out_;
};

}  // namespace

std::string to_wg_quick_text(const DeviceConfiguration& configuration) {
  std::string out = fmt::format("# Device {} of account {}\n", configuration.device, configuration.account);
  if (configuration.inbound_only) out += "# drpf: inbound-only\n";
  out += "[Interface]\n";
  if (configuration.private_key)
    out += "PrivateKey = " + to_base64(*configuration.private_key) + "\n";
  else
    out += "# PrivateKey = (put in the device's own; the gateway never had it)\n";
  out += "Address = " + to_string(configuration.tunnel_v4) + "/32";
  if (configuration.tunnel_v6) out += ", " + to_string(*configuration.tunnel_v6) + "/128";
  out += fmt::format("\nMTU = {}\n", configuration.mtu);
  if (configuration.inbound_only) {
    out += InboundOnlyHooks(configuration).text();
  } else if (!configuration.dns.empty()) {
    std::string servers;
    for (const auto& server : configuration.dns) servers += (servers.empty() ? "" : ", ") + to_string(server);
    out += "DNS = " + servers + "\n";
  }
  // A comment: apps on phones refuse a file with PostUp.
  if (!configuration.inbound_only)
    out += "# Linux, if programs shall find the gateway: PostUp = " + findable_gateway(configuration.gateway_v4) + "\n";
  out += "\n[Peer]\nPublicKey = " + to_base64(configuration.gateway_public_key) + "\n";
  if (!is_zero(configuration.preshared_key)) out += "PresharedKey = " + to_base64(configuration.preshared_key) + "\n";
  // IPv6 too where the tunnel has none: the device's IPv6 must not leave beside the tunnel.
  out += "AllowedIPs = 0.0.0.0/0, ::/0\n";
  out += "Endpoint = " + configuration.endpoint + "\n";
  out += fmt::format("PersistentKeepalive = {}\n", keepalive_s);
  return out;
}

std::string endpoint_text(std::string_view host, Port default_port) {
  if (const auto address = parse_address(host)) return to_string(Endpoint{*address, default_port});
  if (host.starts_with('[')) return std::string(host) + (host.ends_with(']') ? ":" + to_string(default_port) : "");
  if (host.find(':') != std::string_view::npos) return std::string(host);
  return std::string(host) + ":" + to_string(default_port);
}

}  // namespace drpf::tunnel::wireguard_devices
