#include "system/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <fmt/format.h>

namespace drpf::system {

namespace {

using Steady = std::chrono::steady_clock;

constexpr int exec_failed_code = 127;

struct Pipe {
  Fd read_end;
  Fd write_end;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(failure("pipe", fmt::format("cannot make a pipe: {}", std::strerror(errno))));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

int remaining_ms(Steady::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Steady::now()).count();
  return left > 0 ? static_cast<int>(left) : 0;
}

bool write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// A program's standard input. In memory and not a pipe: how much a pipe takes before somebody reads depends on the user's other pipes, down
// to one page, and whoever writes more waits for a reader that does not run yet.
Result<Fd> input_with(std::string_view text) {
  Fd file(::memfd_create("input", MFD_CLOEXEC));
  const auto failed = [] { return fail(failure("input", fmt::format("cannot keep the input of a program: {}", std::strerror(errno)))); };
  if (!file.valid() || !write_whole(file.get(), text) || ::lseek(file.get(), 0, SEEK_SET) != 0) return failed();
  return file;
}

// Signals as a fresh program expects them, whatever this process blocks or ignores.
void reset_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGQUIT}) std::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void die_with_parent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(exec_failed_code);
}

}  // namespace

std::string find_program(std::string_view name) {
  const auto executable = [](const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string_view::npos) return executable(std::string(name)) ? std::string(name) : std::string();
  const char* path = std::getenv("PATH");
  std::string folders = path == nullptr ? "/usr/bin:/bin" : path;
  folders += ":/usr/local/sbin:/usr/sbin:/sbin";
  for (std::string_view rest = folders; !rest.empty();) {
    const std::size_t end = rest.find(':');
    const std::string_view folder = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (folder.empty()) continue;
    std::string candidate = fmt::format("{}/{}", folder, name);
    if (executable(candidate)) return candidate;
  }
  return {};
}

// One start of a child, with the descriptors it is to get.
struct Launch {
  int out = -1;
  int err = -1;

  Result<Process> operator()(const Command& command) const;

 private:
  [[noreturn]] void child(const Command& command, const std::string& program, int input, int log, int report) const;
};

void Launch::child(const Command& command, const std::string& program, int input, int log, int report) const {
  reset_signals();
  if (command.prepare) {
    if (const Status prepared = command.prepare(); !prepared) {
      write_whole(report, prepared.error().message);
      _exit(exec_failed_code);
    }
  }
  for (const auto& [name, value] : command.environment) setenv(name.c_str(), value.c_str(), 1);
  for (const int fd : command.kept_fds) fcntl(fd, F_SETFD, 0);
  dup2(input, STDIN_FILENO);
  dup2(out >= 0 ? out : log, STDOUT_FILENO);
  dup2(err >= 0 ? err : log, STDERR_FILENO);
  std::vector<char*> arguments;
  for (const std::string& argument : command.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  if (command.executable != nullptr) {
    syscall(SYS_execveat, command.executable->get(), "", arguments.data(), environ, AT_EMPTY_PATH);
  } else {
    execv(program.c_str(), arguments.data());
  }
  write_whole(report, fmt::format("cannot run {}: {}", program, std::strerror(errno)));
  _exit(exec_failed_code);
}

Result<Process> Launch::operator()(const Command& command) const {
  const std::string& name = command.arguments.at(0);
  const std::string program = command.executable != nullptr ? name : find_program(name);
  if (program.empty()) return fail(not_found("program", fmt::format("the program {} is not installed", name)));
  if (command.input.size() > Process::input_max) {
    return fail(invalid("input", fmt::format("{} bytes of input for {} are more than {}", command.input.size(), name, Process::input_max)));
  }

  Result<Pipe> report = make_pipe();
  if (!report) return fail(report.error());
  Fd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!command.input.empty()) {
    auto with_text = input_with(command.input);
    if (!with_text) return fail(with_text.error());
    input = std::move(*with_text);
  }
  const char* log_path = command.log_path ? command.log_path->c_str() : "/dev/null";
  const Fd log(::open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  if (!log.valid()) return fail(failure("log", fmt::format("cannot open {} for {}: {}", log_path, name, std::strerror(errno))));

  const pid_t parent = getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail(failure("fork", fmt::format("cannot start {}: {}", name, std::strerror(errno))));
  if (pid == 0) {
    die_with_parent(parent);
    child(command, program, input.get(), log.get(), report->write_end.get());
  }
  Process process(pid);
  report->write_end = Fd();
  std::string problem;
  char buffer[512];
  for (ssize_t count; (count = ::read(report->read_end.get(), buffer, sizeof buffer)) > 0;)
    problem.append(buffer, static_cast<std::size_t>(count));
  if (!problem.empty()) return fail(failure("exec", fmt::format("{} did not start: {}", name, problem)));
  return process;
}

Result<Process> Process::start(const Command& command) { return Launch{}(command); }

Result<Process> Process::fork(const std::function<int()>& body) {
  const pid_t parent = getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail(failure("fork", fmt::format("cannot start a child: {}", std::strerror(errno))));
  if (pid == 0) {
    die_with_parent(parent);
    reset_signals();
    _exit(body());
  }
  return Process(pid);
}

Process::Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)), exit_code_(other.exit_code_) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this == &other) return *this;
  kill();
  pid_ = std::exchange(other.pid_, -1);
  exit_code_ = other.exit_code_;
  return *this;
}

