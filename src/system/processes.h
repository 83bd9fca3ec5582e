// The running processes as /proc shows them: names, and which sockets they hold. Looks only.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"

namespace drpf::system {

// In no order; those that end meanwhile may still be in it.
std::vector<pid_t> processes();
// What the kernel calls it: at most 15 bytes, of the process's own choice (prctl(2), PR_SET_NAME). Empty when it is gone.
std::string process_name(pid_t process);
// The file name of the program that it runs, without folders; empty when it is gone, or when this process may not know (that takes
// CAP_SYS_PTRACE for another user's).
std::string process_program(pid_t process);
// The inodes of its sockets; nothing when this process may not know (CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH for another user's). A process
// that is gone has none.
std::optional<std::vector<std::uint64_t>> sockets_of(pid_t process);

// "socket:[4711]" -> 4711
std::optional<std::uint64_t> socket_inode(std::string_view link);

}  // namespace drpf::system
