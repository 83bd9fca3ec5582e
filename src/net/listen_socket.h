// Opens the sockets that servers listen on. Plain system calls; accepts nothing.
#pragma once

#include <optional>
#include <string>

#include "core/address.h"
#include "core/result.h"
#include "system/fd.h"

namespace drpf::net {

// The file that is locked while a socket at this path is looked at and bound. It stays, and may be made before.
std::string socket_lock_path(const std::string& path);

// Mode 0660 from the first instant. A file that is no socket, or one that somebody answers on, is left alone and an error.
Result<system::Fd> listen_on_unix_socket(const std::string& path);
// With IP_FREEBIND: the address may come up later.
Result<system::Fd> listen_on_tcp(const Endpoint& endpoint, const std::optional<std::string>& device);

}  // namespace drpf::net
