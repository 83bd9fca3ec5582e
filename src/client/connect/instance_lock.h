// One `drpf connect` per interface and network namespace. The kernel drops the lock when its holder dies, however that happens.
#pragma once

#include <optional>
#include <string_view>

#include "core/result.h"
#include "system/fd.h"

namespace drpf::client {

// Refusal "interface_in_use", naming the holder's process, while somebody holds it.
Result<system::Fd> lock_interface(std::string_view interface);

// The process that holds it, as this process counts; none while nobody does.
std::optional<int> lock_holder(std::string_view interface);

}  // namespace drpf::client
