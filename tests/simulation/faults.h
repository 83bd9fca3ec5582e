// What may go wrong, when it does, and how often it was met. One seed decides everything.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/random.h"
#include "core/time.h"

namespace drpf::simulation {

// The process ends here: thrown through whatever it was doing.
struct Crash {
  const char* where;
};

// The product broke a promise.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Fault : std::uint8_t {
  crash,
  lost_answer,        // done, but the client does not hear of it and asks again
  duplicate_request,  // an old request arrives a second time
  reordered_request,  // a request arrives after one that was sent later
  store_refuses,      // the commit fails and nothing of it is kept
  store_doubtful,     // the commit fails, and yet it is there after a crash that comes before the next commit
  slow_store,         // time passes while it writes
  kernel_refuses,     // the kernel's transaction fails as a whole
  kernel_doubtful,    // the kernel did it, and says that it failed
  slow_kernel,        // time passes while it works
  tunnel_refuses,     // the gateway's own address for a device cannot be set
  wall_jump_forward,  // somebody sets the clock
  wall_jump_back,
  stall,            // the process gets no time, everything else goes on
  suspend,          // the host sleeps: the boot clock goes on, the kernel's timers do not
  reboot,           // the kernel forgets everything
  foreign_flush,    // another program removes our table
  foreign_removal,  // another program removes an element
  delayed_event,    // the tunnel's events arrive late
  count
};
inline constexpr std::size_t fault_count = static_cast<std::size_t>(Fault::count);

std::string_view to_string(Fault fault);

// Bugs that the simulation puts in by itself, to show that it finds such bugs. They sit in the wrappers, never in the product.
enum class Mutation : std::uint8_t {
  none,
  answer_before_commit,    // the store says yes and writes later
  kernel_before_store,     // elements are there before the record is durable
  lose_last_commit,        // what was committed last is gone after a crash
  forget_quarantine,       // rests are not stored
  forget_generations,      // after a restart generations begin again
  keep_generation,         // a new activation takes the generation of the one before it
  keep_removed,            // removals are not carried out
  live_forever,            // elements have no timeout
  late_timeout,            // a slow kernel is not taken into account
  flows_not_checked,       // an established flow passes without a look at its generation
  connections_not_purged,  // flows of ended leases stay
  reload_ends_leases,      // a file that ends leases is taken although nobody asked for that
  ruleset_stays,           // a change of the rule set says yes and does nothing
  count
};

std::string_view to_string(Mutation mutation);

class Dice final : public Random {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  Duration between(Duration least, Duration most) {
    return least + Duration(static_cast<Duration::rep>(random_() % static_cast<std::uint64_t>((most - least).count() + 1)));
  }
  void fill(MutableByteView out) override {
    for (auto& byte : out) byte = static_cast<std::uint8_t>(random_());
  }

 private:
  std::mt19937_64 random_;
};

using Met = std::map<std::string, std::uint64_t, std::less<>>;

// Which faults strike in this run: each seed has its own selection, for some bugs need the absence of others' noise.
class Faults {
 public:
  Faults(Dice& dice, Met& met, Mutation mutation);

  bool strikes(Fault fault, std::uint32_t one_in);
  void crash_point(const char* where);  // throws Crash, sometimes
  void note(std::string_view path) { ++met_[std::string(path)]; }
  bool mutated(Mutation mutation) const { return mutation_ == mutation; }

  bool quiet = false;  // nothing strikes: to see what settles
  std::function<void(std::string_view)> trace;

 private:
  Dice& dice_;
  Met& met_;
  Mutation mutation_;
  std::array<bool, fault_count> chosen_{};
};

}  // namespace drpf::simulation
