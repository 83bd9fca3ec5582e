#include "configuration/configuration_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "configuration/port_uses.h"
#include "configuration/toml_table.h"
#include "core/interface_name.h"
#include "core/text.h"
#include "firewall/port_plan.h"
#include "lease/validation.h"
#include "proxy/policy.h"
#include "tunnel/wireguard/crypto_workers.h"

namespace drpf::configuration {
namespace {

using namespace std::chrono_literals;

constexpr Duration day = std::chrono::hours(24);
constexpr std::size_t hosts_max = 64;
constexpr std::size_t private_networks_max = 64;
constexpr std::size_t proxy_list_max = 64;
constexpr Port port_mapping_port{5351};  // NAT-PMP and PCP: RFC 6886 section 1.1, RFC 6887 section 19.1
constexpr Port ssdp_port{1900};
constexpr std::uint16_t mtu_smallest = 576;
constexpr std::uint16_t mtu_smallest_v6 = 1280;  // RFC 8200 section 5
constexpr std::uint16_t mtu_largest = 9000;
constexpr unsigned tunnel_v4_shortest = 8;
constexpr unsigned tunnel_v4_longest = 29;  // the gateway and five devices
constexpr unsigned tunnel_v6_shortest = 32;
constexpr std::size_t host_name_length_max = 253;  // RFC 1035 section 2.3.4, without the dot at the end

bool is_name(std::string_view name) { return lease::validate_name("public host", name).has_value(); }

// What nobody can have as the address of a device or of a server.
bool is_special(const Prefix& prefix) {
  static const std::array special = {*parse_prefix("0.0.0.0/8"),   *parse_prefix("127.0.0.0/8"), *parse_prefix("169.254.0.0/16"),
                                     *parse_prefix("224.0.0.0/3"), *parse_prefix("::/64"),       *parse_prefix("fe80::/10"),
                                     *parse_prefix("ff00::/8")};
  return std::any_of(special.begin(), special.end(), [&](const Prefix& one) { return one.overlaps(prefix); });
}

class Reader {
 public:
  Reader(const toml::table& file, FileFaults& faults, Configuration defaults)
      : root_(file, "the file", faults), faults_(faults), out_(std::move(defaults)) {}

  Configuration read() {
    section("tunnel", [this](TomlTable& table) { read_tunnel(table); });
    section("openvpn", [this](TomlTable& table) { read_openvpn(table); });
    section("entry", [this](TomlTable& table) { read_entry(table); });
    root_.each_table("host", [this](const toml::table& table) { read_host(table); });
    root_.each_table("plan", [this](const toml::table& table) { read_plan(table); });
    section("ports", [this](TomlTable& table) { read_ports(table); });
    section("api", [this](TomlTable& table) {
      table.port("port", out_.api_port);
      table.boolean("upnp", out_.upnp);
    });
    prove_disjoint();
    prove_sockets_apart();
    section("leases", [this](TomlTable& table) { read_leases(table); });
    section("audit", [this](TomlTable& table) { table.duration("every", out_.audit_every, 0s, 30 * day); });
    section("proxy", [this](TomlTable& table) { read_proxy(table); });
    section("limits", [this](TomlTable& table) { read_limits(table); });
    section("daemon", [this](TomlTable& table) {
      out_.user_named = table.has("user");
      table.text("user", out_.user);
    });
    root_.finish();
    return std::move(out_);
  }

 private:
  template <class Function>
  void section(std::string_view name, Function function) {
    const auto* found = root_.table(name);
    static const toml::table nothing;
    TomlTable table(found ? *found : nothing, fmt::format("[{}]", name), faults_);
    function(table);
    if (found) table.finish();
  }

