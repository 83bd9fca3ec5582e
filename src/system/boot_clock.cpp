#include "system/boot_clock.h"

#include <ctime>
#include <fstream>

namespace drpf::system {
namespace {

Duration read_clock(clockid_t id) {
  timespec time{};
  clock_gettime(id, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

Time SystemClock::now() const { return Time(read_clock(CLOCK_BOOTTIME)); }
WallTime SystemClock::wall_now() const { return WallTime(read_clock(CLOCK_REALTIME)); }

Duration time_suspended() { return read_clock(CLOCK_BOOTTIME) - read_clock(CLOCK_MONOTONIC); }

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace drpf::system
