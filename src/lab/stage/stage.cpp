#include "lab/stage/stage.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "lab/stage/requirements.h"
#include "system/fd.h"
#include "system/namespaces.h"
#include "terminal/exit_code.h"

namespace drpf::lab {
namespace {

constexpr int stage_namespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET;

// fork(2) into new namespaces; glibc has no wrapper without a stack of its own.
pid_t fork_into(int clone_flags) {
  return static_cast<pid_t>(syscall(SYS_clone, clone_flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

void say(const std::string& command, const Missing& missing) {
  fmt::print(stderr, "{}: {}\n  cure: {}\n", command, missing.what, missing.cure);
}

Status furnish(bool user_namespace, uid_t uid, gid_t gid) {
  if (user_namespace) {
    if (const Status mapped = system::map_own_ids(uid, gid, 0, 0); !mapped) return mapped;
  }
  if (const Status separate = system::make_mounts_private(); !separate) return separate;
  if (const Status mounted = system::mount_tmpfs("/run", "mode=755,size=256m"); !mounted) return mounted;
  // Containers that hide parts of /proc forbid a fresh one; the old one serves as well.
  (void)system::mount_proc();
  if (::mkdir(stage_folder, 0755) != 0)
    return fail(failure("mkdir", fmt::format("cannot make {}: {}", stage_folder, std::strerror(errno))));
  return {};
}

// The number of this process in the process namespace that /proc shows, as long as that is the host's.
pid_t pid_in_proc() {
  char text[32] = {};
  return ::readlink("/proc/self", text, sizeof text - 1) > 0 ? static_cast<pid_t>(std::atoi(text)) : 0;
}

int be_first_process(const std::string& command, const std::function<int(const Stage&)>& show, bool user_namespace, uid_t uid, gid_t gid,
                     int alive_fd, int verdict_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd alive{alive_fd, POLLIN, 0};
  if (::poll(&alive, 1, 0) != 0) return terminal::exit_interrupted;  // the parent ended before the line above
  ::setsid();                                                        // Ctrl-C is for the parent; the programs of the show do not see it
  ::umask(022);                                                      // servers that are nobody read what we write
  const Stage stage(user_namespace, pid_in_proc(), verdict_fd);
  if (const Status furnished = furnish(user_namespace, uid, gid); !furnished) {
    say(command, explain_powerless_namespaces(furnished.error(), user_namespace, command));
    return terminal::exit_unavailable;
  }
  return show(stage);
}

// False in a user namespace with fewer users, such as that of `unshare -r`: root there cannot become nobody.
bool nobody_exists() {
  std::ifstream map("/proc/self/uid_map");
  for (std::uint64_t inside = 0, outside = 0, count = 0; map >> inside >> outside >> count;) {
    if (inside <= nobody && nobody < inside + count) return true;
  }
  return false;
}

// Waits for the child or for a signal that ends us.
int attend(const std::string& command, pid_t child, const sigset_t& signals, int verdict_fd) {
  for (;;) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) {
      if (WIFEXITED(status)) return WEXITSTATUS(status);
      fmt::print(stderr, "{}: ended with signal {}\n", command, WTERMSIG(status));
      return EXIT_FAILURE;
    }
    siginfo_t info{};
    if (sigwaitinfo(&signals, &info) == SIGCHLD || info.si_signo == 0) continue;
    ::kill(child, SIGKILL);  // the kernel ends everything inside with it
    ::waitpid(child, &status, 0);
    unsigned char verdict = terminal::exit_interrupted;
    return ::read(verdict_fd, &verdict, 1) == 1 ? int{verdict} : int{terminal::exit_interrupted};
  }
}

}  // namespace

void Stage::give_verdict(int exit_code) const {
  const auto verdict = static_cast<unsigned char>(exit_code);
  if (::write(verdict_fd_, &verdict, 1) != 1) std::perror("the parent is gone");
}

int run_stage(const std::string& command, const std::function<int(const Stage&)>& show) {
  int verdict[2];
  int alive[2];
  if (::pipe2(verdict, O_CLOEXEC | O_NONBLOCK) != 0 || ::pipe2(alive, O_CLOEXEC) != 0) {
    std::perror((command + ": cannot make a pipe").c_str());
    return EXIT_FAILURE;
  }
  const system::Fd verdict_in(verdict[0]);
  const system::Fd alive_out(alive[1]);
  system::Fd verdict_out(verdict[1]);
  system::Fd alive_in(alive[0]);

  sigset_t signals;
  sigset_t before;
  sigemptyset(&signals);
  std::signal(SIGCHLD, SIG_DFL);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD}) {
    struct sigaction present{};
    sigaction(number, nullptr, &present);
    if (present.sa_handler != SIG_IGN) sigaddset(&signals, number);  // nohup stays what it is
  }
  sigprocmask(SIG_BLOCK, &signals, &before);

  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  std::fflush(nullptr);
  // Root needs no user namespace; where root is not allowed to do this (a container), it is tried like an ordinary user's.
  bool user_namespace = uid != 0 || !nobody_exists();
  pid_t child = user_namespace ? -1 : fork_into(stage_namespaces);
  if (child < 0) {
    user_namespace = true;
    child = fork_into(stage_namespaces | CLONE_NEWUSER);
  }
  if (child < 0) {
    say(command, explain_refused_namespaces(errno, user_namespace, command));
    sigprocmask(SIG_SETMASK, &before, nullptr);
    return terminal::exit_unavailable;
  }
  if (child == 0) {
    ::close(alive[1]);
    ::close(verdict[0]);
    const int code = be_first_process(command, show, user_namespace, uid, gid, alive[0], verdict[1]);
    std::fflush(nullptr);
    _exit(code);
  }
  verdict_out = system::Fd();
  alive_in = system::Fd();
  const int code = attend(command, child, signals, verdict_in.get());
  sigprocmask(SIG_SETMASK, &before, nullptr);
  return code;
}

}  // namespace drpf::lab