  void read_entry(TomlTable& table) {
    table.address("ipv4", Family::v4, out_.entry_v4);
    table.address("ipv6", Family::v6, out_.entry_v6);
    refuse_inside_tunnel(table, out_.entry_v4, out_.entry_v6);
    std::string name;
    table.text("name", name);
    if (!table.has("name")) return;
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':';
    });
    const bool is_address = parse_address(name).has_value();
    const bool is_host_name = plain && !name.empty() && name.find(':') == std::string::npos && is_letter_or_digit(name.front());
    if (name.size() > host_name_length_max || !(is_address || is_host_name))
      return table.fault("name", "this is not a host name or address", "write it like vpn.example.org, without a port");
    out_.endpoint_name = name;
  }

  void read_tunnel(TomlTable& table) {
    table.text("interface", out_.tunnel_interface);
    if (!is_interface_name(out_.tunnel_interface))
      table.fault("interface", "this cannot be the name of an interface", "use 1 to 15 letters, digits, '-' or '_'");
    // The kernel's parameters of all interfaces, of those to come, and its own way back.
    for (const auto* taken : {"all", "default", "lo"})
      if (out_.tunnel_interface == taken)
        table.fault("interface", fmt::format("'{}' means something else to the kernel", taken), "choose another name, like drpf0");
    table.prefix("ipv4", Family::v4, out_.tunnel_v4);
    if (out_.tunnel_v4.length() < tunnel_v4_shortest || out_.tunnel_v4.length() > tunnel_v4_longest)
      table.fault("ipv4",
                  fmt::format("a /{} is too {} for the tunnel", out_.tunnel_v4.length(), out_.tunnel_v4.length() > 16 ? "small" : "large"),
                  fmt::format("choose a prefix of /{} to /{}", tunnel_v4_shortest, tunnel_v4_longest));
    refuse_special(table, "ipv4", out_.tunnel_v4, "choose a private prefix, like 10.77.0.0/16");
    read_tunnel_v6(table);
    table.port("wireguard_port", out_.wireguard_port);
    table.number<std::uint16_t>("mtu", out_.mtu, mtu_smallest, mtu_largest);
    if (out_.tunnel_v6 && out_.mtu < mtu_smallest_v6)
      table.fault("mtu", fmt::format("IPv6 needs an MTU of at least {}", mtu_smallest_v6),
                  fmt::format("write {} or more, or ipv6 = \"none\"", mtu_smallest_v6));
    read_engine(table);
    read_offload(table);
    auto workers = out_.crypto_workers.value_or(0);
    table.number("crypto_workers", workers, std::size_t{0}, tunnel::wireguard::CryptoWorkers::count_max);
    if (table.has("crypto_workers")) out_.crypto_workers = workers;
    table.addresses("dns", out_.dns);
    for (const auto& server : out_.dns)
      if (is_special(Prefix::host(server)))
        table.fault("dns", to_string(server) + " is no address of a name server that devices can ask", "name one that they reach");
    read_private_networks(table);
    table.duration("disconnect_after", out_.disconnect_after, 60s, 1h);
  }

  void read_openvpn(TomlTable& table) {
    auto& openvpn = out_.openvpn;
    table.boolean("enabled", openvpn.enabled);
    table.text("interface", openvpn.interface);
    if (!is_interface_name(openvpn.interface) || openvpn.interface == out_.tunnel_interface)
      table.fault("interface", "this cannot be the name of OpenVPN's interface", "choose another name, like drpf1");
    std::string protocol = "udp";
    table.text("protocol", protocol);
    if (protocol != "udp" && protocol != "tcp") table.fault("protocol", "there is no such word", "write one of: udp, tcp");
    openvpn.protocol = protocol == "tcp" ? Protocol::tcp : Protocol::udp;
    table.port("port", openvpn.port);
  }

  static void refuse_special(TomlTable& table, std::string_view key, const Prefix& prefix, std::string cure) {
    if (is_special(prefix)) table.fault(key, to_string(prefix) + " holds addresses that no device can have", std::move(cure));
  }

