// The firewall rules of a shared network, as text for nft: what visitors of relay ports may, and what nobody may. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"

namespace drpf::client {

struct LanWish {
  std::string tunnel;  // interface
  Address tunnel_v4;
  std::string lan;  // interface
  std::vector<Prefix> networks;
  bool forwards_already = false;  // the machine is a router, without us
  bool hide_visitors = false;     // the machines see this machine's address instead of the visitor's: their answers come back here
  bool operator==(const LanWish&) const = default;
};

// nft text that replaces the table as a whole.
std::string share_ruleset(const LanWish& wish);
// Beside the routing's note.
std::string share_note_path(const std::string& note_path);
std::string share_table_name(std::string_view tunnel);

// What the redirect fills: where each relay port leads, and which ports of machines are reached at present.
inline constexpr std::string_view share_lead_map = "lead";
inline constexpr std::string_view share_live_set = "live";

}  // namespace drpf::client
