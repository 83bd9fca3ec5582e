#include "client/ports/change_hook.h"

#include <fcntl.h>
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

ChangeHook::ChangeHook(net::EventLoop& loop, std::function<void(std::string)> complain, std::chrono::milliseconds time_max)
    : loop_(loop), complain_(std::move(complain)), time_max_(time_max) {}

ChangeHook::~ChangeHook() { stop(); }

void ChangeHook::tell(HookCall call) {
  if (stopping_) return;
  std::erase_if(waiting_, [&](const HookCall& one) { return one.option == call.option && one.subject == call.subject; });
  waiting_.push_back(std::move(call));
  go_on();
}

void ChangeHook::stop() {
  if (stopping_) return;
  loop_.run_until([this] { return waiting_.empty() && !run_; }, hook_exit_time_max);
  stopping_ = true;
  waiting_.clear();
  if (!run_) return;
  run_->told_to_end = true;
  end_run();
  if (loop_.run_until([this] { return !run_; }, hook_term_time_max)) return;
  ::kill(-run_->pid, SIGKILL);
  on_run_ended();
}

void ChangeHook::go_on() {
  while (!run_ && !waiting_.empty()) {
    const auto call = std::move(waiting_.front());
    waiting_.pop_front();
    if (const auto started = start(call); !started) complain_(started.error().message);
  }
}

Status ChangeHook::start(const HookCall& call) {
  const auto pid = spawn_shell(expand_hook_command(call.command, call.state), hook_environment(call.state));
  if (!pid) return fail(pid.error());
  auto pidfd = open_pidfd(*pid);
  if (!pidfd.valid()) {
    const int error = errno;
    ::kill(-*pid, SIGKILL);
    while (::waitpid(*pid, nullptr, 0) < 0 && errno == EINTR) {}
    return fail(failure("hook_not_started", fmt::format("watching the command of {}: {}", call.option, std::strerror(error))));
  }
  run_ = Run{};
  auto& run = *run_;
  run.option = call.option;
  run.pid = *pid;
  run.pidfd = std::move(pidfd);
  run.ended = loop_.watch_readable(run.pidfd.get(), [this] { on_run_ended(); });
  run.limit = loop_.after(time_max_, [this] {
    run_->too_long = true;
    end_run();
  });
  return {};
}

void ChangeHook::end_run() {
  ::kill(-run_->pid, SIGTERM);
  run_->limit = loop_.after(hook_term_time_max, [this] { ::kill(-run_->pid, SIGKILL); });
}

void ChangeHook::on_run_ended() {
  int status = 0;
  while (::waitpid(run_->pid, &status, 0) < 0 && errno == EINTR) {}
  run_->ended.cancel();  // before the descriptor is closed
  const auto option = run_->option;
  const bool too_long = run_->too_long;
  const bool told_to_end = run_->told_to_end;
  run_.reset();
  if (too_long) {
    complain_(fmt::format("the command of {} was ended: it ran for more than {} s", option,
                          std::chrono::duration_cast<std::chrono::seconds>(time_max_).count()));
  } else if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
    complain_(fmt::format("the command of {} failed with exit code {}", option, WEXITSTATUS(status)));
  } else if (!told_to_end && WIFSIGNALED(status)) {
    complain_(fmt::format("the command of {} was ended by signal {}", option, WTERMSIG(status)));
  }
  go_on();
}

}  // namespace drpf::client
