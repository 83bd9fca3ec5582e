// The place where a lab is built (the demo, the self-test): new namespaces whose first process runs the show. When that process or its
// parent ends, by whatever signal, the kernel ends every process inside and with them all networks, mounts and files.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "core/result.h"

namespace drpf::lab {

inline constexpr int exit_interrupted = 130;

// What the show can do with its place.
class Stage {
 public:
  Stage(bool user_namespace, pid_t outside_pid, int verdict_fd)
      : user_namespace_(user_namespace), outside_pid_(outside_pid), verdict_fd_(verdict_fd) {}

  bool user_namespace() const { return user_namespace_; }  // we are an ordinary user outside
  pid_t outside_pid() const { return outside_pid_; }       // the show's process id as the host sees it
  // The show is over: this is the exit code when somebody ends the program from now on.
  void give_verdict(int exit_code) const;

 private:
  bool user_namespace_;
  pid_t outside_pid_;
  int verdict_fd_;
};

// User and group `nobody` of every Linux (the overflow id), which servers run as.
inline constexpr unsigned nobody = 65534;
// A folder on a tmpfs of the stage, seen in all its machines.
inline constexpr const char* stage_folder = "/run/drpf-lab";

// Runs the show until it returns an exit code or somebody interrupts. The show has one thread. `command` is what the messages begin with:
// "drpf demo".
int run_stage(const std::string& command, const std::function<int(const Stage&)>& show);

}  // namespace drpf::lab
