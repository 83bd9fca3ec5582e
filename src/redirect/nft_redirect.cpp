#include "redirect/nft_redirect.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <unordered_set>
#include <utility>

#include "system/boot_clock.h"

namespace drpf::redirect {
namespace {

namespace names = firewall::set_names;
using lease::Generation;
using lease::Redirection;
using system::NftBatch;
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
  return std::min(changes_per_batch_max, table_.batch_bytes_max() / redirection_bytes_max);
}

void NftRedirect::remember(const Redirection& redirection) {
  const auto [place, is_new] = installed_.insert_or_assign(public_key(redirection), redirection);
  if (is_new) ++generation_users_[mark_of(redirection.generation)];
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
  std::span<const Redirection> gone_left = gone;
  std::span<const Redirection> put_left = put;
  while (!gone_left.empty() || !put_left.empty()) {
    const auto removals = gone_left.first(std::min(gone_left.size(), limit));
    const auto puts = put_left.first(std::min(put_left.size(), limit - removals.size()));
    if (auto applied = apply_change({removals, puts}, now); !applied) return applied;
    gone_left = gone_left.subspan(removals.size());
    put_left = put_left.subspan(puts.size());
  }

  std::vector<Generation> ended;
  for (const auto& redirection : gone) ended.push_back(redirection.generation);
  if (auto purged = purge(std::move(ended)); !purged) return purged;

  // One family of a lease went and the other stays: the generation may pass again, now that the connections are gone.
  std::vector<Redirection> staying;
  for (const auto& redirection : gone) {
    if (!generation_users_.contains(mark_of(redirection.generation))) continue;
    for (const auto& [key, other] : installed_)
      if (other.generation == redirection.generation) staying.push_back(other);
  }
  if (staying.empty()) return {};
  return apply_change({{}, staying}, now);
}

Status NftRedirect::apply_change(const Change& change, Time now) {
  if (auto applied = apply_edit(edit_for(change, now)); !applied) return applied;
  for (const auto& redirection : change.remove) forget(redirection);
  for (const auto& redirection : change.put) remember(redirection);
  return {};
}

NftRedirect::Edit NftRedirect::edit_for(const Change& change, Time now) const {
  Edit edit;
  const auto remove = [&](const LeaseElement& element) { edit.remove[element.set].push_back(element.key); };
  const auto put = [&](const LeaseElement& element, Time deadline) {
    edit.put[element.set].push_back({element.key, element.data, time_left(deadline, now)});
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
  for (const auto& [set, keys] : edit.remove) put_removals(batch, set, keys);
  for (const auto& [set, elements] : edit.put) {
    if (!renews_in_place_) {
      // An element that is there already would keep its old timeout. Without destroy only what is known to be there can be removed.
      if (!destroys_) return apply_edit_slowly(edit);
      std::vector<Bytes> keys;
      for (const auto& element : elements) keys.push_back(element.key);
      std::sort(keys.begin(), keys.end());
      keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
      put_removals(batch, set, keys);
    }
    if (auto added = batch.add(set, elements); !added) return added;
  }
  auto applied = commit(batch, "change the leases in the kernel");
  if (applied || !is_out_of_step(applied.error())) return applied;
  return apply_edit_slowly(edit);
}

// The kernel does not hold what we thought (an element ran out a moment ago, another program changed it), or cannot be told in other
// words: look first, then write exactly what is needed.
Status NftRedirect::apply_edit_slowly(const Edit& edit) {
  NftBatch batch(ruleset_.table);
  for (const char* set : lease_sets()) {
    const auto gone = edit.remove.find(set);
    const auto puts = edit.put.find(set);
    if (gone == edit.remove.end() && puts == edit.put.end()) continue;
    const auto dumped = table_.dump(set);
    if (!dumped) return fail(dumped.error());
    std::map<Bytes, Bytes> present;
    for (const auto& element : *dumped) present[element.key] = element.data;
    std::vector<Bytes> to_remove;
    const auto removal = [&](const Bytes& key) {
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

void NftRedirect::put_removals(NftBatch& batch, const std::string& set, const std::vector<Bytes>& keys) const {
  destroys_ ? batch.destroy(set, keys) : batch.remove(set, keys);
}

Status NftRedirect::commit(const NftBatch& batch, std::string_view attempt) {
  if (batch.empty()) return {};
  auto applied = table_.apply(batch, attempt);
  note_generation();
  return applied;
}

// Our commit counts one; anything more was somebody else.
void NftRedirect::note_generation() {
  const auto generation = table_.generation();
  if (!generation) {
    foreign_change_ = true;
    return;
  }
  if (*generation != generation_ && *generation != generation_ + 1) foreign_change_ = true;
  generation_ = *generation;
}

Result<std::size_t> NftRedirect::reconcile(std::span<const Redirection> desired, Time now) {
  auto repaired = repair(desired, now);
  if (!repaired || *repaired == 0) return repaired;
  if (auto purged = purge_stale(); !purged) return fail(purged.error());
  return repaired;
}

Result<std::size_t> NftRedirect::repair(std::span<const Redirection> desired, Time now) {
  const auto wanted = desired_elements(desired, now);
  std::vector<std::pair<std::string, Bytes>> to_remove;
  std::vector<std::pair<std::string, NftElement>> to_put;
  std::size_t repaired = 0;
  for (const auto& [set, elements] : wanted) {
    const auto dumped = table_.dump(set);
    if (!dumped) return fail(dumped.error());
    std::unordered_set<std::string_view> right;
    const auto as_text = [](const Bytes& key) { return std::string_view(reinterpret_cast<const char*>(key.data()), key.size()); };
    for (const auto& present : *dumped) {
      const auto found = elements.find(present.key);
      if (found == elements.end()) {
        to_remove.emplace_back(set, present.key);
        ++repaired;
        continue;
      }
      const bool same_data = found->second.data == present.data;
      if (same_data && std::chrono::abs(found->second.timeout - present.timeout) <= deadline_tolerance) {
        right.insert(as_text(found->first));
        continue;
      }
      if (!same_data || !renews_in_place_) to_remove.emplace_back(set, present.key);
    }
    for (const auto& [key, element] : elements) {
      if (right.contains(as_text(key))) continue;
      to_put.emplace_back(set, element);
      ++repaired;
    }
  }

  // Whatever has to be cut into several transactions is cut so that less passes in between: the leave to pass is taken first and given
  // last.
  const auto is_live = [](const auto& one) { return one.first == names::live; };
  std::stable_partition(to_remove.begin(), to_remove.end(), is_live);
  std::stable_partition(to_put.begin(), to_put.end(), [&](const auto& one) { return !is_live(one); });
  NftBatch batch(ruleset_.table);
  const auto flush = [&](bool at_end) -> Status {
    if (!at_end && batch.size_estimate() + NftBatch::element_list_bytes_max <
                       std::min(table_.batch_bytes_max() * 3 / 4, changes_per_batch_max * redirection_bytes_max))
      return {};
    if (auto applied = commit(batch, "repair the leases in the kernel"); !applied) return applied;
    batch = NftBatch(ruleset_.table);
    return {};
  };
  constexpr std::size_t run_max = 500;
  for (std::size_t i = 0; i < to_remove.size();) {
    const auto set = to_remove[i].first;
    std::vector<Bytes> keys;
    for (; i < to_remove.size() && to_remove[i].first == set && keys.size() < run_max; ++i) keys.push_back(std::move(to_remove[i].second));
    put_removals(batch, set, keys);
    if (auto flushed = flush(false); !flushed) return fail(flushed.error());
  }
  for (std::size_t i = 0; i < to_put.size();) {
    const auto set = to_put[i].first;
    std::vector<NftElement> elements;
    for (; i < to_put.size() && to_put[i].first == set && elements.size() < run_max; ++i) elements.push_back(std::move(to_put[i].second));
    if (auto added = batch.add(set, elements); !added) return fail(added.error());
    if (auto flushed = flush(false); !flushed) return fail(flushed.error());
  }
  if (auto flushed = flush(true); !flushed) return fail(flushed.error());

  installed_.clear();
  leading_to_.clear();
  generation_users_.clear();
  for (const auto& redirection : desired)
    if (time_left(redirection.deadline, now).count() > 0) remember(redirection);
  return repaired;
}

Status NftRedirect::admit_endpoint(const Address& address, Duration lifetime) {
  const auto key = endpoint_key(address);
  const std::string set = address.is_v4() ? names::endpoints_v4 : names::endpoints_v6;
  const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(lifetime);
  const auto now = system::SystemClock().now();
  std::erase_if(endpoints_, [&](const auto& known) { return known.second <= now; });
  NftBatch batch(ruleset_.table);
  const auto bytes = system::NftData().address(key).bytes();
  if (!renews_in_place_ && (destroys_ || endpoints_.contains(key))) put_removals(batch, set, {bytes});
  if (auto added = batch.add(set, {{bytes, {}, timeout}}); !added) return added;
  auto applied = commit(batch, "admit the endpoint " + to_string(address));
  if (!applied && is_out_of_step(applied.error())) {
    NftBatch again(ruleset_.table);  // it ran out a moment ago
    if (auto added = again.add(set, {{bytes, {}, timeout}}); !added) return added;
    applied = commit(again, "admit the endpoint " + to_string(address));
  }
  if (applied) endpoints_[key] = now + timeout;
  return applied;
}

// After the table was lost. Endpoints that the kernel still knows are only renewed.
Status NftRedirect::repair_endpoints() {
  const auto now = system::SystemClock().now();
  const auto known = endpoints_;
  for (const auto& [address, until] : known)
    if (until > now)
      if (auto admitted = admit_endpoint(address, until - now); !admitted) return admitted;
  return {};
}

Status NftRedirect::purge(std::vector<Generation> generations) {
  std::sort(generations.begin(), generations.end());
  generations.erase(std::unique(generations.begin(), generations.end()), generations.end());
  std::erase(generations, Generation::none);
  if (generations.size() <= walks_per_purge_max) {
    for (const auto generation : generations)
      if (auto deleted = conntrack_.delete_marked(mark_of(generation)); !deleted) return deleted;
    return {};
  }
  const auto deleted = conntrack_.delete_where([&](const system::ConntrackEntry& entry) {
    return entry.mark != 0 && std::binary_search(generations.begin(), generations.end(), Generation{entry.mark});
  });
  if (!deleted) return fail(deleted.error());
  return {};
}

// Connections of leases that ended while nobody looked: their peers would keep them alive, and shut the next holder of the port out.
Status NftRedirect::purge_stale() {
  const auto deleted = conntrack_.delete_where([&](const system::ConntrackEntry& entry) {
    if (entry.mark == 0 || generation_users_.contains(entry.mark)) return false;
    return in_tunnel(entry.original.source.address) || in_tunnel(entry.reply.source.address);  // other programs mark connections too
  });
  if (!deleted) return fail(deleted.error());
  if (*deleted > 0) spdlog::info("deleted {} connections of leases that are over", *deleted);
  return {};
}

bool NftRedirect::in_tunnel(const Address& address) const {
  return (ruleset_.tunnel_v4 && ruleset_.tunnel_v4->contains(address)) || (ruleset_.tunnel_v6 && ruleset_.tunnel_v6->contains(address));
}

}  // namespace drpf::redirect
