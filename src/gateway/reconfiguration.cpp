#include "gateway/reconfiguration.h"

#include <spdlog/logger.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "configuration/keys.h"
#include "lease/losses.h"
#include "lease/validation.h"

namespace drpf::gateway {
namespace {

constexpr const char* kernel_behind = "kernel_behind";

using configuration::FoundHost;
using configuration::Setup;

bool has_fewer_addresses(const std::vector<FoundHost>& before, const std::vector<FoundHost>& now) {
  return std::any_of(before.begin(), before.end(), [&](const FoundHost& was) {
    const auto is = std::find_if(now.begin(), now.end(), [&](const FoundHost& one) { return one.host.name == was.host.name; });
    return is != now.end() && ((was.host.v4 && !is->host.v4) || (was.host.v6 && !is->host.v6));
  });
}

}  // namespace

Result<std::vector<std::string>> Reconfiguration::reload(const api::ReloadOptions& options) {
  auto changed = try_reload(options);
  if (changed)
    parts_.log->info("configuration read again: {}",
                     changed->empty() ? "nothing has changed" : fmt::format("changed are {}", fmt::join(*changed, ", ")));
  else if (changed.error().code == kernel_behind)
    parts_.log->error("{}", changed.error().message);
  else
    parts_.log->error("the configuration stays as it was: {}{}", changed.error().message,
                      changed.error().cure.empty() ? "" : " (" + changed.error().cure + ")");
  return changed;
}

Result<std::vector<std::string>> Reconfiguration::try_reload(const api::ReloadOptions& options) {
  auto proposed = parts_.host.propose();
  if (!proposed) return fail(proposed.error());
  if (auto proven = prove_change(*proposed, options.end_leases); !proven) return fail(proven.error());
  auto changed = configuration::changed_keys(parts_.setup.configuration, proposed->configuration);
  if (auto done = change_to(*proposed); !done) return fail(done.error());
  return changed;
}

// Everything that can be refused is refused before anything is changed.
Status Reconfiguration::prove_change(const Setup& next, bool may_end_leases) const {
  const auto& now = parts_.setup.configuration;
  const auto& then = next.configuration;
  if (const auto keys = configuration::keys_that_need_a_restart(now, then); !keys.empty()) {
    const bool renumbers = now.tunnel_v4 != then.tunnel_v4 || now.tunnel_v6 != then.tunnel_v6;
    return fail(refusal("restart_needed", fmt::format("a change of {} needs a restart of the gateway", fmt::join(keys, ", ")),
                        renumbers ? "leave it as it was; or restart it with --end-leases: devices get other addresses, and need their "
                                    "configurations again"
                                  : "leave it as it was, or restart: leases and keys stay"));
  }
  const auto policy = next.policy();
  if (auto valid = lease::validate(policy); !valid) return valid;
  if (!parts_.gateway.is_book_committed()) return fail(Gateway::book_unknown());
  if (may_end_leases || then.changes_may_end_leases) return {};
  const auto& book = parts_.gateway.book();
  return lease::refuse_losses(book, book.reconfigure(policy, parts_.clock.now()));
}

// The rule set before the leases: between the two steps a port is closed too early rather than open too long.
Status Reconfiguration::change_to(const Setup& next) {
  if (auto put = parts_.host.put_parameters(next); !put) return take_back(put.error(), {.parameters = true});
  if (auto put = put_ruleset(next); !put) return take_back(put.error(), {.parameters = true, .ruleset = true});
  const auto taken = reconfigure_leases(next);
  if (!taken) return take_back(taken.error(), {.parameters = true, .ruleset = true});
  adopt(next);
  due_ = {};
  mend();
  return *taken;
}

Status Reconfiguration::take_back(const Error& why, Due due) {
  due_.parameters |= due.parameters;
  due_.ruleset |= due.ruleset;
  mend();
  return fail(why);
}

Status Reconfiguration::put_ruleset(const Setup& setup) {
  return parts_.host.put_ruleset(setup, parts_.gateway.book().redirections(), parts_.clock.now());
}

// The kernel alone takes nothing back: the book holds the change, and the gateway repairs the kernel by the book.
Result<Status> Reconfiguration::reconfigure_leases(const Setup& setup) {
  const auto policy = setup.policy();
  const auto done = parts_.gateway.reconfigure(setup.configuration, policy);
  if (done) return Status{};
  if (parts_.gateway.book().policy() != policy) return fail(done.error());
  return Status(
      fail(failure(kernel_behind, "the new configuration holds, and the kernel did not take all of it yet: " + done.error().message,
                   "the gateway repairs it by itself; `drpf status` and the log tell when that fails again")));
}

void Reconfiguration::adopt(Setup next) {
  std::swap(parts_.setup, next);
  parts_.host.adopted(next, parts_.setup);
}

Result<bool> Reconfiguration::follow_hosts() {
  if (!parts_.gateway.is_book_committed()) return fail(Gateway::book_unknown());
  auto found = parts_.host.find_hosts(parts_.setup.configuration);
  if (!found) {
    // No address at all: nobody can visit, and the leases wait where they were.
    if (found.error().kind == Error::Kind::unavailable || found.error().kind == Error::Kind::not_found) return false;
    return fail(found.error());
  }
  if (*found == parts_.setup.hosts) {
    address_lost_.reset();
    return false;
  }
  if (has_fewer_addresses(parts_.setup.hosts, *found)) {
    // It cannot be reached meanwhile; ending its leases for the moment until the next address comes would cut the other family twice.
    if (!address_lost_) address_lost_ = parts_.clock.now();
    if (parts_.clock.now() - *address_lost_ < lost_address_grace) return false;
  }
  address_lost_.reset();

  auto next = parts_.setup;
  next.hosts = std::move(*found);
  if (auto valid = lease::validate(next.policy()); !valid) return fail(valid.error());
  if (auto put = put_ruleset(next); !put) return take_back(put.error(), {.ruleset = true}).map([] { return false; });
  // A fact that no refusal takes back: the leases follow it, now or as soon as the store lets them.
  adopt(std::move(next));
  due_.ruleset = false;
  due_.leases = true;
  mend();
  return true;
}

void Reconfiguration::mend() {
  const auto done = mend_next();
  if (done) {
    if (!std::exchange(told_, {}).empty()) parts_.log->info("everything goes by the configuration again");
    return parts_.gateway.set_condition(condition, std::nullopt);
  }
  std::vector<std::string_view> what;
  if (due_.parameters) what.emplace_back("the range of this host's own ports");
  if (due_.ruleset) what.emplace_back("the rule set");
  if (due_.leases) what.emplace_back("the leases");
  auto sentence = fmt::format("not by the configuration that holds yet: {}; tried again every few seconds: {}", fmt::join(what, ", "),
                              done.error().message);
  if (sentence == told_) return;
  parts_.log->error("{}", sentence);
  parts_.gateway.set_condition(condition, sentence);
  told_ = std::move(sentence);
}

// In the order of a change. Stops at the first that does not succeed.
Status Reconfiguration::mend_next() {
  if (due_.parameters) {
    if (auto put = parts_.host.put_parameters(parts_.setup); !put) return put;
    due_.parameters = false;
  }
  if ((due_.ruleset || due_.leases) && !parts_.gateway.is_book_committed()) return fail(Gateway::book_unknown());
  if (due_.ruleset) {
    if (auto put = put_ruleset(parts_.setup); !put) return put;
    due_.ruleset = false;
  }
  if (due_.leases) {
    const auto taken = reconfigure_leases(parts_.setup);
    if (!taken) return fail(taken.error());
    due_.leases = false;
  }
  return {};
}

}  // namespace drpf::gateway