  void read_tunnel_v6(TomlTable& table) {
    out_.tunnel_v6_named = out_.tunnel_v6_named || table.has("ipv6");
    if (table.says("ipv6", "none")) {
      out_.tunnel_v6.reset();
      std::string none;
      return table.text("ipv6", none);
    }
    auto prefix = *out_.tunnel_v6;
    table.prefix("ipv6", Family::v6, prefix);
    // Devices have the same number in both prefixes.
    const unsigned longest = 96 + out_.tunnel_v4.length();
    if (prefix.length() < tunnel_v6_shortest || prefix.length() > longest)
      table.fault("ipv6", fmt::format("a /{} does not go with the tunnel's {}", prefix.length(), to_string(out_.tunnel_v4)),
                  fmt::format("choose a prefix of /{} to /{}", tunnel_v6_shortest, longest));
    refuse_special(table, "ipv6", prefix, "choose a private prefix, like fd77:6472:7066::/64");
    out_.tunnel_v6 = prefix;
  }

  void read_private_networks(TomlTable& table) {
    std::vector<std::string> networks;
    table.texts("private_networks", networks);
    if (table.has("private_networks")) out_.private_networks.clear();
    if (networks.size() > private_networks_max)
      table.fault("private_networks", fmt::format("there are more than {}", private_networks_max), "name larger ones");
    for (const auto& text : networks) {
      const auto network = parse_prefix(text);
      if (!network) return table.fault("private_networks", fmt::format("'{}' is not a network", text), "write it like 10.20.0.0/16");
      out_.private_networks.push_back(*network);
    }
  }

  void read_engine(TomlTable& table) {
    std::string word = "auto";
    table.text("engine", word);
    if (word == "auto" || word == "embedded")
      out_.engine = TunnelEngine::embedded;
    else if (word == "kernel")
      out_.engine = TunnelEngine::kernel;
    else
      table.fault("engine", "there is no such word", "write one of: auto, embedded, kernel");
  }

  void read_offload(TomlTable& table) {
    std::string word = "automatic";
    table.text("offload", word);
    if (word == "automatic")
      out_.offload = Offload::automatic;
    else if (word == "no-uso")
      out_.offload = Offload::no_uso;
    else if (word == "no-gso")
      out_.offload = Offload::no_gso;
    else if (word == "none")
      out_.offload = Offload::none;
    else
      table.fault("offload", "there is no such word", "write one of: automatic, no-uso, no-gso, none");
  }

  void read_host(const toml::table& found) {
    TomlTable table(found, "[[host]]", faults_);
    PublicHostConfig host;
    table.text("name", host.name);
    table.texts("interfaces", host.interfaces);
    table.address("ipv4", Family::v4, host.v4);
    table.address("ipv6", Family::v6, host.v6);
    table.finish();
    if (!is_name(host.name)) table.fault("name", "this cannot be a name", "use lower-case letters, digits, '-', '_' or '.', at most 63");
    for (const auto& interface : host.interfaces)
      if (!is_interface_name(interface))
        table.fault("interfaces", fmt::format("'{}' cannot be the name of an interface", interface), "see `ip link` for the names");
    for (const auto& other : out_.hosts) {
      if (other.name == host.name)
        table.fault("name", fmt::format("there are two hosts named '{}'", host.name), "give each [[host]] a name of its own");
      if (host.v4 && other.v4 == host.v4)
        table.fault("ipv4", fmt::format("{} belongs to the host '{}' already", to_string(*host.v4), other.name), "give each address once");
      if (host.v6 && other.v6 == host.v6)
        table.fault("ipv6", fmt::format("{} belongs to the host '{}' already", to_string(*host.v6), other.name), "give each address once");
    }
    refuse_inside_tunnel(table, host.v4, host.v6);
    if (out_.hosts.size() == hosts_max) return table.fault("name", fmt::format("there are more than {} hosts", hosts_max), "remove some");
    out_.hosts.push_back(std::move(host));
  }

