#include "client/ports/change_hook.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "client/ports/published_ports.h"
#include "system/fd.h"

extern char** environ;

namespace drpf::client {
namespace {

constexpr std::string_view variable_prefix = "DRPF_";

// Ready to read when the process has ended. pidfd_open(2) is Linux 5.3.
system::Fd open_pidfd(pid_t pid) { return system::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))); }

// Spawns /bin/sh in a process group of its own, with an empty signal mask and the default actions.
Result<pid_t> spawn_shell(const std::string& command, const std::vector<std::string>& variables) {
  std::vector<std::string> environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(variable_prefix)) environment.emplace_back(*entry);
  }
  environment.insert(environment.end(), variables.begin(), variables.end());
  std::vector<char*> environment_pointers;
  for (auto& entry : environment) environment_pointers.push_back(entry.data());
  environment_pointers.push_back(nullptr);

  std::string shell = "/bin/sh";
  std::string option = "-c";
  std::string text = command;
  std::array<char*, 4> arguments{shell.data(), option.data(), text.data(), nullptr};

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  // Our own standard output may be the JSON that a program reads: the command's output goes to standard error.
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, shell.c_str(), &actions, &attributes, arguments.data(), environment_pointers.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail(failure("hook_not_started", fmt::format("starting /bin/sh: {}", std::strerror(error))));
  return pid;
}

enum class Ended { yes, too_long, told_to };

Ended wait_for_end(int pidfd, int kill_fd, std::chrono::milliseconds time_max) {
  std::array<pollfd, 2> fds{pollfd{pidfd, POLLIN, 0}, pollfd{kill_fd, POLLIN, 0}};
  const auto end = std::chrono::steady_clock::now() + time_max;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return Ended::too_long;
    const int ready = ::poll(fds.data(), kill_fd < 0 ? 1 : 2, static_cast<int>(left.count()) + 1);
    if (ready < 0 && errno != EINTR) return Ended::too_long;
    if (ready > 0 && fds[0].revents != 0) return Ended::yes;
    if (ready > 0 && fds[1].revents != 0) return Ended::told_to;
  }
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

std::string first_port(const HookState& state) {
  if (state.lease) return to_string(state.lease->port);
  return state.ports.empty() ? std::string{} : to_string(state.ports.front());
}
std::string protocol(const HookState& state) { return state.lease ? std::string(state.lease->protocol) : std::string{}; }
std::string local_port(const HookState& state) { return state.lease ? to_string(state.lease->local_port) : std::string{}; }

}  // namespace

std::string_view to_string(HookEvent event) {
  switch (event) {
    case HookEvent::up:
      return "up";
    case HookEvent::change:
      return "change";
    case HookEvent::lease:
      return "lease";
    case HookEvent::end:
      return "end";
    case HookEvent::down:
      break;
  }
  return "down";
}

std::string expand_hook_command(std::string_view command, const HookState& state) {
  std::string text(command);
  replace_all(text, "{{PORTS}}", comma_separated(state.ports));
  replace_all(text, "{{PORT}}", first_port(state));
  replace_all(text, "{{VPN_INTERFACE}}", state.interface);
  replace_all(text, "{{EVENT}}", to_string(state.event));
  replace_all(text, "{{PROTOCOL}}", protocol(state));
  replace_all(text, "{{LOCAL_PORT}}", local_port(state));
  replace_all(text, "{{PROGRAM}}", state.lease ? state.lease->program : std::string{});
  return text;
}

std::vector<std::string> hook_environment(const HookState& state) {
  std::vector<std::string> variables{
      fmt::format("DRPF_EVENT={}", to_string(state.event)),
      fmt::format("DRPF_PORTS={}", comma_separated(state.ports)),
      fmt::format("DRPF_PORT={}", first_port(state)),
      fmt::format("DRPF_INTERFACE={}", state.interface),
      fmt::format("DRPF_PUBLIC_ADDRESS={}", state.public_address),
  };
  if (state.lease) {
    variables.push_back("DRPF_PROTOCOL=" + protocol(state));
    variables.push_back("DRPF_LOCAL_PORT=" + local_port(state));
    variables.push_back("DRPF_PROGRAM=" + state.lease->program);
  }
  return variables;
}

ChangeHook::ChangeHook(std::function<void(std::string)> complain, std::chrono::milliseconds time_max)
    : complain_(std::move(complain)), time_max_(time_max) {
  std::array<int, 2> fds{-1, -1};
  if (::pipe2(fds.data(), O_CLOEXEC) == 0) {
    kill_read_ = fds[0];
    kill_write_ = fds[1];
  }
  thread_ = std::thread([this] { run_loop(); });
}

ChangeHook::~ChangeHook() {
  stop();
  if (kill_read_ >= 0) ::close(kill_read_);
}

void ChangeHook::tell(HookCall call) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  std::erase_if(waiting_, [&](const HookCall& one) { return one.option == call.option && one.subject == call.subject; });
  waiting_.push_back(std::move(call));
  changed_.notify_all();
}

void ChangeHook::stop() {
  {
    std::unique_lock lock(mutex_);
    if (stopping_) return;
    changed_.wait_for(lock, hook_exit_time_max, [this] { return waiting_.empty() && !running_; });
    stopping_ = true;
    waiting_.clear();
    changed_.notify_all();
  }
  if (kill_write_ >= 0) ::close(std::exchange(kill_write_, -1));
  thread_.join();
}

void ChangeHook::run_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    const auto call = std::move(waiting_.front());
    waiting_.pop_front();
    running_ = true;
    lock.unlock();
    run_once(call);
    lock.lock();
    running_ = false;
    changed_.notify_all();
  }
}

void ChangeHook::run_once(const HookCall& call) {
  const auto pid = spawn_shell(expand_hook_command(call.command, call.state), hook_environment(call.state));
  if (!pid) {
    complain_(pid.error().message);
    return;
  }
  const auto pidfd = open_pidfd(*pid);
  auto ended = wait_for_end(pidfd.get(), kill_read_, time_max_);
  if (ended != Ended::yes) {
    ::kill(-*pid, SIGTERM);
    const auto again = wait_for_end(pidfd.get(), -1, std::chrono::milliseconds(hook_term_time_max));
    if (again != Ended::yes) ::kill(-*pid, SIGKILL);
  }
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {}
  if (ended == Ended::too_long) {
    complain_(fmt::format("the command of {} was ended: it ran for more than {} s", call.option,
                          std::chrono::duration_cast<std::chrono::seconds>(time_max_).count()));
  } else if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    complain_(fmt::format("the command of {} failed with exit code {}", call.option, WEXITSTATUS(status)));
  } else if (ended == Ended::yes && WIFSIGNALED(status)) {
    complain_(fmt::format("the command of {} was ended by signal {}", call.option, WTERMSIG(status)));
  }
}

}  // namespace drpf::client
