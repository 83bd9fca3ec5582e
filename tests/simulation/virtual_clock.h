// The clocks of a simulated host. They move when somebody moves them.
#pragma once

#include <string>

#include "core/time.h"

namespace drpf::simulation {

class VirtualClock final : public Clock {
 public:
  Time now() const override { return boot_; }
  WallTime wall_now() const override { return wall_; }

  Duration lived() const { return lived_; }  // true time since the simulation began, over every reboot; nobody in the gateway sees it
  // What the kernel's timers have seen of this boot: they stand still while the host sleeps.
  Time awake() const { return boot_ - asleep_; }
  Duration asleep() const { return asleep_; }
  const std::string& boot_id() const { return boot_id_; }

  void pass(Duration time) {
    boot_ += time;
    wall_ += time;
    lived_ += time;
  }
  void sleep(Duration time) {
    pass(time);
    asleep_ += time;
  }
  void jump_wall(Duration by) { wall_ += by; }
  void reboot(Duration off) {
    wall_ += off;
    lived_ += off;
    boot_ = Time(std::chrono::seconds(20));
    asleep_ = {};
    boot_id_ = "boot-" + std::to_string(++boots_);
  }

 private:
  Time boot_{std::chrono::seconds(100)};
  WallTime wall_{std::chrono::hours(500'000)};
  Duration asleep_{};
  Duration lived_{};
  int boots_ = 1;
  std::string boot_id_ = "boot-1";
};

}  // namespace drpf::simulation
