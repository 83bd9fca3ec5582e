// One `drpf connect` per interface and network namespace. The kernel drops the lock when its holder dies, however that happens.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "system/fd.h"

namespace drpf::client {

std::string lock_path(const std::string& note_path);

// By the file at `path`. Refusal "interface_in_use", naming the holder's process, while somebody holds it.
Result<system::Fd> lock_interface(std::string_view interface, const std::string& path);

}  // namespace drpf::client
