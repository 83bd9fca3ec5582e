// The life of the table: started, restored, replaced, taken away. What happens to single leases is in nft_redirect.cpp.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>

#include "redirect/nft_redirect.h"
#include "redirect/since_call.h"

namespace drpf::redirect {
namespace {

namespace names = firewall::set_names;

Error gateway_running(const std::string& table, std::string cure) {
  return failure("gateway_running", fmt::format("another process owns the nftables table inet {}", table), std::move(cure));
}

}  // namespace

Result<std::unique_ptr<NftRedirect>> NftRedirect::start(const firewall::GatewayRuleset& ruleset,
                                                        std::span<const lease::Redirection> desired, Time now, const Options& options) {
  if (const auto text = firewall::nft_text(ruleset); !text) return fail(text.error());
  auto kernel = open_lease_kernel(ruleset.table, nft_timeout, options.use_ownership);
  if (!kernel) return fail(kernel.error());
  return start(std::move(*kernel), ruleset, desired, now, options);
}

Result<std::unique_ptr<NftRedirect>> NftRedirect::start(std::unique_ptr<LeaseKernel> kernel, const firewall::GatewayRuleset& ruleset,
                                                        std::span<const lease::Redirection> desired, Time now, const Options& options) {
  std::unique_ptr<NftRedirect> redirect(new NftRedirect(std::move(kernel), ruleset, options));
  if (auto built = redirect->build_up(desired, now); !built) return fail(built.error());
  if (options.manage_forwarding)
    if (auto on = redirect->kernel_->enable_forwarding(ruleset.public_interfaces, ruleset.tunnel_v6.has_value()); !on)
      return fail(on.error());
  return redirect;
}

// The order matters: nothing is forwarded before the dead-man rules exist, and elements can be written only by the owner.
Result<std::size_t> NftRedirect::build_up(std::span<const lease::Redirection> desired, Time now) {
  const SinceCall since;
  unused_.clear();
  if (auto installed = kernel_->install(dead_man()); !installed) return fail(installed.error());
  if (auto put = put_structure(); !put) return fail(put.error());
  if (auto removed = kernel_->remove_others(dead_man()); !removed)
    return fail(removed.error());  // of a gateway whose tunnel had other addresses
  if (auto probed = probe_kernel(); !probed) return fail(probed.error());
  if (here_.empty())
    if (auto taken = take_over_here(); !taken) return fail(taken.error());
  auto repaired = repair(desired, now + since.milliseconds());
  if (!repaired) return repaired;
  if (auto renewed = repair_admissions(); !renewed) return fail(renewed.error());
  if (auto purged = purge_stale(); !purged) return fail(purged.error());
  return repaired;
}

Status NftRedirect::put_structure() {
  auto text = firewall::nft_text(ruleset_);
  if (!text) return fail(text.error());
  ruleset::Structure structure;
  structure.text = std::move(*text);
  structure.parts = {firewall::chain_names(), firewall::rules(ruleset_).size() - ruleset_.without.size()};
  auto put = kernel_->put(structure);
  if (!put && put.error().code == "table_owned")
    return fail(gateway_running(ruleset_.table, "stop the gateway that is running in this network namespace"));
  return put;
}

// What this kernel can do is tried out, not read from its version: features are ported back. The address 0.0.0.0 visits nobody.
Status NftRedirect::probe_kernel() {
  const auto key = system::NftData().address(Address::v4(0));
  system::NftBatch destroy(ruleset_.table);
  destroy.destroy(names::endpoints_v4, {key});
  destroys_ = options_.use_destroy && commit(destroy, "destroy an element that may be missing").has_value();

  renews_in_place_ = false;
  if (!options_.use_renewal_in_place) return {};
  constexpr std::chrono::seconds shorter{60};
  constexpr std::chrono::seconds longer{600};
  for (const auto lifetime : {shorter, longer}) {
    system::NftBatch put(ruleset_.table);
    if (auto added = put.add(names::endpoints_v4, {{key, {}, lifetime}}); !added) return added;
    if (auto applied = commit(put, "try out timeouts"); !applied) return applied;
  }
  const auto found = kernel_->find(names::endpoints_v4, key);
  if (!found) return fail(found.error());
  renews_in_place_ = *found && (*found)->timeout > shorter;
  system::NftBatch remove(ruleset_.table);
  remove.remove(names::endpoints_v4, {key});
  return commit(remove, "try out timeouts");
}

Result<NftRedirect::Drift> NftRedirect::inspect() {
  // Routing rules are not counted by the generation; looking for them is as cheap.
  const auto installed = kernel_->install(dead_man());
  if (!installed) return fail(installed.error());
  routing_rules_repaired_ += *installed;
  const auto seen = kernel_->look();
  if (!seen) return fail(seen.error());
  switch (*seen) {
    case ruleset::Keeper::Seen::nothing:
      break;
    case ruleset::Keeper::Seen::others_change:
      return kernel_->owned() ? Drift::none : Drift::elements;
    case ruleset::Keeper::Seen::altered:
      return Drift::structure;
  }
  return Drift::none;
}

Result<NftRedirect::Standing> NftRedirect::look_at(const lease::Redirection& redirection) {
  Standing standing;
  const auto table = kernel_->standing();
  if (!table) return fail(table.error());
  standing.structure = *table == ruleset::Keeper::Standing::as_put;
  if (*table == ruleset::Keeper::Standing::absent) return standing;
  auto elements = public_elements(redirection);
  elements.push_back(live_element(redirection.generation));
  standing.elements = true;
  for (const auto& element : elements) {
    const auto found = kernel_->find_counted(element.set, element.key);
    if (!found) return fail(found.error());
    if (!*found || (*found)->data != element.data) {
      standing.elements = false;
      continue;
    }
    if (gives_marks(element.set)) standing.visits = (*found)->packets.value_or(0);
  }
  return standing;
}

Status NftRedirect::change_ruleset(const firewall::GatewayRuleset& ruleset, std::span<const lease::Redirection> desired, Time now) {
  if (ruleset.table != ruleset_.table)
    return fail(invalid("ruleset_invalid", "the name of the table cannot be changed while the gateway runs"));
  if (const auto text = firewall::nft_text(ruleset); !text) return fail(text.error());
  const SinceCall since;
  const auto previous = ruleset_;
  const auto previous_dead_man = dead_man();
  const auto previous_as_put = kernel_->as_put();
  ruleset_ = ruleset;
  if (auto restored = restore(desired, now); !restored) {
    ruleset_ = previous;
    const auto stands = kernel_->standing();
    const bool untouched = stands && *stands == ruleset::Keeper::Standing::as_put && kernel_->as_put() == previous_as_put;
    if (auto back = restore(desired, now + since.milliseconds()); !back && !untouched)
      spdlog::error("the former rule set could not be put back: {}", back.error().message);
    return fail(restored.error());
  }
  const auto wanted = dead_man().rules();
  for (const auto& rule : previous_dead_man.rules())
    if (std::find(wanted.begin(), wanted.end(), rule) == wanted.end())
      if (auto removed = kernel_->remove(rule); !removed) return removed;
  if (options_.manage_forwarding) return kernel_->enable_forwarding(ruleset_.public_interfaces, ruleset_.tunnel_v6.has_value());
  return {};
}

Status NftRedirect::remove_everything(const firewall::GatewayRuleset& ruleset) {
  const auto kernel = open_lease_kernel(ruleset.table, nft_timeout, false);
  if (!kernel) return fail(kernel.error());
  return remove_everything(**kernel, ruleset);
}

Status NftRedirect::remove_everything(LeaseKernel& kernel, const firewall::GatewayRuleset& ruleset) {
  const auto state = kernel.state();
  if (!state) return fail(state.error());
  if (*state == system::NftTable::State::owned) return fail(gateway_running(ruleset.table, "stop the gateway first"));
  // Connections first, while the rules still keep them from being made again.
  const auto deleted = kernel.delete_connections(
      [&](const system::ConntrackEntry& entry) { return is_tunnels(entry, ruleset.tunnel_v4, ruleset.tunnel_v6); }, std::nullopt);
  if (!deleted) return fail(deleted.error());
  if (*state != system::NftTable::State::absent)
    if (auto removed = kernel.remove_table(); !removed) return removed;
  return kernel.remove_others(ruleset::DeadMan({}, {}, {}));
}

}  // namespace drpf::redirect
