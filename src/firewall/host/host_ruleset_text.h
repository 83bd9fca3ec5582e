// The personal firewall's table `inet drpf_host` as text for the nft program: one transaction, the same when it is put in twice. Pure.
//
// Rules judge every packet in the direction of the one that began a conversation, not only the first: what is not allowed any more ends.
// Answers pass. While a change is on trial both rule sets are in the kernel, and which one judges hangs on the elements of a set that end
// by themselves: the way back needs no process, no session and no network.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "firewall/host/host_ruleset.h"

namespace drpf::firewall {

inline constexpr std::string_view host_table = "drpf_host";  // family inet
inline constexpr std::string_view trial_set = "on_trial";
inline constexpr std::string_view refused_set_v4 = "refused4";  // source . protocol . port, with a counter: what was refused of late
inline constexpr std::string_view refused_set_v6 = "refused6";

struct HostTrial {
  HostRuleset before;  // judges again when the time is over
  std::chrono::seconds time{30};
};

struct HostTextForm {
  // Up to here every rule is one of the kernel's, with a counter of its own; above, neighbours with the same answer are gathered in sets,
  // and cost the same however many they are.
  std::size_t single_rules_max = 64;
};

std::string host_nft_text(const HostRuleset& ruleset, const std::optional<HostTrial>& trial = {}, const HostTextForm& form = {});
// Removes the table, whether it is there or not.
std::string host_nft_removal();
// Only the ports that are leased.
std::string host_nft_leased(const std::vector<ServicePorts>& leased);

}  // namespace drpf::firewall
