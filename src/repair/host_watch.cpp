#include "repair/host_watch.h"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "firewall/foreign_rules.h"

namespace drpf::repair {

Result<std::unique_ptr<HostWatch>> HostWatch::start(Parts parts) {
  auto events = system::KernelEvents::open();
  if (!events) return fail(events.error());
  std::unique_ptr<HostWatch> watch(new HostWatch(std::move(parts), std::move(*events)));
  auto* const self = watch.get();
  auto& loop = self->parts_.loop;
  self->ruleset_watch_ = loop.watch_readable(self->events_.ruleset_fd(), [self] { self->on_events(); });
  self->network_watch_ = loop.watch_readable(self->events_.network_fd(), [self] { self->on_events(); });
  self->timer_ = loop.every(interval, [self] { self->look(true); });
  self->look_soon();
  return watch;
}

void HostWatch::forget_authors() {
  on_events();
  ruleset_author_.reset();
  network_author_.reset();
}

void HostWatch::on_events() {
  const auto change = events_.drain();
  const auto now = parts_.clock.now();
  const auto own = static_cast<std::uint32_t>(::getpid());
  static const auto own_name = system::program_name(own);
  for (const auto& author : change.authors)
    if (author.program != own_name) ruleset_author_ = Author{{author.process, author.program}, now};
  if (change.network_author && change.network_author->process != own && change.network_author->program != own_name)
    network_author_ = Author{*change.network_author, now};
  if (change.network || change.lost) network_changed_ = true;
  if (change.network || change.lost || change.ruleset) look_soon();
}

void HostWatch::look_soon() {
  if (soon_.active()) return;
  const auto now = parts_.clock.now();
  soon_ = parts_.loop.after(std::max<Duration>(settle_time, rest_until_ - now), [this] {
    soon_.cancel();
    look(false);
  });
}

void HostWatch::look(bool timer) {
  const auto begin = parts_.clock.now();
  parts_.look({timer, std::exchange(network_changed_, false)});
  const auto end = parts_.clock.now();
  rest_until_ = end + (end - begin) * rest_factor;
}

void HostWatch::note(const std::string& what, Traces traces) {
  complaint_.clear();
  const auto now = parts_.clock.now();
  if (const auto line = record_.note(what, culprit(traces), now)) parts_.say(*line);
  const bool alarm = record_.report(now).alarm;
  if (alarm && !alarm_)
    parts_.alarm(fmt::format("more than {} repairs within a minute: another program works against {}; {} says which",
                             RepairRecord::repairs_per_minute_max, parts_.whose, parts_.where_it_says));
  alarm_ = alarm;
}

void HostWatch::complain(const std::string& what, const Error& error) {
  if (complaint_ == what) return;
  complaint_ = what;
  parts_.alarm(fmt::format("{} could not be put right, it is tried again every {} s: {}", what,
                           std::chrono::duration_cast<std::chrono::seconds>(interval).count(), error.message));
}

std::string HostWatch::recent(const std::optional<Author>& author) const {
  if (!author || parts_.clock.now() - author->heard >= author_age_max) return {};
  if (author->program.program.empty()) return fmt::format("process {}, which has ended", author->program.process);
  return fmt::format("the program '{}' (process {})", author->program.program, author->program.process);
}

// A guess for the operator: who committed the last change, and what is known to do such things on this host.
std::string HostWatch::culprit(Traces traces) {
  if (traces == Traces::none) return {};
  if (traces == Traces::network) return recent(network_author_);
  auto text = recent(ruleset_author_);
  const auto names = parts_.names_of_others();
  const auto owner = names ? firewall::owner_by_names(*names) : std::string();
  if (!owner.empty()) return text.empty() ? "probably " + owner : text + ", probably for " + owner;
  if (!text.empty() && ruleset_author_->program.program == "nft") text += ", perhaps nftables.service or a script";
  return text;
}

}  // namespace drpf::repair
