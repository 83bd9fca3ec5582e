#include "system/seccomp.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "system/netlink_socket.h"

namespace drpf::system {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t own_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t own_architecture = AUDIT_ARCH_AARCH64;
#else
#error "name this processor's AUDIT_ARCH"
#endif

constexpr std::uint32_t refuse = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint32_t not_there = SECCOMP_RET_ERRNO | ENOSYS;
constexpr std::uint32_t x32_bit = 0x40000000;  // x86-64's second numbering of the same calls (arch/x86/include/uapi/asm/unistd.h)

// clang-format off
constexpr std::uint32_t allowed_calls[] = {
    // descriptors and files: the book of leases, the configuration, /proc
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_openat, SYS_close, SYS_fstat,
    SYS_newfstatat, SYS_statx, SYS_lseek, SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_getcwd, SYS_mkdirat, SYS_unlinkat,
    SYS_renameat, SYS_renameat2, SYS_linkat, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_flock, SYS_fcntl, SYS_fchmod, SYS_fchmodat,
    SYS_fchown, SYS_umask, SYS_getdents64, SYS_statfs, SYS_fstatfs, SYS_utimensat, SYS_dup, SYS_dup3, SYS_pipe2, SYS_eventfd2,
    SYS_memfd_create, SYS_sendfile, SYS_copy_file_range, SYS_fadvise64,
    // waiting
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_ppoll, SYS_pselect6, SYS_timerfd_create, SYS_timerfd_settime,
    SYS_timerfd_gettime, SYS_signalfd4, SYS_nanosleep, SYS_clock_nanosleep, SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday,
    // signals and threads
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigtimedwait, SYS_sigaltstack, SYS_futex, SYS_set_robust_list,
    SYS_get_robust_list, SYS_rseq, SYS_membarrier, SYS_sched_yield, SYS_sched_getaffinity, SYS_restart_syscall, SYS_set_tid_address,
    SYS_exit, SYS_exit_group, SYS_wait4,
    // memory; mmap and mprotect are looked at below
    SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_mlock, SYS_mlock2, SYS_munlock, SYS_mincore,
    // sockets; socket is looked at below
    SYS_bind, SYS_listen, SYS_accept, SYS_accept4, SYS_connect, SYS_getsockname, SYS_getpeername, SYS_setsockopt, SYS_getsockopt,
    SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg, SYS_shutdown,
    // about this process and machine
    SYS_getpid, SYS_gettid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_capget,
    SYS_getrandom, SYS_uname, SYS_sysinfo, SYS_getrusage,
    // takes more away
    SYS_seccomp,
#if defined(__x86_64__)  // the older names of the above, which this processor still has
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename, SYS_link, SYS_chmod, SYS_dup2,
    SYS_pipe, SYS_poll, SYS_select, SYS_epoll_wait, SYS_time, SYS_getdents, SYS_arch_prctl,
#endif
};

// No part of any program that is started here does these: whoever tries is an intruder.
constexpr std::uint32_t hostile_calls[] = {
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_keyctl,
    SYS_add_key, SYS_request_key, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_settimeofday, SYS_clock_settime, SYS_sethostname,
    SYS_setdomainname, SYS_io_uring_setup, SYS_open_by_handle_at, SYS_move_mount, SYS_fsopen, SYS_fsmount, SYS_open_tree, SYS_quotactl,
    SYS_lookup_dcookie, SYS_nfsservctl,
#if defined(__x86_64__)
    SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_kexec_file_load,
#endif
};
// clang-format on

class Program {
 public:
  void load(std::size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
  void answer(std::uint32_t action) { add(BPF_RET | BPF_K, action); }
  void answer_if(std::uint32_t value, std::uint32_t action) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    answer(action);
  }
  void answer_unless(std::uint32_t value, std::uint32_t action) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    answer(action);
  }
  void answer_if_any_bit(std::uint32_t bits, std::uint32_t action) {
    add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    answer(action);
  }
  void mask(std::uint32_t bits) { add(BPF_ALU | BPF_AND | BPF_K, bits); }
  // The rules that `body` adds are for this call alone; they end with an answer. Without it the call's number is still loaded.
  template <class Body>
  void on_call(std::uint32_t call, Body body) {
    add(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 0);
    const auto jump = code_.size() - 1;
    body();
    code_[jump].jf = static_cast<std::uint8_t>(code_.size() - jump - 1);
  }
  void load_call() { load(offsetof(seccomp_data, nr)); }
  // The lower 32 bits: what is compared here are flags and small numbers.
  void load_argument(std::size_t index) { load(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t)); }
  std::vector<sock_filter> take() { return std::move(code_); }

 private:
  void add(int operation, std::uint32_t value, std::uint8_t if_true = 0, std::uint8_t if_false = 0) {
    code_.push_back({static_cast<std::uint16_t>(operation), if_true, if_false, value});
  }
  std::vector<sock_filter> code_;
};

constexpr std::uint32_t new_namespace_flags =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

