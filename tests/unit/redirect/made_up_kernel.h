// A kernel of leases in memory: sets with elements that count packets, transactions that are done whole or not at all, a connection table,
// and switches for what older kernels cannot do and for what goes wrong. Time stands still in it; who wants an element to end takes it out.
#pragma once

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "redirect/lease_kernel.h"
#include "system/nft_messages.h"

namespace drpf::redirect {

class MadeUpKernel final : public LeaseKernel {
 public:
  struct Element {
    system::NftData data;
    std::chrono::milliseconds timeout{};
    std::uint64_t packets = 0;
  };
  using Sets = std::map<std::string, std::map<system::NftData, Element>>;

  // What it can do, and what goes wrong with it.
  bool destroys = true;
  bool renews_in_place = true;
  bool owns = true;
  int refused_changes = 0;     // that many fail with EIO from now on
  int refused_structures = 0;  // that many fail from now on
  bool another_gateway_runs = false;
  bool refuses_dumps = false;
  bool without_rules = false;     // connections were deleted while there was no table
  bool connections_stay = false;  // nothing can be deleted
  std::size_t bytes_max = 1U << 20;

  Sets sets;
  std::vector<ruleset::Structure> structures;  // as put, in order
  std::string structure;                       // that stands; empty = the table is gone
  std::vector<system::RoutingRule> routing;
  std::vector<std::vector<std::string>> forwarding;  // each time that it was turned on, for which interfaces
  bool forwarding_v6 = false;
  std::vector<std::string> done;                       // what was asked of it, in order: words
  std::vector<std::vector<std::string>> transactions;  // of each the sets in order, "+live" for additions and "-live" for removals
  std::size_t dumps = 0;
  std::chrono::milliseconds structure_takes{};
  std::size_t foreign = 0;
  ruleset::Keeper::Seen seen = ruleset::Keeper::Seen::nothing;
  mutable std::mutex connections_mutex;
  std::vector<system::ConntrackEntry> connections;

  Status put(const ruleset::Structure& wanted) override {
    done.emplace_back("structure");
    std::this_thread::sleep_for(structure_takes);
    if (another_gateway_runs) return fail(failure("table_owned", "another process owns the made-up table"));
    if (refused_structures > 0) {
      --refused_structures;
      return fail(failure("nft_failed", "the made-up kernel refuses the rule set"));
    }
    structures.push_back(wanted);
    structure = as_put_ = wanted.text;
    seen = ruleset::Keeper::Seen::nothing;
    return {};
  }
  Result<ruleset::Keeper::Standing> standing() override {
    if (structure.empty()) return ruleset::Keeper::Standing::absent;
    return structure == as_put_ ? ruleset::Keeper::Standing::as_put : ruleset::Keeper::Standing::altered;
  }
  Result<ruleset::Keeper::Seen> look() override { return std::exchange(seen, ruleset::Keeper::Seen::nothing); }
  std::size_t foreign_changes() const override { return foreign; }
  bool owned() const override { return owns; }
  const std::string& as_put() const override { return as_put_; }
  Result<system::NftTable::State> state() override {
    if (another_gateway_runs) return system::NftTable::State::owned;
    return structure.empty() ? system::NftTable::State::absent : system::NftTable::State::orphan;
  }
  Status remove_table() override {
    done.emplace_back("table removed");
    if (structure.empty()) return fail(system::errno_failure(ENOENT, "remove the made-up table"));
    structure.clear();
    sets.clear();
    return {};
  }

  Status change(const system::NftBatch& batch, std::string_view attempt, std::vector<system::NftCounted>* removed) override {
    if (batch.empty()) return {};
    if (refused_changes > 0) {
      --refused_changes;
      return fail(system::errno_failure(EIO, attempt));
    }
    auto after = sets;
    std::uint32_t last = 0;
    auto encoded = batch.encode(1, last);
    system::NetlinkMessages messages(encoded.bytes());
    std::vector<system::NftCounted> echoed;
    std::vector<std::string> changed;
    while (const auto message = messages.next()) {
      for (const auto& element : system::parse_counted(*message)) {
        changed.push_back((message->type == system::nft_message(NFT_MSG_NEWSETELEM) ? "+" : "-") + element.set);
        if (const auto error = apply(after, *message, element, timeout_of(*message, element.key), echoed); error != 0)
          return fail(system::errno_failure(error, attempt));
      }
    }
    sets = std::move(after);
    transactions.push_back(std::move(changed));
    done.emplace_back("elements");
    if (removed != nullptr) *removed = std::move(echoed);
    return {};
  }
  Result<std::vector<system::NftElement>> dump(const std::string& set) override {
    ++dumps;
    if (refuses_dumps) return fail(failure("dump_interrupted", "the made-up kernel is not to be read"));
    std::vector<system::NftElement> out;
    for (const auto& [key, element] : sets[set]) out.push_back({key, element.data, element.timeout});
    std::reverse(out.begin(), out.end());  // a kernel's order is its own
    return out;
  }
  Result<std::optional<system::NftElement>> find(const std::string& set, const system::NftData& key) override {
    const auto found = sets[set].find(key);
    if (found == sets[set].end()) return std::nullopt;
    return system::NftElement{key, found->second.data, found->second.timeout};
  }
  Result<std::optional<system::NftCounted>> find_counted(const std::string& set, const system::NftData& key) override {
    const auto found = sets[set].find(key);
    if (found == sets[set].end()) return std::nullopt;
    return system::NftCounted{set, key, found->second.data, found->second.packets};
  }
  Result<std::uint32_t> generation() override { return static_cast<std::uint32_t>(transactions.size()); }
  Result<std::vector<std::string>> names_of_others() override { return std::vector<std::string>{}; }
  std::size_t batch_bytes_max() const override { return bytes_max; }

