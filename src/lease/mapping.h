// The decisions on a program's wish for a mapping and on the end of one.
#pragma once

#include <vector>

#include "core/result.h"
#include "lease/requests.h"
#include "lease/tables.h"

namespace drpf::lease {

Result<Decided<std::vector<Lease>>> decide(const MappingRequest& request, const Tables& tables, Time now);
Result<Decided<std::size_t>> decide(const MappingEnd& end, const Tables& tables, Time now);

}  // namespace drpf::lease
