#include "firewall/closed_networks.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace drpf::firewall {
namespace {

// RFC 6890. The last two are clouds' own, though they look like anybody's: Oracle's and Azure's.
constexpr std::array<std::string_view, 11> closed4{"0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",   "127.0.0.0/8",
                                                   "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",  "198.18.0.0/15",
                                                   "224.0.0.0/3",    "192.0.0.0/24",  "168.63.129.16/32"};
// fc00::/7 holds fd00:ec2::254, where Amazon tells, and fd20:ce::254, where Google does.
constexpr std::array<std::string_view, 7> closed6{"::/96",     "::ffff:0:0/96", "64:ff9b:1::/48", "fc00::/7",
                                                  "fe80::/10", "fec0::/10",     "ff00::/8"};
constexpr unsigned nat64_length = 96;

// The IPv4 network behind a translator of IPv6 (RFC 6052 section 2.1).
Prefix behind_nat64(const Prefix& network) {
  std::array<std::uint8_t, 16> bytes{0x00, 0x64, 0xff, 0x9b};
  const auto v4 = network.address().bytes();
  std::copy_n(v4.begin(), 4, bytes.begin() + 12);
  return {Address::from_bytes(bytes), nat64_length + network.length()};
}

}  // namespace

std::vector<Prefix> closed_networks(Family family) {
  std::vector<Prefix> out;
  for (const auto text : closed4) out.push_back(*parse_prefix(text));
  if (family == Family::v4) return out;
  std::transform(out.begin(), out.end(), out.begin(), behind_nat64);
  for (const auto text : closed6) out.push_back(*parse_prefix(text));
  return out;
}

std::vector<Prefix> outermost(std::vector<Prefix> networks) {
  std::stable_sort(networks.begin(), networks.end(), [](const Prefix& a, const Prefix& b) { return a.length() < b.length(); });
  std::vector<Prefix> out;
  for (const auto& one : networks)
    if (std::none_of(out.begin(), out.end(), [&](const Prefix& outer) { return outer.overlaps(one); })) out.push_back(one);
  return out;
}

}  // namespace drpf::firewall
