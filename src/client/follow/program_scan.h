// Which of some named programs listen where: the kernel's list of sockets, and /proc for whose they are. Looks only; see program_watch.h
// for who does the looking.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "client/follow/follow_rule.h"
#include "core/result.h"
#include "core/time.h"
#include "system/socket_diagnosis.h"

namespace drpf::client {

inline constexpr std::size_t followed_sockets_max = 4096;  // in one look; more are not told
// A socket may change hands without being opened anew (service managers pass them on): then only this finds it.
inline constexpr std::chrono::seconds full_scan_period{10};

class ProgramScan {
 public:
  static Result<ProgramScan> open(std::vector<std::string> programs);
  // Sorted, no duplicates. Looks into /proc only when other sockets are open than the last time, or the last time is long ago.
  Result<std::vector<FollowedSocket>> look(Time now);

 private:
  ProgramScan(std::vector<std::string> programs, system::SocketDiagnosis sockets)
      : programs_(std::move(programs)), sockets_(std::move(sockets)) {}

  std::vector<std::string> programs_;
  system::SocketDiagnosis sockets_;
  std::vector<system::OwnedSocket> open_;
  std::vector<FollowedSocket> found_;
  std::optional<Time> scanned_;
};

}  // namespace drpf::client
