// What other programs' rules do to one packet: chains with their jumps, sets and verdict maps, followed over the text of a listing. Pure.
// Where a rule cannot be judged and it matters, the answer is "unknown", with that rule.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/address.h"
#include "core/port.h"
#include "firewall/nft_listing.h"

namespace drpf::firewall {

// An end of a packet's way.
struct Party {
  enum class Who : std::uint8_t {
    stranger,   // somebody in the Internet
    this_host,  // any of this host's addresses
    one_of,     // the addresses of `prefix`
  };
  Who who = Who::stranger;
  Prefix prefix = {};
};

struct Packet {
  enum class State : std::uint8_t { fresh, established, untracked };

  Family family{};
  std::optional<Protocol> protocol;  // none: TCP or UDP
  std::string from_interface;        // empty where the packet begins here
  std::string to_interface;          // empty where it ends here
  Party source;
  Party destination;
  std::optional<PortRange> source_port;  // none: any
  std::optional<PortRange> destination_port;
  State state = State::fresh;
  bool is_reply = false;
  bool is_redirected = false;    // its connection has been led elsewhere ("ct status dnat")
  bool is_for_this_host = true;  // as the routing sees it where the chain stands
  bool redirects_decide = true;  // else a rule that leads the packet elsewhere lets it pass
};

struct Admission {
  enum class Who : std::uint8_t {
    everybody,
    some,  // it depends on the visitor's address or the like
    nobody,
    unknown,  // there is a rule that cannot be judged
  };
  Who who{};
  std::string because;  // the rule or policy that keeps some or all out, or that cannot be judged; empty for everybody
};

// Who that sends such a packet gets through all of these chains. Who keeps out a few addresses still lets everybody through.
Admission judge(const NftListing& listing, std::span<const ListedChain* const> chains, const Packet& packet);

}  // namespace drpf::firewall
