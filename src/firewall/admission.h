// Whom this host's own nftables rules let in to a port, read from the text of `nft list ruleset`. Pure. It judges the first packet of a new
// visit, and says so where it meets a rule that it cannot judge; it knows nothing of firewalls in front of the host.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/address.h"
#include "core/port.h"
#include "firewall/nft_listing.h"
#include "firewall/rule_judge.h"

namespace drpf::firewall {

struct Visit {
  Protocol protocol{};
  Family family{};
  std::optional<Address> destination;  // none: any address of the host
  Port port;
  std::string interface;  // by which it comes in; not the loopback interface
};

class InputRules {
 public:
  explicit InputRules(std::string_view nft_ruleset);
  Admission admission(const Visit& visit) const;

 private:
  NftListing listing_;
};

}  // namespace drpf::firewall