  void refuse_inside_tunnel(TomlTable& table, const std::optional<Address>& v4, const std::optional<Address>& v6) {
    if (v4 && out_.tunnel_v4.contains(*v4))
      table.fault("ipv4", fmt::format("{} lies inside the tunnel's {}", to_string(*v4), to_string(out_.tunnel_v4)),
                  "choose another tunnel prefix: [tunnel] ipv4");
    if (v6 && out_.tunnel_v6 && out_.tunnel_v6->contains(*v6))
      table.fault("ipv6", fmt::format("{} lies inside the tunnel's {}", to_string(*v6), to_string(*out_.tunnel_v6)),
                  "choose another tunnel prefix: [tunnel] ipv6");
  }

  // A plan with the name of a built-in one changes that one.
  void read_plan(const toml::table& found) {
    TomlTable table(found, "[[plan]]", faults_);
    lease::Plan plan;
    table.text("name", plan.name);
    if (!is_name(plan.name)) {
      table.fault("name", "this cannot be a name", "use lower-case letters, digits, '-', '_' or '.', at most 63");
      return;
    }
    if (std::find(plans_seen_.begin(), plans_seen_.end(), plan.name) != plans_seen_.end())
      table.fault("name", fmt::format("there are two plans named '{}'", plan.name), "give each [[plan]] a name of its own");
    plans_seen_.push_back(plan.name);
    auto known = std::find_if(out_.plans.begin(), out_.plans.end(), [&](const auto& other) { return other.name == plan.name; });
    if (known == out_.plans.end()) known = out_.plans.insert(out_.plans.end(), plan);
    const bool connect_given = table.has("ports_at_connect");
    table.number<std::uint32_t>("ports_max", known->ports_max, 0, 1'000'000);
    table.number<std::uint16_t>("ports_at_connect", known->ports_at_connect, 0, 65535);
    if (!connect_given)
      known->ports_at_connect = static_cast<std::uint16_t>(std::min<std::uint32_t>(known->ports_at_connect, known->ports_max));
    table.boolean("port_choice", known->port_choice);
    table.duration("lease_lifetime", known->lease_lifetime, 2min, lease::Policy::lease_lifetime_max);
    table.finish();
    if (known->ports_at_connect > known->ports_max)
      table.fault("ports_at_connect",
                  fmt::format("{} ports at connect are more than ports_max = {}", known->ports_at_connect, known->ports_max),
                  "lower ports_at_connect or raise ports_max");
  }

  void read_ports(TomlTable& table) {
    table.range("pool", out_.pool);
    table.range("snat", out_.snat);
    table.range("ephemeral", out_.ephemeral);
    table.ranges("reserved", out_.reserved);
    table.ports("services_tcp", out_.input_tcp);
    table.ports("services_udp", out_.input_udp);
    if (out_.ephemeral.size() < 1024)
      table.fault("ephemeral", fmt::format("{} ports are too few for this host's own connections", out_.ephemeral.size()),
                  "give it at least 1024");
    if (out_.snat.size() < 1024)
      table.fault("snat", fmt::format("{} ports are too few for the devices' connections", out_.snat.size()), "give it at least 1024");
  }

  // An overlap would let a device take over another's port, or a service's (docs/security.md: Port Shadow).
  void prove_disjoint() {
    const auto uses = ports_of_keys(out_);
    for (std::size_t i = 0; i < uses.size(); ++i) {
      for (std::size_t j = i + 1; j < uses.size(); ++j) {
        if (firewall::may_overlap(uses[i].use, uses[j].use) || !uses[i].range.overlaps(uses[j].range)) continue;
        const auto& place = root_.has(uses[j].section, uses[j].key) ? uses[j] : uses[i];  // what the file says, not what it leaves alone
        root_.fault(place.section, place.key,
                    fmt::format("{} {} overlaps {} {}", uses[i].what, to_string(uses[i].range), uses[j].what, to_string(uses[j].range)),
                    "choose ranges and ports that share no number");
      }
    }
  }

