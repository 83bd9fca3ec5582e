// What a policy, a name and a stored book must fulfil before the lease book works with them. Reports the first fault; mends nothing.
#pragma once

#include <string_view>

#include "core/result.h"
#include "lease/transaction.h"
#include "lease/types.h"

namespace drpf::lease {

constexpr std::size_t name_length_max = 63;

// Names of accounts, devices, plans and hosts: 1..63 of [a-z0-9._-], a letter or digit first. `what` is the word for the message.
Status validate_name(std::string_view what, std::string_view name);

// Also for the configuration: no two hosts share an address, plans and default plan exist, times and prefixes are possible.
Status validate(const Policy& policy);

// References, overlaps and values of a book that comes from outside (a database that another hand may have written).
Status validate(const State& state);

}  // namespace drpf::lease
