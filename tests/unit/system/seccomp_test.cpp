#include "system/seccomp.h"

#include <fcntl.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

namespace drpf::system {
namespace {

constexpr int killed_by = 1000;  // + the signal's number

// What a child under the policy gets: 0, an errno, or the signal that ended it.
template <class Attempt>
int under(SyscallPolicy policy, Attempt attempt) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !restrict_syscalls(policy)) ::_exit(255);
    errno = 0;
    ::_exit(attempt() < 0 ? errno : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return WIFSIGNALED(status) ? killed_by + WTERMSIG(status) : WEXITSTATUS(status);
}

struct Case {
  const char* name;
  long (*attempt)();
  int gateway;
  int programs;
};

long execute() {
  char path[] = "/bin/true";
  char* arguments[] = {path, nullptr};
  char* environment[] = {nullptr};
  return ::execve(path, arguments, environment);
}

const Case cases[] = {
    {"ReadTheClock", [] { return ::syscall(SYS_clock_gettime, CLOCK_BOOTTIME, nullptr) < 0 && errno == EFAULT ? 0L : -1L; }, 0, 0},
    {"OpenAFile", [] { return static_cast<long>(::open("/proc/self/status", O_RDONLY)); }, 0, 0},
    {"InternetStream", [] { return static_cast<long>(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }, 0, 0},
    {"InternetDatagram", [] { return static_cast<long>(::socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0)); }, 0, 0},
    {"Netlink", [] { return static_cast<long>(::socket(AF_NETLINK, SOCK_RAW, 0)); }, 0, 0},
    {"UnixSocket", [] { return static_cast<long>(::socket(AF_UNIX, SOCK_STREAM, 0)); }, 0, 0},
    {"OrdinaryMemory",
     [] { return ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1L : 0L; }, 0, 0},
    {"ReadALimit",
     [] {
       rlimit limit{};
       return static_cast<long>(::getrlimit(RLIMIT_NOFILE, &limit));
     },
     0, 0},

    {"Program", execute, killed_by + SIGSYS, 0},
    {"ProgramByDescriptor", [] { return ::syscall(SYS_execveat, -1, "/bin/true", nullptr, nullptr, 0); }, killed_by + SIGSYS, 0},
    {"Trace", [] { return ::syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0); }, killed_by + SIGSYS, EPERM},
    {"MemoryOfOthers", [] { return ::syscall(SYS_process_vm_readv, ::getppid(), nullptr, 0, nullptr, 0, 0); }, killed_by + SIGSYS, EPERM},
    {"Mount", [] { return ::syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, nullptr); }, killed_by + SIGSYS, EPERM},
    {"Unshare", [] { return ::syscall(SYS_unshare, CLONE_NEWUSER); }, killed_by + SIGSYS, EPERM},
    {"EnterNamespace", [] { return ::syscall(SYS_setns, -1, 0); }, killed_by + SIGSYS, EPERM},
    {"KernelModule", [] { return ::syscall(SYS_finit_module, -1, "", 0); }, killed_by + SIGSYS, EPERM},
    {"KernelProgram", [] { return ::syscall(SYS_bpf, 0, nullptr, 0); }, killed_by + SIGSYS, EPERM},
    {"Rings", [] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }, killed_by + SIGSYS, EPERM},
    {"OtherRoot", [] { return static_cast<long>(::chroot("/")); }, killed_by + SIGSYS, EPERM},
    {"NamespaceByClone", [] { return ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }, killed_by + SIGSYS, 0},

    {"RawSocket", [] { return static_cast<long>(::socket(AF_INET, SOCK_RAW, IPPROTO_TCP)); }, EPERM, -1},
    {"PacketSocket", [] { return static_cast<long>(::socket(AF_PACKET, SOCK_DGRAM, 0)); }, EPERM, -1},
    {"OtherFamily", [] { return static_cast<long>(::socket(AF_VSOCK, SOCK_STREAM, 0)); }, EPERM, -1},
    {"ChildProcess", [] { return ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }, EPERM, 0},
    {"WritableCode",
     [] { return ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1L : 0L; },
     EPERM, 0},
    {"KillAnother", [] { return static_cast<long>(::kill(::getppid(), 0)); }, EPERM, 0},
    {"SignalAThreadOfAnother", [] { return ::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0); }, EPERM, 0},
    {"RaiseALimit",
     [] {
       const rlimit limit{1, 1};
       return static_cast<long>(::setrlimit(RLIMIT_CORE, &limit));
     },
     EPERM, 0},
    {"BecomeDumpable", [] { return static_cast<long>(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }, EPERM, 0},
    {"AnotherUser", [] { return ::syscall(SYS_setuid, ::getuid()); }, EPERM, 0},
    {"UnknownCall", [] { return ::syscall(100'000); }, EPERM, ENOSYS},
};

class Seccomp : public testing::TestWithParam<Case> {};

TEST_P(Seccomp, OfTheGatewayOnlyWhatItNeedsIsLeft) { EXPECT_EQ(under(SyscallPolicy::gateway, GetParam().attempt), GetParam().gateway); }

TEST_P(Seccomp, ProgramsLackOnlyWhatChangesTheMachine) {
  if (GetParam().programs < 0) {  // whether it is allowed depends on who runs this; the filter adds nothing
    EXPECT_NE(under(SyscallPolicy::programs, GetParam().attempt), killed_by + SIGSYS);
  } else {
    EXPECT_EQ(under(SyscallPolicy::programs, GetParam().attempt), GetParam().programs);
  }
}

INSTANTIATE_TEST_SUITE_P(Calls, Seccomp, testing::ValuesIn(cases), [](const auto& test) { return std::string(test.param.name); });

TEST(SeccompThreads, AThreadThatWasThereBeforeIsCaughtToo) {
  const pid_t child = ::fork();
  if (child == 0) {
    int ends[2];
    if (::pipe(ends) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(254);
    int answer = -1;
    std::thread earlier([&] {
      char go = 0;
      if (::read(ends[0], &go, 1) == 1) answer = ::socket(AF_INET, SOCK_RAW, IPPROTO_TCP) < 0 ? errno : 0;
    });
    if (!restrict_syscalls(SyscallPolicy::gateway) || ::write(ends[1], "g", 1) != 1) ::_exit(253);
    earlier.join();
    std::thread later([&] { answer = answer == EPERM && ::socket(AF_INET, SOCK_RAW, IPPROTO_TCP) < 0 ? errno : 0; });
    later.join();
    ::_exit(answer);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), EPERM);
}

TEST(Seccomp, AProcessThatHasItsUnixSocketsOpensNoMore) {
  const auto unix_socket = [] { return static_cast<long>(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); };
  const auto once_more = [&] { return restrict_syscalls(SyscallPolicy::no_unix_sockets) ? unix_socket() : 0L; };
  for (const auto policy : {SyscallPolicy::gateway, SyscallPolicy::programs}) {
    EXPECT_EQ(under(policy, unix_socket), 0);
    EXPECT_EQ(under(policy, once_more), EPERM);
  }
  EXPECT_EQ(under(SyscallPolicy::no_unix_sockets, [] { return static_cast<long>(::socket(AF_INET, SOCK_STREAM, 0)); }), 0);
}

}  // namespace
}  // namespace drpf::system