Process::~Process() { kill(); }

bool Process::running() { return pid_ > 0 && !wait(Duration::zero()).has_value(); }

void Process::signal(int number) {
  if (running()) ::kill(pid_, number);
}

std::optional<int> Process::wait(Duration limit) {
  if (pid_ <= 0 || exit_code_) return exit_code_;
  const Steady::time_point deadline = Steady::now() + limit;
  const Fd handle(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  pollfd ended{handle.get(), POLLIN, 0};
  while (::poll(&ended, 1, remaining_ms(deadline)) < 0 && errno == EINTR) {}
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

void Process::kill() {
  if (pid_ <= 0 || exit_code_) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
  exit_code_ = 128 + SIGKILL;
}

Result<Output> run(const Command& command, Duration limit) {
  Result<Pipe> out = make_pipe();
  Result<Pipe> err = make_pipe();
  if (!out) return fail(out.error());
  if (!err) return fail(err.error());
  Result<Process> process = Launch{out->write_end.get(), err->write_end.get()}(command);
  if (!process) return fail(process.error());
  out->write_end = Fd();
  err->write_end = Fd();

  Output output;
  const Steady::time_point deadline = Steady::now() + limit;
  pollfd fds[2] = {{out->read_end.get(), POLLIN, 0}, {err->read_end.get(), POLLIN, 0}};
  std::string* texts[2] = {&output.out, &output.err};
  const auto timed_out = [&] {
    return fail(failure("timeout",
                        fmt::format("{} was not done after {:.1f} s", command.arguments[0], std::chrono::duration<double>(limit).count())));
  };
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    const int ready = ::poll(fds, 2, remaining_ms(deadline));
    if (ready == 0) return timed_out();
    for (std::size_t i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char buffer[16384];
      const ssize_t count = ::read(fds[i].fd, buffer, sizeof buffer);
      if (count <= 0) {
        fds[i].fd = -1;
      } else if (texts[i]->size() + static_cast<std::size_t>(count) > Process::output_max) {
        return fail(failure("output", fmt::format("{} printed more than {} bytes", command.arguments[0], Process::output_max)));
      } else {
        texts[i]->append(buffer, static_cast<std::size_t>(count));
      }
    }
  }
  const std::optional<int> code = process->wait(deadline - Steady::now());
  if (!code) return timed_out();
  output.exit_code = *code;
  return output;
}

}  // namespace drpf::system
