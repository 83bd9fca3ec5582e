// On which machine a state directory was used last. A copy of it that runs elsewhere takes the devices of the first.
#pragma once

#include <optional>
#include <string>

#include "core/result.h"

namespace drpf::daemon {

// Of this machine, made of its number in `id_file`, and telling nothing of it; none where it has none.
std::optional<std::string> machine_mark(const std::string& id_file = "/etc/machine-id");

// True if another machine has used it. Afterwards it is this one's.
Result<bool> was_elsewhere(const std::string& state_directory, const std::string& mark);

}  // namespace drpf::daemon
