// The decision on one wish for ports, from whatever door it came.
#pragma once

#include <vector>

#include "core/result.h"
#include "lease/requests.h"
#include "lease/tables.h"

namespace drpf::lease {

Result<Decided<std::vector<Lease>>> decide(const LeaseRequest& request, const Tables& tables, Time now);

}  // namespace drpf::lease
