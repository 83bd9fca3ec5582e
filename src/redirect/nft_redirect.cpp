#include "redirect/nft_redirect.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "redirect/since_call.h"
#include "system/boot_clock.h"

namespace drpf::redirect {
namespace {

namespace names = firewall::set_names;
using lease::Generation;
using lease::Redirection;
using system::NftBatch;
using system::NftData;
using system::NftElement;

constexpr std::size_t redirection_bytes_max = 400;  // in a batch: five elements of the longer family

bool is_out_of_step(const Error& error) {
  return system::is_errno(error, ENOENT) || system::is_errno(error, EEXIST) || system::is_errno(error, EBUSY);
}

Address endpoint_key(const Address& address) { return address.is_v4() ? address : Prefix(address, 64).address(); }

std::tuple<Address, Protocol, Port> public_key(const Redirection& r) { return {r.public_address, r.protocol, r.public_port}; }
std::tuple<Address, Protocol, Port> device_key(const Redirection& r) { return {r.device_address, r.protocol, r.device_port}; }

bool is_same_lease(const Redirection& a, const Redirection& b) {
  return a.generation == b.generation && public_key(a) == public_key(b) && device_key(a) == device_key(b);
}

void take_out(std::vector<Redirection>& ordered, const Redirection& redirection) {
  std::erase_if(ordered, [&](const Redirection& other) {
    return other.generation == redirection.generation && public_key(other) == public_key(redirection);
  });
}

void put_in_order(std::vector<Redirection>& ordered, const Redirection& redirection) {
  take_out(ordered, redirection);
  ordered.insert(std::lower_bound(ordered.begin(), ordered.end(), redirection, comes_first), redirection);
}

}  // namespace

std::size_t NftRedirect::HashPortKey::operator()(const PortKey& key) const noexcept {
  const auto& [address, protocol, port] = key;
  return std::hash<Address>()(address) ^ (std::size_t{port.value()} << 8 | static_cast<std::size_t>(protocol)) * 0x9e3779b97f4a7c15U;
}

std::size_t NftRedirect::atomic_changes_max() const {
  return std::min(changes_per_batch_max, kernel_->batch_bytes_max() / redirection_bytes_max);
}

void NftRedirect::remember(const Redirection& redirection) {
  const auto [place, is_new] = installed_.insert_or_assign(public_key(redirection), redirection);
  if (is_new) ++generation_users_[mark_of(redirection.generation)];
  highest_mark_ = std::max(highest_mark_, mark_of(redirection.generation));
  put_in_order(leading_to_[device_key(redirection)], redirection);
}

void NftRedirect::forget(const Redirection& redirection) {
  const auto found = installed_.find(public_key(redirection));
  if (found == installed_.end() || found->second.generation != redirection.generation) return;
  const auto leading = leading_to_.find(device_key(found->second));
  take_out(leading->second, redirection);
  if (leading->second.empty()) leading_to_.erase(leading);
  installed_.erase(found);
  const auto users = generation_users_.find(mark_of(redirection.generation));
  if (--users->second == 0) generation_users_.erase(users);
}

Status NftRedirect::carry_out(const lease::Transaction& transaction, Time now) {
  std::vector<Redirection> gone = transaction.remove;
  std::vector<Redirection> put;
  for (const auto* list : {&transaction.install, &transaction.renew}) {
    for (const auto& redirection : *list) {
      if (time_left(redirection.deadline, now).count() <= 0) {
        gone.push_back(redirection);
        continue;
      }
      // What stands on the same public port under another generation goes with it, down to its connections.
      const auto present = installed_.find(public_key(redirection));
      if (present != installed_.end() && !is_same_lease(present->second, redirection)) gone.push_back(present->second);
      put.push_back(redirection);
    }
  }

  const auto limit = atomic_changes_max();
  const SinceCall since;
  std::span<const Redirection> gone_left = gone;
  std::span<const Redirection> put_left = put;
  while (!gone_left.empty() || !put_left.empty()) {
    const auto removals = gone_left.first(std::min(gone_left.size(), limit));
    const auto puts = put_left.first(std::min(put_left.size(), limit - removals.size()));
    if (auto applied = apply_change({removals, puts}, now + since.milliseconds()); !applied) return applied;
    gone_left = gone_left.subspan(removals.size());
    put_left = put_left.subspan(puts.size());
  }

  // What was never given to a connection has none to delete. Where one family of a lease went and the other stays the generation may pass
  // again, and that only when none of its connections is left for certain.
  std::vector<Redirection> visited;
  std::vector<Redirection> staying;
  for (const auto& redirection : gone) {
    const bool stays = generation_users_.contains(mark_of(redirection.generation));
    if (stays || !unused_.contains(mark_of(redirection.generation))) visited.push_back(redirection);
    if (!stays) continue;
    for (const auto& [key, other] : installed_)
      if (other.generation == redirection.generation) staying.push_back(other);
  }
  for (const auto& redirection : gone) unused_.erase(mark_of(redirection.generation));
  const auto purged = purge(visited, staying.empty() ? ConnectionPurge::Last::likely : ConnectionPurge::Last::certain);
  if (!staying.empty()) {
    if (!purge_->wait(purged, purge_wait_max))
      return fail(failure("purge_late", "the connections of a lease that lost an address could not be deleted in time, so it stays closed",
                          "it is opened at the next repair"));
    return apply_change({{}, staying}, now + since.milliseconds());
  }
  return {};
}

// The former holder's visitors still have entries for a while; their packets would be refused, so the new holder could not be reached by
// them, or reach them.
NftRedirect::Ticket NftRedirect::unsettled(const Redirection& redirection) const {
  Ticket last = 0;
  for (const auto& key : {public_key(redirection), device_key(redirection)})
    if (const auto found = purging_.find(key); found != purging_.end()) last = std::max(last, found->second);
  return last != 0 && purge_->finished() < last ? last : 0;
}

Status NftRedirect::apply_change(const Change& change, Time now) {
  // Numbers above all that were seen are new: no connection can have them.
  const auto seen = highest_mark_;
  if (renews_in_place_ && options_.use_counts)
    for (const auto& redirection : change.put)
      if (mark_of(redirection.generation) > seen) unused_.insert(mark_of(redirection.generation));
  if (auto applied = apply_edit(edit_for(change, now)); !applied) {
    in_doubt_ = true;
    unused_.clear();
    return applied;
  }
  for (const auto& redirection : change.remove) forget(redirection);
  for (const auto& redirection : change.put) remember(redirection);
  return {};
}

NftRedirect::Edit NftRedirect::edit_for(const Change& change, Time now) const {
  Edit edit;
  const auto remove = [&](const LeaseElement& element) {
    edit.remove[element.set].push_back(element.key);
    if (gives_marks(element.set)) edit.giving_marks.push_back(element);
  };
  const auto put = [&](const LeaseElement& element, Time deadline) {
    // What has run out while this change was on its way ends at once.
    edit.put[element.set].push_back({element.key, element.data, std::max(time_left(deadline, now), std::chrono::milliseconds(1))});
  };
  std::unordered_map<PortKey, std::vector<Redirection>, HashPortKey> leading_after;
  const auto leading = [&](const Redirection& redirection) -> std::vector<Redirection>& {
    const auto key = device_key(redirection);
    const auto before = leading_to_.find(key);
    return leading_after.try_emplace(key, before == leading_to_.end() ? std::vector<Redirection>() : before->second).first->second;
  };

  for (const auto& redirection : change.remove) {
    remove(live_element(redirection.generation));
    const auto present = installed_.find(public_key(redirection));
    if (present == installed_.end() || present->second.generation != redirection.generation)
      continue;  // the port is another lease's by now
    for (const auto& element : public_elements(present->second)) remove(element);
    take_out(leading(present->second), present->second);
  }
  for (const auto& redirection : change.put) {
    put(live_element(redirection.generation), redirection.deadline);
    for (const auto& element : public_elements(redirection)) put(element, redirection.deadline);
    put_in_order(leading(redirection), redirection);
  }
  for (const auto& [key, after] : leading_after) {
    const auto known = leading_to_.find(key);
    const Redirection* first_before = known == leading_to_.end() ? nullptr : &known->second.front();
    const Redirection* first_after = after.empty() ? nullptr : &after.front();
    if (first_before != nullptr && (first_after == nullptr || !is_same_lease(*first_before, *first_after)))
      for (const auto& element : device_elements(*first_before)) remove(element);
    if (first_after != nullptr && (first_before == nullptr || !(*first_before == *first_after)))
      for (const auto& element : device_elements(*first_after)) put(element, first_after->deadline);
  }
  for (auto& [set, keys] : edit.remove) {
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  }
  return edit;
}

Status NftRedirect::apply_edit(const Edit& edit) {
  NftBatch batch(ruleset_.table);
  const bool ask = edit.giving_marks.size() <= echoed_removals_max;
  for (const auto& [set, keys] : edit.remove)
    put_removals(batch, set, keys, ask && gives_marks(set) ? NftBatch::Echo::yes : NftBatch::Echo::no);
  for (const auto& [set, elements] : edit.put) {
    if (!renews_in_place_) {
      // An element that is there already would keep its old timeout. Without destroy only what is known to be there can be removed.
      if (!destroys_) return apply_edit_slowly(edit);
      std::vector<NftData> keys;
      for (const auto& element : elements) keys.push_back(element.key);
      std::sort(keys.begin(), keys.end());
      keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
      put_removals(batch, set, keys);
    }
    if (auto added = batch.add(set, elements); !added) return added;
  }
  std::vector<system::NftCounted> removed;
  auto applied = commit(batch, "change the leases in the kernel", &removed);
  if (applied) note_use(edit, removed);
  if (applied || !is_out_of_step(applied.error())) return applied;
  unused_.clear();
  return apply_edit_slowly(edit);
}

// The count is from the transaction's end, when nothing is given a mark by these elements any more but by packets that other processors
// had looked up before. Such a packet is refused by the chains that it comes to next, or has passed them, and then it was counted before
// it did. An element that was not there any more is silent: it had run out, and who knows what it counted.
void NftRedirect::note_use(const Edit& edit, const std::vector<system::NftCounted>& removed) {
  std::set<std::pair<std::string_view, NftData>> silent;
  for (const auto& element : removed)
    if (element.packets == std::uint64_t{0}) silent.emplace(element.set, element.key);
  for (const auto& element : edit.giving_marks)
    if (!silent.contains({element.set, element.key})) unused_.erase(mark_of(element.data));
}

// The kernel does not hold what we thought (an element ran out a moment ago, another program changed it), or cannot be told in other
// words: look first, then write exactly what is needed.
Status NftRedirect::apply_edit_slowly(const Edit& edit) {
  NftBatch batch(ruleset_.table);
  for (const char* set : lease_sets()) {
    const auto gone = edit.remove.find(set);
    const auto puts = edit.put.find(set);
    if (gone == edit.remove.end() && puts == edit.put.end()) continue;
    const auto dumped = kernel_->dump(set);
    if (!dumped) return fail(dumped.error());
    std::map<NftData, NftData> present;
    for (const auto& element : *dumped) present[element.key] = element.data;
    std::vector<NftData> to_remove;
    const auto removal = [&](const NftData& key) {
      const auto found = present.find(key);
      if (found == present.end()) return;
      to_remove.push_back(key);
      present.erase(found);
    };
    if (gone != edit.remove.end()) std::for_each(gone->second.begin(), gone->second.end(), removal);
    if (puts == edit.put.end()) {
      put_removals(batch, set, to_remove);
      continue;
    }
    for (const auto& element : puts->second) {
      const auto found = present.find(element.key);
      if (found != present.end() && (!renews_in_place_ || found->second != element.data)) removal(element.key);
    }
    put_removals(batch, set, to_remove);
    if (auto added = batch.add(set, puts->second); !added) return added;
  }
  return commit(batch, "change the leases in the kernel");
}

void NftRedirect::put_removals(NftBatch& batch, const std::string& set, const std::vector<NftData>& keys, NftBatch::Echo echo) const {
  destroys_ ? batch.destroy(set, keys, echo) : batch.remove(set, keys, echo);
}

Status NftRedirect::commit(const NftBatch& batch, std::string_view attempt, std::vector<system::NftCounted>* removed) {
  const auto by_others = kernel_->foreign_changes();
  auto applied = kernel_->change(batch, attempt, removed);
  // Elements may have been made anew, and count from then on.
  if (kernel_->foreign_changes() != by_others && !kernel_->owned()) unused_.clear();
  return applied;
}

Result<std::size_t> NftRedirect::reconcile(std::span<const Redirection> desired, Time now) {
  auto repaired = repair(desired, now);
  // A change that failed left its connections, whether its elements were written, or not, or have run out since.
  if (!repaired) in_doubt_ = true;
  if (!repaired || (*repaired == 0 && !in_doubt_)) return repaired;
  if (auto purged = purge_stale(); !purged) return fail(purged.error());
  in_doubt_ = false;
  return repaired;
}

// Leases that were given other public addresses while nobody served kept their generations: connections to the old address are not theirs
// any more, and it may be another lease's now.
void NftRedirect::purge_moved(const std::set<NftData>& marks, std::span<const Redirection> desired) {
  std::vector<std::uint32_t> moved;
  for (const auto& redirection : desired)
    if (marks.contains(NftData().mark(mark_of(redirection.generation)))) moved.push_back(mark_of(redirection.generation));
  if (!moved.empty()) last_purge_ = purge_->add(moved, ConnectionPurge::Last::certain);
}

Result<std::size_t> NftRedirect::repair(std::span<const Redirection> desired, Time now) {
  const SinceCall since;
  const auto wanted = desired_elements(desired, now);
  std::vector<std::pair<const char*, NftData>> to_remove;
  std::vector<std::pair<const char*, NftElement>> to_put;
  std::set<NftData> marks_removed;
  std::size_t repaired = 0;
  for (const char* set : lease_sets()) {
    auto present = kernel_->dump(set);
    if (!present) return fail(present.error());
    const bool tells_marks = set == std::string_view(names::inbound_v4) || set == std::string_view(names::inbound_v6);
    const auto remove = [&](const NftElement& element) {
      to_remove.emplace_back(set, element.key);
      if (tells_marks) marks_removed.insert(element.data);
    };
    const auto late = since.milliseconds();
    std::sort(present->begin(), present->end(), [](const NftElement& a, const NftElement& b) { return a.key < b.key; });
    const auto& elements = wanted.at(set);
    auto here = present->begin();
    for (const auto& element : elements) {
      for (; here != present->end() && here->key < element.key; ++here) remove(*here), ++repaired;
      if (here != present->end() && here->key == element.key) {
        const bool same_data = here->data == element.data;
        const bool right = same_data && std::chrono::abs(element.timeout - late - here->timeout) <= deadline_tolerance;
        if (!same_data)
          remove(*here);
        else if (!right && !renews_in_place_)
          to_remove.emplace_back(set, here->key);
        ++here;
        if (right) continue;
      }
      to_put.emplace_back(set, element);
      ++repaired;
    }
    for (; here != present->end(); ++here) remove(*here), ++repaired;
  }

  // Whatever has to be cut into several transactions is cut so that less passes in between: the leave to pass is given last, as the last of
  // lease_sets(), and taken first.
  const auto live_from =
      std::find_if(to_remove.begin(), to_remove.end(), [](const auto& one) { return one.first == std::string_view(names::live); });
  std::rotate(to_remove.begin(), live_from, to_remove.end());
  NftBatch batch(ruleset_.table);
  const auto bytes_max = std::min(kernel_->batch_bytes_max() / 2, changes_per_batch_max * redirection_bytes_max);
  const auto commit_when_full = [&](std::size_t limit) -> Status {
    if (batch.size_estimate() < limit) return {};
    if (auto applied = commit(batch, "repair the leases in the kernel"); !applied) return applied;
    batch = NftBatch(ruleset_.table);
    return {};
  };
  constexpr std::size_t run_max = 700;  // of one set, in one message
  for (auto run = to_remove.begin(); run != to_remove.end();) {
    const char* set = run->first;
    std::vector<NftData> keys;
    for (; run != to_remove.end() && run->first == set && keys.size() < run_max; ++run) keys.push_back(run->second);
    put_removals(batch, set, keys);
    if (auto committed = commit_when_full(bytes_max); !committed) return fail(committed.error());
  }
  for (auto run = to_put.begin(); run != to_put.end();) {
    const char* set = run->first;
    const auto late = since.milliseconds();
    std::vector<NftElement> elements;
    for (; run != to_put.end() && run->first == set && elements.size() < run_max; ++run) {
      run->second.timeout -= late;
      if (run->second.timeout.count() > 0) elements.push_back(run->second);
    }
    if (auto added = batch.add(set, elements); !added) return fail(added.error());
    if (auto committed = commit_when_full(bytes_max); !committed) return fail(committed.error());
  }
  if (auto committed = commit_when_full(0); !committed) return fail(committed.error());

  if (repaired != 0 || !kernel_->owned()) unused_.clear();  // others were at it
  installed_.clear();
  leading_to_.clear();
  generation_users_.clear();
  for (const auto& redirection : desired)
    if (time_left(redirection.deadline, now).count() > 0) remember(redirection);
  purge_moved(marks_removed, desired);
  return repaired;
}

Status NftRedirect::admit(const Admission& device, Duration lifetime) {
  std::map<Address, Here> here;
  for (const auto& address : device.inside) here[address] = {device.interface, device.account};
  if (device.inside.empty()) return admit_elements({&device.endpoint, 1}, here, lifetime);
  // One place in each family: a device that comes by the other one may still be seen at the former address.
  const auto same_family = std::find_if(device.inside.begin(), device.inside.end(),
                                        [&](const Address& one) { return one.is_v4() == device.endpoint.address.is_v4(); });
  const auto& name = same_family != device.inside.end() ? *same_family : device.inside.front();
  const auto known = placed_.find(name);
  std::optional<Endpoint> left;
  if (known != placed_.end() && known->second != device.endpoint) left = known->second;
  auto admitted = admit_elements({&device.endpoint, 1}, here, lifetime, left);
  if (admitted) placed_[name] = device.endpoint;
  return admitted;
}

// `left`: where the device is no more; visitors from there are visitors again, unless another device is there.
Status NftRedirect::admit_elements(std::span<const Endpoint> endpoints, const std::map<Address, Here>& here, Duration lifetime,
                                   const std::optional<Endpoint>& left) {
  const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(lifetime);
  const auto now = system::SystemClock().now();
  std::erase_if(endpoints_, [&](const auto& known) { return known.second <= now; });
  std::erase_if(placed_, [&](const auto& known) { return !endpoints_.contains(known.second); });
  std::erase_if(here_, [&](const auto& known) { return known.second.until <= now; });

  std::vector<std::pair<std::string, NftData>> gone;
  std::vector<std::pair<std::string, NftElement>> put;
  const auto replace = [&](const std::string& set, const NftData& key, bool is_known) {
    if (!renews_in_place_ && (destroys_ || is_known)) gone.emplace_back(set, key);
    put.push_back({set, {key, {}, timeout}});
  };
  for (const auto& endpoint : endpoints) {
    const auto key = endpoint_key(endpoint.address);
    const bool v4 = key.is_v4();
    const bool is_known =
        std::any_of(endpoints_.begin(), endpoints_.end(), [&](const auto& known) { return endpoint_key(known.first.address) == key; });
    replace(v4 ? names::endpoints_v4 : names::endpoints_v6, NftData().address(key), is_known);
    replace(v4 ? names::paths_v4 : names::paths_v6, NftData().address(endpoint.address).port(endpoint.port), endpoints_.contains(endpoint));
  }
  if (left && endpoints_.contains(*left)) {
    const auto key = endpoint_key(left->address);
    const bool is_somebodys =
        std::any_of(endpoints.begin(), endpoints.end(), [&](const auto& one) { return endpoint_key(one.address) == key; }) ||
        std::any_of(endpoints_.begin(), endpoints_.end(),
                    [&](const auto& one) { return one.first != *left && endpoint_key(one.first.address) == key; });
    if (!is_somebodys) gone.emplace_back(key.is_v4() ? names::endpoints_v4 : names::endpoints_v6, NftData().address(key));
    gone.emplace_back(key.is_v4() ? names::paths_v4 : names::paths_v6, NftData().address(left->address).port(left->port));
  }
  for (const auto& [address, at] : here) {
    const std::string set = address.is_v4() ? names::here_v4 : names::here_v6;
    const auto known = here_.find(address);
    const bool is_elsewhere = known != here_.end() && known->second.interface != at.interface;
    if (is_elsewhere) gone.emplace_back(set, NftData().address(address).interface(known->second.interface));
    replace(set, NftData().address(address).interface(at.interface), known != here_.end() && !is_elsewhere);
    if (at.account == 0) continue;
    const std::string owner = address.is_v4() ? names::owner_v4 : names::owner_v6;
    if (!renews_in_place_ && (destroys_ || (known != here_.end() && known->second.account != 0)))
      gone.emplace_back(owner, NftData().address(address));
    put.push_back({owner, {NftData().address(address), NftData().mark(at.account), timeout}});
  }

  const auto attempt = [&](std::span<const std::pair<std::string, NftData>> removals) -> Status {
    NftBatch batch(ruleset_.table);
    for (const auto& [set, key] : removals) put_removals(batch, set, {key});
    for (const auto& [set, element] : put)
      if (auto added = batch.add(set, {element}); !added) return added;
    return commit(batch, "admit a device");
  };
  auto applied = attempt(gone);
  if (!applied && is_out_of_step(applied.error())) {
    // Something ran out a moment ago. What is still there goes by itself, and what is missing needs no removal.
    for (const auto& [set, key] : gone) {
      NftBatch removal(ruleset_.table);
      put_removals(removal, set, {key});
      if (auto removed = commit(removal, "admit a device"); !removed && !is_out_of_step(removed.error())) return removed;
    }
    applied = attempt({});
  }
  if (!applied) return applied;
  if (left) endpoints_.erase(*left);
  for (const auto& endpoint : endpoints) endpoints_[endpoint] = now + timeout;
  for (const auto& [address, at] : here) here_[address] = {at.interface, at.account, now + timeout};
  return {};
}

Status NftRedirect::dismiss(std::span<const Address> inside, const std::string& interface) {
  Status all;
  for (const auto& address : inside) {
    const auto known = here_.find(address);
    if (known == here_.end() || known->second.interface != interface) continue;
    here_.erase(known);
    NftBatch batch(ruleset_.table);
    put_removals(batch, address.is_v4() ? names::here_v4 : names::here_v6, {NftData().address(address).interface(interface)});
    // One that has run out a moment ago is gone, as it should be.
    if (auto removed = commit(batch, "shut a device out"); !removed && !is_out_of_step(removed.error())) all = std::move(removed);
  }
  return all;
}

Result<std::vector<Address>> NftRedirect::over_their_share(Refused refused) {
  std::vector<Address> out;
  const bool visitors = refused == Refused::visitors;
  for (const auto* set : {visitors ? names::full_v4 : names::spent_v4, visitors ? names::full_v6 : names::spent_v6}) {
    const auto elements = kernel_->dump(set);
    if (!elements) return fail(elements.error());
    for (const auto& element : *elements) out.push_back(Address::from_bytes(element.key.bytes()));
  }
  return out;
}

// After the table was lost. What the kernel still knows is only renewed.
Status NftRedirect::repair_admissions() {
  const auto now = system::SystemClock().now();
  const auto endpoints = endpoints_;
  for (const auto& [endpoint, until] : endpoints)
    if (until > now)
      if (auto admitted = admit_elements({&endpoint, 1}, {}, until - now); !admitted) return admitted;
  const auto here = here_;
  for (const auto& [address, at] : here)
    if (at.until > now)
      if (auto admitted = admit_elements({}, {{address, at}}, at.until - now); !admitted) return admitted;
  return {};
}

// What a predecessor has left: a device that comes back by another tunnel must not stay valid on the former one.
Status NftRedirect::take_over_here() {
  const auto now = system::SystemClock().now();
  for (const auto* set : {names::here_v4, names::here_v6}) {
    const auto dumped = kernel_->dump(set);
    if (!dumped) return fail(dumped.error());
    const std::size_t address_size = set == names::here_v4 ? 4 : 16;
    for (const auto& element : *dumped) {
      const auto bytes = element.key.bytes();
      if (bytes.size() <= address_size) continue;
      std::string interface(bytes.begin() + static_cast<std::ptrdiff_t>(address_size), bytes.end());
      interface.resize(std::min(interface.find('\0'), interface.size()));
      here_[Address::from_bytes(bytes.first(address_size))] = {std::move(interface), 0, now + element.timeout};
    }
  }
  return {};
}

ConnectionPurge::Ticket NftRedirect::purge(std::span<const Redirection> gone, ConnectionPurge::Last last) {
  std::vector<std::uint32_t> ended;
  for (const auto& redirection : gone)
    if (redirection.generation != Generation::none) ended.push_back(mark_of(redirection.generation));
  if (ended.empty()) return last_purge_;
  const auto finished = purge_->finished();
  std::erase_if(purging_, [&](const auto& port) { return port.second <= finished; });
  last_purge_ = purge_->add(ended, last);
  for (const auto& redirection : gone) {
    purging_[public_key(redirection)] = last_purge_;
    purging_[device_key(redirection)] = last_purge_;
  }
  return last_purge_;
}

// Connections of leases that ended while nobody looked: their peers would keep them alive, and shut the next holder of the port out.
Status NftRedirect::purge_stale() {
  ConnectionPurge::Stale stale;
  for (const auto& [mark, users] : generation_users_) stale.live.push_back(mark);
  // Before this process has given a mark to anybody, every one that is not live is over; nothing is given out meanwhile.
  const bool first = std::exchange(stale_purged_once_, true) == false;
  stale.highest = first ? UINT32_MAX : highest_mark_;
  stale.tunnel_v4 = ruleset_.tunnel_v4;
  stale.tunnel_v6 = ruleset_.tunnel_v6;
  last_purge_ = purge_->add(std::move(stale));
  if (!first || purge_->wait(last_purge_, first_purge_wait_max)) return {};
  return fail(failure("purge_late", "connections of leases that are over could not be deleted from the kernel's table",
                      "look into the log for the reason"));
}

}  // namespace drpf::redirect
