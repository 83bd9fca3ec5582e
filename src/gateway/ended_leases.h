// Which leases a transaction ends, in words for the log. Decides nothing.
#pragma once

#include <string>
#include <vector>

#include "lease/lease_book.h"
#include "lease/transaction.h"

namespace drpf::gateway {

// One sentence's beginning each: "lease tcp 24550 on main of device nas (account ann)". `book` is the one before the transaction. A lease
// that the transaction gives to the same device again has not ended.
std::vector<std::string> ended_leases(const lease::LeaseBook& book, const lease::Transaction& transaction);

}  // namespace drpf::gateway
