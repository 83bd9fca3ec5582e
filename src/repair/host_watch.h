// Says when to look whether this host is still as it was put: at the kernel's events of rule sets and networks and every two seconds. Keeps
// the account of what had to be mended, who may have changed it, and what of it is said. What is right is found by whoever looks.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "net/event_loop.h"
#include "repair/repair_record.h"
#include "system/kernel_events.h"

namespace drpf::repair {

class HostWatch {
 public:
  static constexpr Duration interval = std::chrono::seconds(2);
  static constexpr Duration settle_time = std::chrono::milliseconds(5);  // one change comes as many events
  static constexpr int rest_factor = 2;  // the rest after looking: it takes a third of the time at most, however many events there are
  static constexpr Duration author_age_max = std::chrono::seconds(3);

  struct Occasion {
    bool timer = false;
    bool network = false;  // interfaces, addresses, routes or routing rules have changed, or nobody knows
  };
  struct Parts {
    net::EventLoop& loop;
    const Clock& clock;
    std::function<void(Occasion)> look;
    std::function<Result<std::vector<std::string>>()> names_of_others;  // tables and chains of other programs
    std::function<void(const std::string&)> say;                        // what was mended
    std::function<void(const std::string&)> alarm;                      // it is mended again and again, or cannot be
    std::string whose;                                                  // "the gateway": against whom another program works
    std::string where_it_says;                                          // where one reads which program that is
  };
  static Result<std::unique_ptr<HostWatch>> start(Parts parts);

  void look_soon();
  enum class Traces : std::uint8_t { none, ruleset, network };  // which of the kernel's events tell who it was
  void note(const std::string& what, Traces traces);
  void complain(const std::string& what, const Error& error);  // once, until something else is to be said
  // What was heard up to now was our own doing: it is not held against anybody.
  void forget_authors();
  api::RepairReport report() const { return record_.report(parts_.clock.now()); }

 private:
  struct Author {
    system::EventAuthor program;
    Time heard{};
  };
  HostWatch(Parts parts, system::KernelEvents events) : parts_(std::move(parts)), events_(std::move(events)) {}

  void on_events();
  void look(bool timer);
  std::string culprit(Traces traces);
  std::string recent(const std::optional<Author>& author) const;

  Parts parts_;
  system::KernelEvents events_;
  RepairRecord record_;
  std::optional<Author> ruleset_author_, network_author_;
  bool network_changed_ = true;  // before the first event that could be heard, anything may have
  Time rest_until_{};
  bool alarm_ = false;
  std::string complaint_;  // the last, said once
  net::Timer soon_;
  net::Watch ruleset_watch_, network_watch_, timer_;
};

}  // namespace drpf::repair
