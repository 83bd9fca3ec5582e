// One line for each administrative act: who, what, on what, with which result. Decides nothing; secrets are not among what it names.
#pragma once

#include <functional>
#include <string>

#include "api/route_table.h"

namespace drpf::api {

enum class Weight : std::uint8_t { reading, act };
using Audit = std::function<void(Weight weight, const std::string& sentence)>;

// What `dispatch` has made of the call, told when its answer is known. Nothing where no route was found, or there is no audit.
Reply audited(Reply reply, const Call& call, const Audit& audit);

}  // namespace drpf::api
