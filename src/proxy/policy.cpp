#include "proxy/policy.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace drpf::proxy {
namespace {

struct SpecialRange {
  Prefix prefix;
  std::string_view why;
  bool narrow = false;  // opened by a prefix inside of it only
};

SpecialRange range(std::string_view prefix, std::string_view why, bool narrow = false) { return {*parse_prefix(prefix), why, narrow}; }

// IANA's special-purpose registries (RFC 6890), as far as an address is not globally reachable or leads to another one.
const auto& special_ranges() {
  static const std::array ranges{
      range("0.0.0.0/8", "this host or none", true),
      range("10.0.0.0/8", "a private network"),
      range("100.64.0.0/10", "a provider's inner network"),
      range("127.0.0.0/8", "the proxy's own host", true),
      range("169.254.0.0/16", "one link, and the metadata of cloud machines", true),
      range("172.16.0.0/12", "a private network"),
      range("192.0.0.0/24", "protocols of IETF"),
      range("192.0.2.0/24", "documentation"),
      range("192.88.99.0/24", "6to4 relays"),
      range("192.168.0.0/16", "a private network"),
      range("198.18.0.0/15", "measurements"),
      range("198.51.100.0/24", "documentation"),
      range("203.0.113.0/24", "documentation"),
      range("224.0.0.0/4", "a group of hosts", true),
      range("240.0.0.0/4", "nobody yet, and all hosts of a link", true),
      range("::1/128", "the proxy's own host", true),
      range("::/96", "this host or none", true),
      range("64:ff9b:1::/48", "a local translation to IPv4"),
      range("100::/64", "nobody"),
      range("2001::/23", "protocols of IETF, and tunnels to other addresses"),
      range("2001:db8::/32", "documentation"),
      range("2002::/16", "a tunnel to an IPv4 address"),
      range("3fff::/20", "documentation"),
      range("5f00::/16", "segment routing"),
      range("fc00::/7", "a private network"),
      range("fe80::/10", "one link", true),
      range("fec0::/10", "a private network"),
      range("ff00::/8", "a group of hosts", true),
  };
  return ranges;
}

const SpecialRange* special_range_of(const Address& address) {
  const auto& ranges = special_ranges();
  const auto found = std::find_if(ranges.begin(), ranges.end(), [&](const SpecialRange& one) { return one.prefix.contains(address); });
  return found == ranges.end() ? nullptr : &*found;
}

Address v4_at(const Address& address, std::size_t position, std::uint8_t turned = 0) {
  std::array<std::uint8_t, 4> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(address.bytes()[position + i] ^ turned);
  return Address::from_bytes(bytes);
}

constexpr Port smtp_port{25};
constexpr std::uint16_t first_unprivileged_port = 1024;
constexpr Port ftp_control_port{21};
constexpr std::array plain_web_ports{Port{80}, Port{443}};

}  // namespace

Address carried_address(const Address& address) {
  if (address.is_v4()) return address;
  static const auto mapped = *parse_prefix("::ffff:0:0/96");
  static const auto translated = *parse_prefix("::ffff:0:0:0/96");  // RFC 2765
  static const auto compatible = *parse_prefix("::/96");
  static const auto nat64 = *parse_prefix("64:ff9b::/96");
  static const auto local_nat64 = *parse_prefix("64:ff9b:1::/48");
  static const auto six_to_four = *parse_prefix("2002::/16");
  static const auto teredo = *parse_prefix("2001::/32");
  for (const auto& prefix : {mapped, translated, nat64, local_nat64})
    if (prefix.contains(address)) return v4_at(address, 12);
  if (compatible.contains(address) && !address.is_unspecified() && !address.is_loopback()) return v4_at(address, 12);
  if (six_to_four.contains(address)) return v4_at(address, 2);
  if (teredo.contains(address)) return v4_at(address, 12, 0xff);
  const auto bytes = address.bytes();
  const bool isatap = (bytes[8] & 0xfd) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe;
  return isatap ? v4_at(address, 12) : address;
}

Address plain_address(const Address& address) {
  static const auto mapped = *parse_prefix("::ffff:0:0/96");
  return mapped.contains(address) ? v4_at(address, 12) : address;
}

