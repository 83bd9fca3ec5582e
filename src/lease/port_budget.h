// How many ports an account may have: those that it holds within its plan, and those that rest because of it within as many again, so that
// nobody empties a pool by giving back what he took. It takes nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/result.h"
#include "lease/tables.h"

namespace drpf::lease {

// Refusals: quota_exhausted.
Status check_plan_allows(const Tables& tables, const AccountEntry& account, std::uint32_t more);
// `ports` are to be given to the account, as far as nobody holds them. What rests because of the account itself it may always have back.
Status check_rest_allows(const Tables& tables, const AccountEntry& account, std::string_view host, PortRange ports);

}  // namespace drpf::lease
