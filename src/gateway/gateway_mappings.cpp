// Mappings that programs ask for: one commit for as many as came together.
#include <algorithm>
#include <utility>

#include "gateway/ended_leases.h"
#include "gateway/gateway.h"
#include "lease/draft.h"
#include "lease/merge.h"
#include "lease/validation.h"

namespace drpf::gateway {

namespace {
constexpr std::string_view by_end_of_mapping = "given up by its device";
constexpr std::string_view by_mapping = "its device asked for another in its place";
}  // namespace

Result<std::vector<lease::Lease>> Gateway::stage(const lease::MappingRequest& request) {
  if (book_due_) return fail(book_unknown());
  auto decided = book_.map(request, now());
  if (!decided) return fail(std::move(decided.error()));
  stage(std::move(decided->transaction), by_mapping);
  return std::move(decided->value);
}

Result<std::size_t> Gateway::stage(const lease::MappingEnd& end) {
  if (book_due_) return fail(book_unknown());
  auto decided = book_.end_mappings(end, now());
  if (!decided) return fail(std::move(decided.error()));
  stage(std::move(decided->transaction), by_end_of_mapping);
  return decided->value;
}

Result<api::Changed<std::vector<lease::Lease>>> Gateway::map(const lease::MappingRequest& request) {
  auto decided = book_.map(request, now());
  if (!decided) return fail(std::move(decided.error()));
  auto done = carry_out(decided->transaction, by_mapping);
  if (!done) return fail(std::move(done.error()));
  return api::Changed<std::vector<lease::Lease>>{std::move(decided->value), *done};
}

Result<api::Changed<std::size_t>> Gateway::end_mappings(const lease::MappingEnd& end) {
  auto decided = book_.end_mappings(end, now());
  if (!decided) return fail(std::move(decided.error()));
  auto done = carry_out(decided->transaction, by_end_of_mapping);
  if (!done) return fail(std::move(done.error()));
  return api::Changed<std::size_t>{decided->value, *done};
}

void Gateway::stage(lease::Transaction transaction, std::string_view ended_by) {
  if (transaction.empty()) return;
  const auto devices = devices_in(transaction);
  staged_devices_.insert(staged_devices_.end(), devices.begin(), devices.end());
  for (auto& lease : ended_leases(book_, transaction)) staged_ends_.emplace_back(std::move(lease), ended_by);
  book_.apply(transaction);
  staged_.push_back(std::move(transaction));
}

api::Settling Gateway::settling(const lease::Lease& lease) const {
  api::Settling last = 0;
  const auto* device = book_.device(lease.device);
  if (device == nullptr) return last;
  for (const auto& redirection : lease::redirections(lease, book_.host(lease.on.host), *device))
    last = std::max(last, parts_.redirect.unsettled(redirection));
  return last;
}

Status Gateway::commit_staged() {
  if (staged_.empty()) return {};
  const auto merged = lease::merge(std::exchange(staged_, {}));
  auto devices = std::exchange(staged_devices_, {});
  const auto ends = std::exchange(staged_ends_, {});
  if (auto committed = commit(merged); !committed) {
    // What was decided did not happen.
    book_due_ = true;
    (void)read_book_back();
    return committed;
  }
  for (const auto& [lease, by] : ends) tell_ended({lease}, by);
  std::sort(devices.begin(), devices.end());
  devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
  return bring_about(merged, devices).map([](api::Settling) {});
}

// Until it succeeds, nothing is decided, committed or repaired: the book says what never happened. Ticks try again.
Status Gateway::read_book_back() {
  if (!book_due_) return {};
  auto state = parts_.store.load(clock_reading());
  if (state)
    if (auto sound = lease::validate(*state); !sound) state = fail(sound.error());
  if (!state) {
    note_store(fail(state.error()));
    return fail(state.error());
  }
  // What time has brought meanwhile is the next tick's: it tells kernel and tunnel too.
  book_ = lease::LeaseBook(book_.policy(), std::move(*state));
  book_due_ = false;
  reconcile_due_ = true;
  resume_history();
  return {};
}

Error Gateway::book_unknown() {
  return failure("book_unknown", "the store failed over a change, and the lease book could not be read back from it yet",
                 "see what is wrong with the store: drpf status");
}

}  // namespace drpf::gateway
