// The packets that a gateway lives on, as other programs' chains meet them: handshakes, visits, devices' own connections, the answers to
// all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "firewall/nft_listing.h"
#include "firewall/rule_judge.h"

namespace drpf::firewall {

// What of the gateway's setup decides how its packets look.
struct RulesetView {
  std::string own_table = "inet drpf";
  std::string tunnel_interface;
  std::vector<Prefix> tunnel_prefixes;
  std::vector<std::string> public_interfaces = {};
  std::vector<Address> public_addresses = {};  // none named: any of the host's
  PortRange pool{Port{10000}, Port{31999}};
  std::vector<PortRange> reserved = {};  // of the pool, never leased
  PortRange snat{Port{32768}, Port{51199}};
  Port wireguard_port{51820};
  Port api_port{5351};
  Port port_mapping_port{5351};
  bool upnp = true;
};

struct OurPacket {
  enum class Kind : std::uint8_t {
    handshake,
    tunnel_out,
    visit,
    answer_to_visit,
    from_device,
    answer_to_device,
    request,
    answer_to_request
  };
  Kind kind{};
  Packet packet;
};

// "visits to leases"
std::string_view name_of(OurPacket::Kind kind);

// Those that a base chain is asked about, as they look at its place: before or after addresses are translated.
std::vector<OurPacket> packets_at(const ListedChain& chain, const RulesetView& view);

}  // namespace drpf::firewall
