#include "client/share/lan_redirect.h"

#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include <fmt/format.h>

#include "client/connect/route_plan.h"
#include "system/conntrack.h"
#include "system/sysctl.h"
#include "system/whole_file.h"

namespace drpf::client {
namespace {

using system::NftBatch;
using system::NftData;
using system::NftElement;

std::string forwarding_of(std::string interface) {
  std::replace(interface.begin(), interface.end(), '.', '/');
  return fmt::format("net.ipv4.conf.{}.forwarding", interface);
}

// "lan0 7": by its number an interface is found under another name, too.
std::string note_of(const std::string& interface) { return fmt::format("{} {}\n", interface, ::if_nametoindex(interface.c_str())); }

std::string interface_in(std::istream& note) {
  std::string interface;
  unsigned index = 0;
  note >> interface >> index;
  std::array<char, IF_NAMESIZE> renamed{};
  if (index != 0 && ::if_indextoname(index, renamed.data()) != nullptr) interface = renamed.data();
  return interface;
}

NftData lead_key(const RelayRedirection& r) { return NftData().protocol(r.protocol).port(r.relay_port); }
NftData live_key(const RelayRedirection& r) { return NftData().address(r.machine.address).protocol(r.protocol).port(r.machine.port); }

}  // namespace

Result<bool> LanRedirect::clear(const std::string& tunnel, const std::string& note_path) {
  bool found = false;
  if (std::ifstream note(note_path); note) {
    const auto interface = interface_in(note);
    // Only an interface's forwarding: the file is not a way to write anywhere else.
    if (check_interface_name(interface)) (void)system::write_sysctl(forwarding_of(interface), "0");
    ::unlink(note_path.c_str());
    found = true;
  }
  const auto cleared = ruleset::Keeper::clear(share_table_name(tunnel));
  if (!cleared) return fail(cleared.error());
  return found || *cleared;
}

bool LanRedirect::forwards(const std::string& interface) {
  const auto value = system::read_sysctl(forwarding_of(interface));
  return value && *value == "1";
}

Result<LanRedirect> LanRedirect::start(const LanWish& wish, const std::string& note_path) {
  ruleset::Keeper::Options options;
  options.refused = fmt::format("setting up the rules for sharing with {}: nft said", wish.lan);
  options.brief = true;
  options.cure = "Does this kernel have nf_tables with NAT?";
  auto keeper = ruleset::Keeper::open(share_table_name(wish.tunnel), std::move(options));
  if (!keeper) return fail(keeper.error());
  if (auto put = keeper->put({share_ruleset(wish)}); !put) return fail(put.error());
  if (!wish.forwards_already) {
    if (auto noted = system::replace_file(note_path, note_of(wish.lan)); !noted) return fail(noted.error());
    if (auto set = system::write_sysctl(forwarding_of(wish.lan), "1"); !set) return fail(set.error());
  }
  if (auto set = system::write_sysctl(forwarding_of(wish.tunnel), "1"); !set) return fail(set.error());
  return LanRedirect(std::move(*keeper), wish);
}

Result<bool> LanRedirect::keep() {
  const auto seen = keeper_.look();
  if (!seen) return fail(seen.error());
  const bool altered = *seen == ruleset::Keeper::Seen::altered;
  if (altered)
    if (auto put = keeper_.put({share_ruleset(wish_)}); !put) return fail(put.error());
  bool stopped = false;
  for (const auto& interface : {wish_.lan, wish_.tunnel}) {
    if (forwards(interface) || (interface == wish_.lan && wish_.forwards_already)) continue;
    if (auto set = system::write_sysctl(forwarding_of(interface), "1"); !set) return fail(set.error());
    stopped = true;
  }
  return altered || stopped;
}

Status LanRedirect::put(const RelayRedirection& redirection, Duration lifetime) {
  const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(lifetime);
  NftElement lead;
  lead.key = lead_key(redirection);
  lead.data = NftData().address(redirection.machine.address).port(redirection.machine.port);
  lead.timeout = timeout;
  NftElement live;
  live.key = live_key(redirection);
  live.timeout = timeout;
  const auto attempt = fmt::format("lead port {} to {}", to_string(redirection.relay_port), to_string(redirection.machine));
  const auto present = keeper_.table().find(std::string(share_lead_map), lead.key);
  if (!present) return fail(present.error());
  const auto add = [&](NftBatch& batch) -> Status {
    if (auto added = batch.add(share_lead_map, {lead}); !added) return added;
    return batch.add(share_live_set, {live});
  };
  NftBatch batch(keeper_.table().name());
  if (*present && (*present)->data == lead.data) {  // in one step, so that no visitor falls between
    batch.remove(share_lead_map, {lead.key});
    batch.remove(share_live_set, {live.key});
    if (auto added = add(batch); !added) return added;
    const auto renewed = keeper_.change(batch, attempt);
    if (renewed || !system::is_errno(renewed.error(), ENOENT)) return renewed;
  }
  // It leads elsewhere, or a part of it has ended in this moment.
  for (const auto& [set, key] : {std::pair(share_lead_map, lead.key), std::pair(share_live_set, live.key)}) {
    NftBatch old(keeper_.table().name());
    old.remove(set, {key});
    if (const auto removed = keeper_.change(old, attempt); !removed && !system::is_errno(removed.error(), ENOENT)) return removed;
  }
  end_connections(redirection);
  NftBatch fresh(keeper_.table().name());
  if (auto added = add(fresh); !added) return added;
  return keeper_.change(fresh, attempt);
}

Status LanRedirect::remove(const RelayRedirection& redirection) {
  Status result;
  for (const auto& [set, key] : {std::pair(share_lead_map, lead_key(redirection)), std::pair(share_live_set, live_key(redirection))}) {
    NftBatch batch(keeper_.table().name());
    batch.remove(set, {key});
    const auto removed = keeper_.change(batch, fmt::format("end the way from port {}", to_string(redirection.relay_port)));
    if (!removed && !system::is_errno(removed.error(), ENOENT)) result = removed;
  }
  end_connections(redirection);
  return result;
}

// Their translation was decided when they began; what comes later must be looked at again.
void LanRedirect::end_connections(const RelayRedirection& redirection) {
  auto connections = system::Conntrack::open();
  if (!connections) return;  // the set `live` stops them as well
  const Endpoint at{wish_.tunnel_v4, redirection.relay_port};
  (void)connections->delete_where([&](const system::ConntrackEntry& entry) {
    return entry.original.destination == at && entry.original.protocol == static_cast<std::uint8_t>(redirection.protocol);
  });
}

}  // namespace drpf::client
