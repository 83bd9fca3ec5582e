#include "simulation/model_redirect.h"

#include <algorithm>
#include <set>

#include "redirect/lease_elements.h"

namespace drpf::simulation {

using namespace std::chrono_literals;
using lease::Generation;
using lease::Redirection;

namespace {
bool is_same_lease(const Redirection& a, const Redirection& b) {
  return a.generation == b.generation && public_key(a) == public_key(b) && device_key(a) == device_key(b);
}
}  // namespace

bool ModelRedirect::slow() {
  if (!faults_.strikes(Fault::slow_kernel, 8)) return false;
  clock_.pass(dice_.between(1ms, dice_.one_in(4) ? 40s : 900ms));
  return true;
}

Duration ModelRedirect::left(Time deadline, Time now) const {
  if (faults_.mutated(Mutation::live_forever)) return std::chrono::hours(100'000);
  return redirect::time_left(deadline, now);
}

Status ModelRedirect::carry_out(const lease::Transaction& transaction, Time now) {
  if (transaction.remove.empty() && transaction.install.empty() && transaction.renew.empty()) return {};
  faults_.crash_point("before the kernel");
  const auto called = clock_.now();
  slow();
  if (faults_.strikes(Fault::kernel_refuses, 12)) {
    in_doubt_ = true;
    return refused("a change of leases");
  }
  if (!faults_.mutated(Mutation::late_timeout)) now += clock_.now() - called;

  std::vector<Redirection> gone = transaction.remove;
  std::vector<Redirection> put;
  for (const auto* list : {&transaction.install, &transaction.renew})
    for (auto redirection : *list) {
      if (left(redirection.deadline, now) <= 0s) {
        gone.push_back(redirection);
        continue;
      }
      const auto present = installed_.find(public_key(redirection));
      if (faults_.mutated(Mutation::keep_generation) && present != installed_.end()) redirection.generation = present->second.generation;
      if (present != installed_.end() && !is_same_lease(present->second, redirection)) gone.push_back(present->second);
      put.push_back(redirection);
    }
  if (faults_.mutated(Mutation::keep_removed)) gone.clear();

  // One kernel transaction.
  const auto believed = installed_;
  std::set<PortKey> devices;
  for (const auto& redirection : gone) {
    kernel_.remove_live(redirection.generation);
    const auto present = installed_.find(public_key(redirection));
    if (present == installed_.end() || present->second.generation != redirection.generation) continue;
    kernel_.remove_public(public_key(redirection));
    devices.insert(device_key(present->second));
    installed_.erase(present);
  }
  for (const auto& redirection : put) {
    kernel_.put_live(redirection.generation, left(redirection.deadline, now));
    kernel_.put_public(redirection, left(redirection.deadline, now));
    devices.insert(device_key(redirection));
    installed_[public_key(redirection)] = redirection;
  }
  for (const auto& device : devices) put_first_of(device, now);
  if (faults_.strikes(Fault::kernel_doubtful, 12)) {
    in_doubt_ = true;
    installed_ = believed;  // only the next reconcile tells
    return refused("(but did it)");
  }
  faults_.crash_point("between the kernel's elements and its connections");

  std::set<Generation> ended;
  for (const auto& redirection : gone) ended.insert(redirection.generation);
  purging_.insert(ended.begin(), ended.end());
  const bool some_stay =
      std::any_of(installed_.begin(), installed_.end(), [&](const auto& one) { return ended.contains(one.second.generation); });
  // Waited for only where the next holder would feel it: the same ports are installed, or the generation passes again.
  if (some_stay || !transaction.install.empty()) purge_waiting();
  for (const auto& [key, staying] : installed_)
    if (ended.contains(staying.generation)) kernel_.put_live(staying.generation, left(staying.deadline, now));
  faults_.crash_point("after the kernel");
  return {};
}

// Of several leases that lead to one port of a device, the first in order is its public source.
void ModelRedirect::put_first_of(const PortKey& device, Time now) {
  const Redirection* first = nullptr;
  for (const auto& [key, one] : installed_)
    if (device_key(one) == device && (first == nullptr || redirect::comes_first(one, *first))) first = &one;
  kernel_.remove_device(device);
  if (first != nullptr && left(first->deadline, now) > 0s) kernel_.put_device(*first, left(first->deadline, now));
}

Status ModelRedirect::start(std::string ruleset, std::span<const Redirection> desired, Time now) {
  faults_.crash_point("before the kernel is taken over");
  if (faults_.strikes(Fault::kernel_refuses, 12)) return refused("the start");
  ruleset_ = std::move(ruleset);
  kernel_.ruleset = ruleset_;
  faults_.crash_point("between the rule set and its elements");
  if (auto repaired = repair(desired, now); !repaired) return fail(repaired.error());
  faults_.crash_point("between taking over elements and connections");
  purge_stale();
  kernel_.foreign_change = false;
  return {};
}

Status ModelRedirect::change_ruleset(std::string ruleset, std::span<const Redirection> desired, Time now) {
  faults_.crash_point("before another rule set");
  const auto called = clock_.now();
  slow();
  if (faults_.strikes(Fault::kernel_refuses, 12)) return refused("a rule set");
  kernel_.ruleset = ruleset;
  if (faults_.strikes(Fault::kernel_doubtful, 12)) return refused("a rule set (but has it)");
  ruleset_ = std::move(ruleset);
  faults_.crash_point("after another rule set");
  if (!faults_.mutated(Mutation::late_timeout)) now += clock_.now() - called;
  return reconcile(desired, now).map([](std::size_t) {});
}

Result<std::size_t> ModelRedirect::restore(std::span<const Redirection> desired, Time now) {
  if (faults_.strikes(Fault::kernel_refuses, 12)) return fail(refused("to take the rule set back").error());
  kernel_.ruleset = ruleset_;
  return reconcile(desired, now);
}

Result<std::size_t> ModelRedirect::reconcile(std::span<const Redirection> desired, Time now) {
  faults_.crash_point("before a repair");
  auto repaired = repair(desired, now);
  if (!repaired) in_doubt_ = true;
  if (!repaired || (*repaired == 0 && !in_doubt_)) return repaired;
  in_doubt_ = false;
  faults_.crash_point("within a repair");
  purge_stale();
  return repaired;
}

Result<std::size_t> ModelRedirect::repair(std::span<const Redirection> desired, Time now) {
  const auto called = clock_.now();
  slow();
  if (faults_.strikes(Fault::kernel_refuses, 12)) return fail(failure("kernel_refused", "the simulated kernel refuses a repair"));
  if (!faults_.mutated(Mutation::late_timeout)) now += clock_.now() - called;

  std::map<PortKey, const Redirection*> inward;
  std::map<PortKey, const Redirection*> outward;
  std::map<Generation, Time> live;
  for (const auto& one : desired) {
    if (left(one.deadline, now) <= 0s) continue;
    inward[public_key(one)] = &one;
    auto& first = outward[device_key(one)];
    if (first == nullptr || redirect::comes_first(one, *first)) first = &one;
    auto& until = live[one.generation];
    until = std::max(until, one.deadline);
  }
  std::size_t repaired = 0;
  std::set<Generation> removed;  // from where they led to
  for (const auto& [key, element] : kernel_.inward())
    if (const auto found = inward.find(key); found == inward.end() || found->second->generation != element.generation)
      removed.insert(element.generation);
  const auto differs = [&](Time until, Time deadline) {
    return std::chrono::abs((until - clock_.awake()) - left(deadline, now)) > deadline_tolerance;
  };
  const auto mend = [&](Kernel::Elements present, const std::map<PortKey, const Redirection*>& wanted, auto other, auto put, auto remove) {
    for (const auto& [key, element] : present)
      if (!wanted.contains(key)) remove(key), ++repaired;
    for (const auto& [key, one] : wanted) {
      const auto found = present.find(key);
      if (found != present.end() && found->second.other == other(*one) && found->second.generation == one->generation &&
          !differs(found->second.until, one->deadline))
        continue;
      put(*one, left(one->deadline, now));
      ++repaired;
    }
  };
  mend(
      kernel_.inward(), inward, device_key, [&](const Redirection& r, Duration t) { kernel_.put_public(r, t); },
      [&](const PortKey& key) { kernel_.remove_public(key); });
  mend(
      kernel_.outward(), outward, public_key, [&](const Redirection& r, Duration t) { kernel_.put_device(r, t); },
      [&](const PortKey& key) { kernel_.remove_device(key); });
  for (const auto& [generation, until] : std::map(kernel_.live()))
    if (!live.contains(generation)) kernel_.remove_live(generation), ++repaired;
  for (const auto& [generation, deadline] : live) {
    const auto found = kernel_.live().find(generation);
    if (found != kernel_.live().end() && !differs(found->second, deadline)) continue;
    kernel_.put_live(generation, left(deadline, now));
    ++repaired;
  }
  installed_.clear();
  for (const auto& [key, one] : inward) installed_[key] = *one;
  for (const auto& [generation, until] : live)
    if (removed.contains(generation)) purging_.insert(generation);
  purge_waiting();
  if (repaired > 0) faults_.note("repair: something was repaired");
  return repaired;
}

void ModelRedirect::purge_waiting() {
  if (!faults_.mutated(Mutation::connections_not_purged))
    kernel_.purge_flows([&](Generation generation) { return purging_.contains(generation); });
  purging_.clear();
}

void ModelRedirect::purge_stale() {
  std::set<Generation> known;
  for (const auto& [key, one] : installed_) known.insert(one.generation);
  if (!faults_.mutated(Mutation::connections_not_purged))
    kernel_.purge_flows([&](Generation generation) { return !known.contains(generation); });
}

Status ModelRedirect::admit(const redirect::Admission& device, Duration lifetime) {
  faults_.crash_point("before a device is admitted");
  if (faults_.strikes(Fault::kernel_refuses, 12)) return refused("a device");
  kernel_.put_endpoint(device.endpoint.address, lifetime);
  return {};
}

}  // namespace drpf::simulation
