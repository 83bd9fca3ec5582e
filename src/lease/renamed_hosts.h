// Public hosts that have another name under a new policy: what is held on the old name goes on under the new one. Pure.
#pragma once

#include <map>
#include <string>

#include "lease/tables.h"
#include "lease/transaction.h"

namespace drpf::lease {

// Of each name that the new policy no longer has, the one that takes its place: a new name with an address of the former host. Where the
// former addresses are not known (at a start the book knows names only), "main", which a host has that nobody named, stands for the first
// host, and the other way round.
std::map<std::string, std::string> renamed_hosts(const Tables& tables, const Policy& next);

// The records under their new names. Addresses and activations stay as they are, so nothing is to be done in the kernel.
Transaction rename_hosts(const Tables& tables, const std::map<std::string, std::string>& renamed, Time now);

}  // namespace drpf::lease
