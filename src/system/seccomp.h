// Which system calls this process may still make: a filter of the kernel (seccomp(2)), built from tables of names. It cannot be taken off.
#pragma once

#include <linux/filter.h>

#include <vector>

#include "core/result.h"

namespace drpf::system {

enum class SyscallPolicy {
  // What the gateway needs once its programs and rights are put aside, and nothing else: no new process, no program, no namespace, no
  // mount, no raw or packet socket, no memory that is written and then run. What is unknown is refused with EPERM, what only an intruder
  // would try ends the process.
  gateway,
  // For processes that still start programs: all but what looks into other processes or changes the kernel or the view of files, which is
  // refused with EPERM.
  programs,
  // Beside one of the others, once all unix sockets are open that a process needs: it opens no more, so it speaks to nobody else's.
  no_unix_sockets,
};

// For this process with all its threads, and for its children. Needs no_new_privs (give_up_privileges() sets it) or CAP_SYS_ADMIN.
Status restrict_syscalls(SyscallPolicy policy);

// The filter as the kernel runs it (struct seccomp_data in, action out).
std::vector<sock_filter> syscall_filter(SyscallPolicy policy);

}  // namespace drpf::system
