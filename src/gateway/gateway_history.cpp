// Who held which port when: written down before the kernel is told, and looked up for whoever asks with an address, a port and a time.
#include "gateway/gateway.h"

#include <spdlog/logger.h>

namespace drpf::gateway {
namespace {

// Names as they are now; a redirection to nobody is not written down.
std::vector<store::LeaseHistory::Begun> with_names(const lease::LeaseBook& book, std::span<const lease::Redirection> redirections) {
  std::vector<store::LeaseHistory::Begun> out;
  for (const auto& redirection : redirections) {
    const auto* device = book.device_at(redirection.device_address);
    const auto* account = device != nullptr ? book.account(device->account) : nullptr;
    if (account != nullptr) out.push_back({redirection, account->name, device->name});
  }
  return out;
}

}  // namespace

void Gateway::note_history(const lease::Transaction& transaction) {
  if (parts_.history == nullptr || (transaction.remove.empty() && transaction.install.empty())) return;
  if (history_behind_) return resume_history();  // of which this transaction is a part already
  // What is left of a full disk belongs to the leases themselves.
  if (parts_.store_warning && parts_.store_warning()) {
    history_behind_ = true;
    return;
  }
  const auto done = parts_.history->record(transaction.remove, with_names(book_, transaction.install), parts_.clock.wall_now());
  // A lease is not refused for this: its holder has done nothing wrong.
  if (done) return;
  history_behind_ = true;
  parts_.log->error("the history of leases could not be written: {}", done.error().message);
}

// Brings it up to date: at the start, and after a time in which it could not be written.
void Gateway::resume_history() {
  if (parts_.history == nullptr) return;
  history_behind_ = parts_.store_warning && parts_.store_warning();
  if (history_behind_) return;
  const auto done = parts_.history->resume(with_names(book_, book_.redirections()), parts_.clock.wall_now());
  history_behind_ = !done;
  if (!done) return parts_.log->error("the history of leases could not be brought up to date: {}", done.error().message);
  forget_history();
}

void Gateway::keep_history(store::LeaseHistory& history) {
  parts_.history = &history;
  resume_history();
}

void Gateway::forget_history() {
  if (parts_.history == nullptr) return;
  if (history_behind_) return resume_history();
  if (auto done = parts_.history->forget(parts_.clock.wall_now() - configuration_.history); !done)
    parts_.log->error("the old part of the history of leases could not be forgotten: {}", done.error().message);
}

Result<std::vector<store::PastLease>> Gateway::history(const store::HistoryQuery& query) {
  if (parts_.history == nullptr)
    return fail(
        refusal("history_off", "this gateway keeps no history of leases", "set [leases] history, for example to \"7d\", and restart"));
  return parts_.history->find(query);
}

}  // namespace drpf::gateway
