// Troubles of this machine in the same words for every engine: they say nothing about a target. Sends nothing.
#pragma once

#include <string>
#include <string_view>

#include "core/address.h"
#include "scan/verdict.h"

namespace drpf::probe {

inline constexpr std::string_view no_route_note = "this machine has no route to it";
std::string silent_neighbour_note(const Address& neighbour, std::string_view interface);
// What an errno of sending a probe means; empty where its own text says it.
std::string note_of_local_error(int error);

// An ICMP error whose sender is an address of this machine came from its own kernel: the neighbour was silent, or a rule refused the probe.
// `on_link`: the target itself is the neighbour.
scan::Verdict told_by_this_machine(scan::Verdict verdict, bool on_link, std::string silent_neighbour);

}  // namespace drpf::probe
