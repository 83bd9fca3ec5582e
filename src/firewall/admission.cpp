#include "firewall/admission.h"

#include <vector>

namespace drpf::firewall {
namespace {

bool sees(const ListedChain& chain, const Visit& visit) {
  if (chain.hook == "ingress") return chain.device.empty() || chain.device == visit.interface;
  if (chain.hook != "input" && chain.hook != "prerouting") return false;
  return chain.family == "inet" || chain.family == (visit.family == Family::v4 ? "ip" : "ip6");
}

}  // namespace

InputRules::InputRules(std::string_view nft_ruleset) : listing_(parse_nft_listing(nft_ruleset)) {}

Admission InputRules::admission(const Visit& visit) const {
  std::vector<const ListedChain*> chains;
  for (const auto& chain : listing_.chains)
    if (sees(chain, visit)) chains.push_back(&chain);
  Packet packet;
  packet.family = visit.family;
  packet.protocol = visit.protocol;
  packet.from_interface = visit.interface;
  packet.destination = visit.destination ? Party{Party::Who::one_of, Prefix::host(*visit.destination)} : Party{Party::Who::this_host};
  packet.destination_port = PortRange(visit.port);
  return judge(listing_, chains, packet);
}

}  // namespace drpf::firewall
