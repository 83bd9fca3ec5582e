// The life of the table: started, restored, replaced, taken away. What happens to single leases is in nft_redirect.cpp.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>

#include "redirect/nft_redirect.h"
#include "system/nft_program.h"

namespace drpf::redirect {
namespace {

namespace names = firewall::set_names;
using State = system::NftTable::State;

constexpr std::size_t program_words_max = 2000;

Status apply(const std::string& text) {
  const auto output = system::run_nft(system::NftTask::apply, text, NftRedirect::nft_timeout);
  if (!output)
    return fail(failure("nft_failed", "could not run nft to set up the firewall: " + output.error().message,
                        "install nftables: apt install nftables"));
  if (output->exit_code == 0) return {};
  return fail(failure(
      "nft_failed", fmt::format("nft refused the rule set (exit code {}): {}", output->exit_code, output->err.substr(0, program_words_max)),
      "see that this kernel has nf_tables with NAT, connection tracking and fib lookups: drpf check"));
}

}  // namespace

Result<std::unique_ptr<NftRedirect>> NftRedirect::start(const firewall::GatewayRuleset& ruleset,
                                                        std::span<const lease::Redirection> desired, Time now, const Options& options) {
  if (const auto text = firewall::nft_text(ruleset); !text) return fail(text.error());
  auto table = system::NftTable::open(ruleset.table);
  if (!table) return fail(table.error());
  auto conntrack = system::Conntrack::open();
  if (!conntrack) return fail(conntrack.error());
  std::unique_ptr<NftRedirect> redirect(new NftRedirect(ruleset, options, std::move(*table), std::move(*conntrack)));
  if (auto built = redirect->build_up(desired, now); !built) return fail(built.error());
  if (options.manage_forwarding)
    if (auto on = enable_forwarding(ruleset.public_interfaces, ruleset.tunnel_v6.has_value()); !on) return fail(on.error());
  return redirect;
}

// The order matters: nothing is forwarded before the dead-man rules exist, the table must be given its structure while nobody owns it,
// and elements can be written only by the owner.
Result<std::size_t> NftRedirect::build_up(std::span<const lease::Redirection> desired, Time now) {
  unused_.clear();
  if (auto installed = dead_man().install(); !installed) return fail(installed.error());
  if (auto taken = take_table(); !taken) return fail(taken.error());
  if (auto probed = probe_kernel(); !probed) return fail(probed.error());
  // From here on every generation that is not ours is noticed: whoever flushes while we build must not become what we compare with.
  const auto generation = table_.generation();
  if (!generation) return fail(generation.error());
  generation_ = *generation;
  foreign_change_ = false;
  const auto fingerprint = table_.fingerprint();
  if (!fingerprint) return fail(fingerprint.error());
  if (!is_whole(*fingerprint))
    return fail(failure("ruleset_disturbed", "another program changed the table while it was built", "find out which: drpf check"));
  fingerprint_ = *fingerprint;
  auto repaired = repair(desired, now);
  if (!repaired) return repaired;
  if (auto renewed = repair_endpoints(); !renewed) return fail(renewed.error());
  if (auto purged = purge_stale(); !purged) return fail(purged.error());
  return repaired;
}

// As many chains and rules as were written; a chain that another program has put there is one too many.
bool NftRedirect::is_whole(const std::string& fingerprint) const {
  const auto count = [&](std::string_view word) {
    std::size_t lines = 0;
    for (auto at = fingerprint.find(word); at != std::string::npos; at = fingerprint.find(word, at + 1)) ++lines;
    return lines;
  };
  return count("\nchain ") == firewall::chain_names().size() &&
         count("\nrule ") == firewall::rules(ruleset_).size() - ruleset_.without.size();
}

Status NftRedirect::take_table() {
  owned_ = false;
  bool persistent = false;
  if (options_.use_ownership) {
    const auto can = table_.can_persist();
    if (!can) return fail(can.error());
    persistent = *can;
  }
  auto state = table_.state();
  if (!state) return fail(state.error());
  if (*state == State::owned)
    return fail(failure("gateway_running", fmt::format("another process owns the nftables table inet {}", ruleset_.table),
                        "stop the gateway that is running in this network namespace"));
  // A table cannot be made persistent later, and one that is persistent without need would only differ from what was asked.
  if (*state != State::absent && persistent != (*state == State::orphan)) {
    if (auto removed = table_.remove(); !removed) return removed;
    state = State::absent;
  }
  const bool is_new = *state == State::absent;
  // Where it is there already this wakes it up, should somebody have made it dormant.
  if (auto created = table_.create(persistent); !created) return created;
  if (auto applied = apply_structure(is_new); !applied) {
    if (is_new) {
      if (auto removed = table_.remove(); !removed) spdlog::warn("{}", removed.error().message);
      return applied;
    }
    // The remains of another version that this structure does not fit on: begin anew. The dead-man rules keep the gap closed.
    spdlog::warn("the table of the predecessor cannot be used, building a new one: {}", applied.error().message);
    if (auto removed = table_.remove(); !removed) return removed;
    if (auto created = table_.create(persistent); !created) return created;
    if (auto again = apply_structure(true); !again) return again;
  }
  if (persistent) {
    if (auto adopted = table_.adopt(); !adopted) return adopted;
    owned_ = true;
  }
  return {};
}

Status NftRedirect::apply_structure(bool table_is_new) {
  const auto text = firewall::nft_text(ruleset_);
  if (!text) return fail(text.error());
  std::string commands;
  if (!table_is_new) {
    const auto present = table_.chains();
    if (!present) return fail(present.error());
    const auto known = firewall::chain_names();
    std::vector<std::string> unknown;
    std::copy_if(present->begin(), present->end(), std::back_inserter(unknown),
                 [&](const std::string& chain) { return std::find(known.begin(), known.end(), chain) == known.end(); });
    for (const auto& chain : unknown) commands += fmt::format("flush chain inet {} {}\n", ruleset_.table, chain);
    for (const auto& chain : unknown) commands += fmt::format("delete chain inet {} {}\n", ruleset_.table, chain);
  }
  return apply(commands + *text);
}

// What this kernel can do is tried out, not read from its version: features are ported back. The address 0.0.0.0 visits nobody.
Status NftRedirect::probe_kernel() {
  const auto key = system::NftData().address(Address::v4(0));
  system::NftBatch destroy(ruleset_.table);
  destroy.destroy(names::endpoints_v4, {key});
  destroys_ = options_.use_destroy && table_.apply(destroy, "destroy an element that may be missing").has_value();

  renews_in_place_ = false;
  if (!options_.use_renewal_in_place) return {};
  constexpr std::chrono::seconds shorter{60};
  constexpr std::chrono::seconds longer{600};
  for (const auto lifetime : {shorter, longer}) {
    system::NftBatch put(ruleset_.table);
    if (auto added = put.add(names::endpoints_v4, {{key, {}, lifetime}}); !added) return added;
    if (auto applied = table_.apply(put, "try out timeouts"); !applied) return applied;
  }
  const auto found = table_.find(names::endpoints_v4, key);
  if (!found) return fail(found.error());
  renews_in_place_ = *found && (*found)->timeout > shorter;
  system::NftBatch remove(ruleset_.table);
  remove.remove(names::endpoints_v4, {key});
  return table_.apply(remove, "try out timeouts");
}

Result<NftRedirect::Drift> NftRedirect::inspect() {
  // Routing rules are not counted by the generation; looking for them is as cheap.
  const auto installed = dead_man().install();
  if (!installed) return fail(installed.error());
  routing_rules_repaired_ += *installed;
  const auto generation = table_.generation();
  if (!generation) return fail(generation.error());
  if (*generation == generation_ && !foreign_change_) return Drift::none;
  const auto fingerprint = table_.fingerprint();
  if (!fingerprint) return fail(fingerprint.error());
  generation_ = *generation;
  foreign_change_ = false;
  if (*fingerprint != fingerprint_) {
    foreign_change_ = true;  // until restore() has succeeded
    return Drift::structure;
  }
  return owned_ ? Drift::none : Drift::elements;
}

Result<NftRedirect::Standing> NftRedirect::look_at(const lease::Redirection& redirection) {
  Standing standing;
  const auto fingerprint = table_.fingerprint();
  if (!fingerprint) return fail(fingerprint.error());
  standing.structure = *fingerprint == fingerprint_;
  if (fingerprint->empty()) return standing;
  auto elements = public_elements(redirection);
  elements.push_back(live_element(redirection.generation));
  standing.elements = true;
  for (const auto& element : elements) {
    const auto found = table_.find_counted(element.set, element.key);
    if (!found) return fail(found.error());
    if (!*found || (*found)->data != element.data) {
      standing.elements = false;
      continue;
    }
    if (gives_marks(element.set)) standing.visits = (*found)->packets.value_or(0);
  }
  return standing;
}

Result<std::size_t> NftRedirect::restore(std::span<const lease::Redirection> desired, Time now) {
  {
    // A new socket: the old one may own a table that must be given a structure again. It is closed at the end of this block.
    auto table = system::NftTable::open(ruleset_.table);
    if (!table) return fail(table.error());
    table_ = std::move(*table);
  }
  return build_up(desired, now);
}

Status NftRedirect::change_ruleset(const firewall::GatewayRuleset& ruleset, std::span<const lease::Redirection> desired, Time now) {
  if (ruleset.table != ruleset_.table)
    return fail(invalid("ruleset_invalid", "the name of the table cannot be changed while the gateway runs"));
  if (const auto text = firewall::nft_text(ruleset); !text) return fail(text.error());
  const auto previous = ruleset_;
  const auto previous_dead_man = dead_man();
  ruleset_ = ruleset;
  if (auto restored = restore(desired, now); !restored) {
    ruleset_ = previous;
    if (auto back = restore(desired, now); !back) spdlog::error("the former rule set could not be put back: {}", back.error().message);
    return fail(restored.error());
  }
  auto routing = system::LinksAndRoutes::open();
  if (!routing) return fail(routing.error());
  const auto wanted = dead_man().rules();
  for (const auto& rule : previous_dead_man.rules())
    if (std::find(wanted.begin(), wanted.end(), rule) == wanted.end())
      if (auto removed = routing->remove_rule(rule); !removed) return removed;
  if (options_.manage_forwarding) return enable_forwarding(ruleset_.public_interfaces, ruleset_.tunnel_v6.has_value());
  return {};
}

Status NftRedirect::remove_everything(const firewall::GatewayRuleset& ruleset) {
  auto table = system::NftTable::open(ruleset.table);
  if (!table) return fail(table.error());
  const auto state = table->state();
  if (!state) return fail(state.error());
  if (*state == State::owned)
    return fail(failure("gateway_running", fmt::format("another process owns the nftables table inet {}", ruleset.table),
                        "stop the gateway first"));
  // Connections first, while the rules still keep them from being made again.
  auto conntrack = system::Conntrack::open();
  if (!conntrack) return fail(conntrack.error());
  const auto in_tunnel = [&](const Address& address) {
    return (ruleset.tunnel_v4 && ruleset.tunnel_v4->contains(address)) || (ruleset.tunnel_v6 && ruleset.tunnel_v6->contains(address));
  };
  const auto deleted = conntrack->delete_where([&](const system::ConntrackEntry& entry) {
    return in_tunnel(entry.original.source.address) || in_tunnel(entry.reply.source.address);
  });
  if (!deleted) return fail(deleted.error());
  if (*state != State::absent)
    if (auto removed = table->remove(); !removed) return removed;
  return DeadMan::remove_all();
}

}  // namespace drpf::redirect