  Result<std::size_t> install(const ruleset::DeadMan& dead_man) override {
    done.emplace_back("dead man");
    std::size_t missing = 0;
    for (const auto& rule : dead_man.rules()) {
      if (std::find(routing.begin(), routing.end(), rule) != routing.end()) continue;
      routing.push_back(rule);
      ++missing;
    }
    return missing;
  }
  Status remove_others(const ruleset::DeadMan& dead_man) override {
    routing = dead_man.rules();
    return {};
  }
  Status remove(const system::RoutingRule& rule) override {
    std::erase(routing, rule);
    return {};
  }
  Status enable_forwarding(const std::vector<std::string>& public_interfaces, bool ipv6) override {
    done.emplace_back("forwarding");
    forwarding.push_back(public_interfaces);
    forwarding_v6 = ipv6;
    return {};
  }

  Result<std::size_t> delete_connections(const std::function<bool(const system::ConntrackEntry&)>& chosen,
                                         std::optional<system::MarkBlock> among) override {
    const std::lock_guard lock(connections_mutex);
    if (structure.empty()) without_rules = true;
    if (connections_stay) return fail(failure("conntrack_failed", "the made-up kernel keeps its connections"));
    return std::erase_if(connections,
                         [&](const auto& entry) { return (!among || (entry.mark & among->mask) == among->value) && chosen(entry); });
  }

  std::vector<std::uint32_t> marks_of_connections() const {
    const std::lock_guard lock(connections_mutex);
    std::vector<std::uint32_t> out;
    for (const auto& entry : connections) out.push_back(entry.mark);
    return out;
  }
  void connect(std::uint32_t mark, const char* visitor, const char* device) {
    const std::lock_guard lock(connections_mutex);
    system::ConntrackEntry entry;
    entry.mark = mark;
    entry.original.source.address = *parse_address(visitor);
    entry.reply.source.address = *parse_address(device);
    connections.push_back(entry);
  }

 private:
  static std::chrono::milliseconds timeout_of(const system::NetlinkMessage& message, const system::NftData& key) {
    const auto list = system::find_attribute(message.attributes(system::netfilter_header_size), NFTA_SET_ELEM_LIST_ELEMENTS);
    system::NetlinkAttributes items(list->payload);
    while (const auto item = items.next()) {
      const auto field = system::find_attribute(item->payload, NFTA_SET_ELEM_KEY);
      const auto value = field ? system::find_attribute(field->payload, NFTA_DATA_VALUE) : std::nullopt;
      if (!value || system::NftData::from(value->payload) != key) continue;
      const auto timeout = system::find_attribute(item->payload, NFTA_SET_ELEM_TIMEOUT);
      return std::chrono::milliseconds(timeout ? timeout->u64_big_endian() : 0);
    }
    return {};
  }

  int apply(Sets& after, const system::NetlinkMessage& message, const system::NftCounted& element, std::chrono::milliseconds timeout,
            std::vector<system::NftCounted>& echoed) const {
    auto& set = after[element.set];
    const auto found = set.find(element.key);
    if (message.type == system::nft_message(NFT_MSG_NEWSETELEM)) {
      if (found == set.end()) {
        set[element.key] = {element.data, timeout, 0};
        return 0;
      }
      if (found->second.data != element.data) return EEXIST;
      if (renews_in_place) found->second.timeout = timeout;
      return 0;
    }
    const bool is_destruction = message.type != system::nft_message(NFT_MSG_DELSETELEM);
    if (is_destruction && !destroys) return EINVAL;
    if (found == set.end()) return is_destruction ? 0 : ENOENT;
    if ((message.flags & NLM_F_ECHO) != 0) echoed.push_back({element.set, element.key, found->second.data, found->second.packets});
    set.erase(found);
    return 0;
  }

  std::string as_put_;
};

}  // namespace drpf::redirect