  // Sockets of ours that take all addresses of the tunnel cannot share a number with WireGuard's.
  void prove_sockets_apart() {
    if (out_.wireguard_port == port_mapping_port || (out_.upnp && out_.wireguard_port == ssdp_port))
      root_.fault("tunnel", "wireguard_port",
                  fmt::format("at UDP port {} the gateway itself answers devices that ask for ports", to_string(out_.wireguard_port)),
                  "choose another port, like 51820");
    const auto& openvpn = out_.openvpn;
    if (!openvpn.enabled) return;
    const bool udp = openvpn.protocol == Protocol::udp;
    const bool taken =
        udp ? openvpn.port == out_.wireguard_port || openvpn.port == port_mapping_port || (out_.upnp && openvpn.port == ssdp_port)
            : openvpn.port == out_.api_port;
    if (taken)
      root_.fault("openvpn", "port", fmt::format("at {} port {} the gateway itself answers", udp ? "UDP" : "TCP", to_string(openvpn.port)),
                  "choose another port, like 1194");
  }

  void read_leases(TomlTable& table) {
    table.duration("grace", out_.grace, 0s, 365 * day);
    table.duration("history", out_.history, 0s, 365 * day);
    table.duration("quarantine", out_.quarantine, lease::Policy::quarantine_min, 30 * day);
    table.boolean("changes_may_end", out_.changes_may_end_leases);
    table.text("default_plan", out_.default_plan);
    const bool known =
        std::any_of(out_.plans.begin(), out_.plans.end(), [this](const auto& plan) { return plan.name == out_.default_plan; });
    if (!known)
      table.fault("default_plan", fmt::format("there is no plan '{}'", out_.default_plan),
                  "add a [[plan]] with this name, or name another");
  }

  template <class Value, class Parse>
  static void read_each(TomlTable& table, std::string_view key, Parse parse, std::vector<Value>& to, std::string_view example) {
    std::vector<std::string> texts;
    table.texts(key, texts);
    if (table.has(key)) to.clear();
    if (texts.size() > proxy_list_max)
      return table.fault(key, fmt::format("there are more than {}", proxy_list_max), "name fewer, or larger ones");
    for (const auto& text : texts) {
      const auto value = parse(text);
      if (!value) return table.fault(key, fmt::format("'{}' is not possible here", text), fmt::format("write it like {}", example));
      to.push_back(*value);
    }
  }

  void read_proxy(TomlTable& table) {
    auto& settings = out_.proxy;
    read_each(table, "listen", parse_endpoint, settings.listen, "192.168.7.1:3128");
    for (const auto& endpoint : settings.listen)
      if (!proxy::is_private_listener(endpoint.address) || endpoint.port.is_zero())
        table.fault("listen",
                    fmt::format("the proxy does not listen on {}: everybody on the Internet could use it there", to_string(endpoint)),
                    "name an address of the local network or of the tunnel, and a port");
    read_each(table, "allow", parse_prefix, settings.allow, "192.168.7.0/24");
    read_each(table, "reach_private", parse_prefix, settings.reach_private, "192.168.0.0/16");
    table.ports("connect_ports", settings.connect_ports);
    table.boolean("udp", settings.udp);
    std::string text;
    table.text("bind_on", text);
    if (table.has("bind_on")) {
      const auto address = parse_address(text);
      if (!address) return table.fault("bind_on", "this is not an address", "write it like 192.168.7.1");
      settings.bind_on = *address;
    }
    table.text("access_log", text);
    if (table.has("access_log")) settings.access_log = text;
    table.duration("answer_timeout", settings.answer_timeout, 1s, 1h);
  }

