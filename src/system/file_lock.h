// The one way to be the only one: the kernel's lock on a file that nobody else may open. It ends with its process.
#pragma once

#include <optional>
#include <string>

#include "core/result.h"
#include "system/fd.h"

namespace drpf::system {

enum class WhenLocked : std::uint8_t { give_up, wait };

// Opens the lock's file, and makes it where it is not there: mode 0600. One that is a stranger's, or open to others, is refused, for they
// could hold it for ever.
Result<Fd> open_lock_file(const std::string& path);

// True: held until the descriptor is closed. False: another process holds it.
Result<bool> take_lock(const Fd& file, WhenLocked when = WhenLocked::give_up);

// Who holds it, as the kernel has it: "process 1234 (drpf)"; empty where that cannot be told (another process namespace, no /proc).
std::string lock_holder(const Fd& file);

// Looks only. 0: somebody whom this process cannot name; none: nobody, or who looks may not ask and cannot see.
std::optional<int> lock_holding_process(const std::string& path);

}  // namespace drpf::system
