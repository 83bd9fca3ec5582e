// Child programs: started, watched, captured, ended. Knows nothing of what they do; no child outlives this process.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "system/fd.h"

namespace drpf::system {

struct Command {
  std::vector<std::string> arguments;                                 // [0] is looked up as find_program() does, unless `executable` is set
  const Fd* executable = nullptr;                                     // run this open file instead
  std::vector<std::pair<std::string, std::string>> environment = {};  // added to ours
  std::vector<int> kept_fds = {};                                     // stay open in the child under the same numbers
  std::string input = {};                                             // its standard input, input_max bytes at most; empty = /dev/null
  std::optional<std::string> log_path = {};  // both outputs are appended to this file; none = /dev/null or captured
  std::function<Status()> prepare = {};      // runs in the child before exec: enter namespaces, drop privileges
};

// In PATH, then in the system's administration folders, which the PATH of an ordinary user leaves out. Empty = nowhere.
std::string find_program(std::string_view name);

class Process {
 public:
  static constexpr std::size_t input_max = 60 * 1024;
  static constexpr std::size_t output_max = 4 * 1024 * 1024;

  // Returns once the program runs; an exec that failed is an error here. The child dies with this process.
  static Result<Process> start(const Command& command);
  // A copy of this process that runs `body` and ends with its return value.
  static Result<Process> fork(const std::function<int()>& body);

  Process() = default;
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();  // kills and reaps

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number);
  // The exit code (128 + n after signal n) once it has ended, nothing if it still runs after `limit`.
  std::optional<int> wait(Duration limit);
  void kill();  // SIGKILL, and reaps

 private:
  friend struct Launch;
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

struct Output {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// Runs to the end. A child that is not done after `limit` is killed and is an error ("timeout").
Result<Output> run(const Command& command, Duration limit);

}  // namespace drpf::system