std::optional<std::string_view> special_use(const Address& address) {
  if (const auto* found = special_range_of(address)) return found->why;
  static const auto global_v6 = *parse_prefix("2000::/3");  // RFC 4291 section 2.4; nothing else is assigned
  static const auto nat64 = *parse_prefix("64:ff9b::/96");
  if (address.is_v6() && !global_v6.contains(address) && !nat64.contains(address)) return "nobody yet";
  return std::nullopt;
}

bool is_private_listener(const Address& address) {
  static const std::array ranges{*parse_prefix("10.0.0.0/8"),     *parse_prefix("100.64.0.0/10"), *parse_prefix("127.0.0.0/8"),
                                 *parse_prefix("169.254.0.0/16"), *parse_prefix("172.16.0.0/12"), *parse_prefix("192.168.0.0/16"),
                                 *parse_prefix("::1/128"),        *parse_prefix("fc00::/7"),      *parse_prefix("fe80::/10")};
  return std::any_of(ranges.begin(), ranges.end(), [&](const Prefix& one) { return one.contains(address); });
}

bool Policy::may_use(const Address& source) const {
  const auto plain = plain_address(source);
  return std::any_of(sources.begin(), sources.end(), [&](const Prefix& one) { return one.contains(plain); });
}

std::optional<Refusal> Policy::refuses_port(Way way, Port port) const {
  const auto no = [&](std::string_view what, std::string cure) {
    return Refusal{fmt::format("{} to port {} is not allowed here", what, to_string(port)), std::move(cure)};
  };
  if (port.is_zero()) return Refusal{"port 0 is no port", {}};
  if (port == smtp_port) return no("a connection", "nothing: mail leaves by a mail server, and never through a proxy");
  if (way == Way::tunnel && std::find(connect_ports.begin(), connect_ports.end(), port) == connect_ports.end())
    return no("CONNECT", "drpf proxy --connect-port PORT, or connect_ports of [proxy]");
  const bool web = std::find(plain_web_ports.begin(), plain_web_ports.end(), port) != plain_web_ports.end();
  if (way == Way::http && !web && port.value() < first_unprivileged_port)
    return no("HTTP", "nothing: a web server is at port 80, 443, or above 1023");
  if (way == Way::ftp && port != ftp_control_port && port.value() < first_unprivileged_port)
    return no("FTP", "nothing: an FTP server is at port 21, or above 1023");
  return std::nullopt;
}

std::optional<Refusal> Policy::refuses_name(const std::string& name) const {
  if (name != "localhost" && !name.ends_with(".localhost") && name != "localhost.localdomain") return std::nullopt;
  const bool opened =
      std::any_of(reach_private.begin(), reach_private.end(), [](const Prefix& one) { return one.address().is_loopback(); });
  if (opened) return std::nullopt;
  return Refusal{fmt::format("{} is the proxy's own host", name), "drpf proxy --reach-private 127.0.0.1"};
}

std::optional<Refusal> Policy::refuses(const Endpoint& to, bool own) const {
  const auto plain = plain_address(to.address);
  if (std::find(listeners.begin(), listeners.end(), Endpoint{plain, to.port}) != listeners.end())
    return Refusal{"this is the proxy itself", {}};
  for (const auto& address : {plain, carried_address(plain)}) {
    const auto why = special_use(address);
    const bool is_own = own && address == plain;
    if (!why && !is_own) continue;
    const auto* special = special_range_of(address);
    const bool named = std::any_of(reach_private.begin(), reach_private.end(), [&](const Prefix& one) {
      if (!one.contains(address)) return false;
      if (special != nullptr && special->narrow) return special->prefix.contains(one);
      return !is_own || one.length() == address.bits();
    });
    if (named) continue;
    const auto cure = fmt::format("drpf proxy --reach-private {}, if that is meant to be reached", drpf::to_string(address));
    if (is_own) return Refusal{fmt::format("{} is an address of the proxy's own host", drpf::to_string(to.address)), cure};
    return Refusal{fmt::format("{} leads to {}, which is for {}", drpf::to_string(to.address), drpf::to_string(address), *why), cure};
  }
  return std::nullopt;
}

}  // namespace drpf::proxy