  void read_limits(TomlTable& table) {
    auto& limits = out_.limits;
    table.number<std::uint32_t>("connections_per_device", limits.connections_per_device, 16, 1'000'000);
    table.number<std::uint32_t>("packets_per_lease_per_s", limits.packets_per_lease_per_s, 0, 10'000'000);
    table.number<std::uint32_t>("connection_table_alarm", limits.connection_table_alarm, 1, 100);
    table.number<std::uint32_t>("accounts_max", limits.accounts_max, 1, 10'000'000);
    table.number<std::uint32_t>("devices_per_account_max", limits.devices_per_account_max, 1, 65'000);
    table.number<std::uint32_t>("requests_per_device_per_s", limits.requests_per_device_per_s, 0, 1'000'000);
    table.number<std::uint32_t>("api_body_max", limits.api_body_max, 1024, 16 * 1024 * 1024);
    table.number<std::uint32_t>("api_connections_max", limits.api_connections_max, 8, 65'535);
  }

  TomlTable root_;
  FileFaults& faults_;
  Configuration out_;
  std::vector<std::string> plans_seen_;
};

// No key and no value has other characters than ASCII, and toml++ 3.3 has undefined behaviour for some others outside of strings
// (U+00A1): they are let through in comments only, and as question marks.
Result<std::string> only_ascii(std::string_view text, std::string_view file_name) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  std::string out(text);
  std::size_t line = 1;
  std::size_t line_begin = 0;
  bool comment = false;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == '\n') {
      ++line;
      line_begin = i + 1;
      comment = false;
    } else if (out[i] == '#') {
      comment = true;
    } else if (static_cast<unsigned char>(out[i]) >= 0x80) {
      if (!comment)
        return fail(misconfigured("config_malformed",
                                  fmt::format("{}:{}:{}: this character is possible in comments only", file_name, line, i - line_begin + 1),
                                  "write keys and values with letters, digits and signs of ASCII"));
      out[i] = '?';
    }
  }
  return out;
}

// None where the parser gave up.
std::optional<toml::parse_result> try_to_parse(std::string_view text) {
  try {
    return toml::parse(text);
  } catch (const TomlAssertion&) {
    return std::nullopt;
  }
}

// The number of the line that the parser gave up on. It reads from front to back: it gives up on every text that goes as far.
std::size_t line_given_up_on(std::string_view text) {
  std::vector<std::size_t> ends;  // of each line
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n') ends.push_back(i + 1);
  ends.push_back(text.size());
  const auto first =
      std::partition_point(ends.begin(), ends.end(), [&](std::size_t end) { return try_to_parse(text.substr(0, end)).has_value(); });
  return static_cast<std::size_t>(first - ends.begin()) + 1;
}

}  // namespace

Result<Configuration> parse_configuration(std::string_view text, std::string_view file_name, const Configuration& defaults) {
  const auto ascii = only_ascii(text, file_name);
  if (!ascii) return fail(ascii.error());
  const auto result = try_to_parse(*ascii);
  if (!result)
    return fail(misconfigured("config_malformed", fmt::format("{}:{}:1: this is not TOML", file_name, line_given_up_on(*ascii)),
                              "see docs/configuration.md for an example"));
  const auto& parsed = *result;
  if (!parsed) {
    const auto& error = parsed.error();
    return fail(misconfigured("config_malformed",
                              fmt::format("{}:{}:{}: this is not TOML: {}", file_name, error.source().begin.line,
                                          error.source().begin.column, error.description()),
                              "see docs/configuration.md for an example"));
  }
  FileFaults faults(file_name);
  auto configuration = Reader(parsed.table(), faults, defaults).read();
  if (faults.first()) return fail(*faults.first());
  return configuration;
}

Result<Configuration> read_configuration_file(const std::string& path, const Configuration& defaults) {
  const auto unreadable = [&](int error) {
    return fail(misconfigured("config_unreadable", fmt::format("cannot read the configuration {}: {}", path, std::strerror(error)),
                              "check the path and its permissions"));
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return unreadable(EISDIR);  // a stream opens it, and fails without a reason
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return unreadable(errno);
  std::string text(configuration_bytes_max + 1, '\0');
  errno = 0;
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return unreadable(errno == 0 ? EIO : errno);
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > configuration_bytes_max)
    return fail(misconfigured("config_malformed", fmt::format("{}:1:1: the file is larger than {} bytes", path, configuration_bytes_max),
                              "check that this is the configuration"));
  return parse_configuration(text, path, defaults);
}

}  // namespace drpf::configuration