void look_at_arguments(Program& program) {
  program.on_call(SYS_socket, [&] {
    program.load_argument(0);
    program.answer_if(AF_UNIX, SECCOMP_RET_ALLOW);
    program.answer_if(AF_NETLINK, SECCOMP_RET_ALLOW);
    // Of the Internet's only streams and datagrams: no raw sockets, and nothing of other families.
    const auto streams_and_datagrams = [&] {
      program.load_argument(1);
      program.mask(0xf);  // without SOCK_CLOEXEC and SOCK_NONBLOCK
      program.answer_if(SOCK_STREAM, SECCOMP_RET_ALLOW);
      program.answer_if(SOCK_DGRAM, SECCOMP_RET_ALLOW);
      program.answer(refuse);
    };
    program.on_call(AF_INET, streams_and_datagrams);
    program.on_call(AF_INET6, streams_and_datagrams);
    program.answer(refuse);
  });
  program.on_call(SYS_clone, [&] {  // threads only
    program.load_argument(0);
    program.answer_if_any_bit(new_namespace_flags, SECCOMP_RET_KILL_PROCESS);
    program.answer_if_any_bit(CLONE_THREAD, SECCOMP_RET_ALLOW);
    program.answer(refuse);
  });
  program.on_call(SYS_clone3, [&] { program.answer(not_there); });  // its flags cannot be seen here; the C library then takes clone
  for (const std::uint32_t call : {std::uint32_t{SYS_mmap}, std::uint32_t{SYS_mprotect}})
    program.on_call(call, [&] {
      program.load_argument(2);
      program.mask(PROT_WRITE | PROT_EXEC);
      program.answer_if(PROT_WRITE | PROT_EXEC, refuse);
      program.answer(SECCOMP_RET_ALLOW);
    });
  program.on_call(SYS_ioctl, [&] {
    program.load_argument(1);
    program.answer_if(TIOCSTI, refuse);  // types into the terminal
    program.answer(SECCOMP_RET_ALLOW);
  });
  program.on_call(SYS_prctl, [&] {
    program.load_argument(0);
    program.answer_if(PR_SET_NAME, SECCOMP_RET_ALLOW);
    program.answer_if(PR_GET_NAME, SECCOMP_RET_ALLOW);
    program.answer_if(PR_CAPBSET_READ, SECCOMP_RET_ALLOW);
    program.answer_if(PR_GET_DUMPABLE, SECCOMP_RET_ALLOW);
    program.answer(refuse);
  });
  program.on_call(SYS_tgkill, [&] {  // abort() and nothing else
    program.load_argument(0);
    program.answer_if(static_cast<std::uint32_t>(::getpid()), SECCOMP_RET_ALLOW);
    program.answer(refuse);
  });
  program.on_call(SYS_prlimit64, [&] {  // reading only
    constexpr std::uint32_t any = 0xffffffff;
    program.load_argument(2);
    program.answer_if_any_bit(any, refuse);
    program.load(offsetof(seccomp_data, args) + 2 * sizeof(std::uint64_t) + sizeof(std::uint32_t));  // the pointer's upper half
    program.answer_if_any_bit(any, refuse);
    program.answer(SECCOMP_RET_ALLOW);
  });
}

}  // namespace

std::vector<sock_filter> syscall_filter(SyscallPolicy policy) {
  const bool closed = policy == SyscallPolicy::gateway;
  Program program;
  program.load(offsetof(seccomp_data, arch));
  program.answer_unless(own_architecture, SECCOMP_RET_KILL_PROCESS);
  program.load_call();
#if defined(__x86_64__)
  program.answer_if_any_bit(x32_bit, SECCOMP_RET_KILL_PROCESS);
#endif
  if (policy == SyscallPolicy::no_unix_sockets) {
    program.on_call(SYS_socket, [&] {
      program.load_argument(0);
      program.answer_if(AF_UNIX, refuse);
      program.answer(SECCOMP_RET_ALLOW);
    });
    program.answer(SECCOMP_RET_ALLOW);
    return program.take();
  }
  if (closed)
    for (const auto call : allowed_calls) program.answer_if(call, SECCOMP_RET_ALLOW);
  for (const auto call : hostile_calls) program.answer_if(call, closed ? SECCOMP_RET_KILL_PROCESS : refuse);
  if (!closed) {
    program.answer(SECCOMP_RET_ALLOW);
    return program.take();
  }
  for (const auto call : {SYS_execve, SYS_execveat}) program.answer_if(static_cast<std::uint32_t>(call), SECCOMP_RET_KILL_PROCESS);
  look_at_arguments(program);
  program.answer(refuse);
  return program.take();
}

Status restrict_syscalls(SyscallPolicy policy) {
  auto code = syscall_filter(policy);
  const sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
  // All threads at once: one that was overlooked would be a way around.
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG, &filter) == 0) return {};
  auto error = errno_failure(errno, "restrict the system calls of this process");
  error.cure = "drpf needs a kernel with CONFIG_SECCOMP_FILTER, as every distribution has";
  return fail(error);
}

}  // namespace drpf::system
