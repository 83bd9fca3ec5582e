// What time and a new policy do to the book.
#pragma once

#include <cstddef>
#include <optional>

#include "lease/tables.h"
#include "lease/transaction.h"

namespace drpf::lease {

Transaction what_time_brings(const Tables& tables, Time now, std::size_t leases_max);
std::optional<Time> next_time(const Tables& tables);
Transaction under_policy(const Tables& tables, const Policy& policy, Time now);

}  // namespace drpf::lease
