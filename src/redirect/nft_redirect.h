// Leases in the kernel: the table inet drpf of nftables, its elements, the connection table and the dead-man routing rules. It carries
// out what the book decided and repairs what others broke; it decides nothing. Blocking; used by the control thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/time.h"
#include "firewall/gateway_ruleset.h"
#include "redirect/connection_purge.h"
#include "redirect/lease_elements.h"
#include "redirect/lease_kernel.h"
#include "redirect/redirect.h"
#include "ruleset/dead_man.h"

namespace drpf::redirect {

class NftRedirect final : public Redirect {
 public:
  struct Options {
    bool manage_forwarding = true;  // turn ip_forward on at the end of the start
    // Tests of older kernels: do as if it could not own tables, update timeouts in place, or destroy what may be missing.
    bool use_ownership = true;
    bool use_renewal_in_place = true;
    bool use_destroy = true;
    bool use_counts = true;  // false: every generation counts as used
  };

  // The start sequence: dead-man rules, structure in one transaction, ownership, elements of `desired`, stale connections deleted,
  // forwarding on. An orphaned table of a predecessor is taken over with its elements, so that connections go on. The error
  // "gateway_running" means that another process owns the table.
  static Result<std::unique_ptr<NftRedirect>> start(const firewall::GatewayRuleset& ruleset, std::span<const lease::Redirection> desired,
                                                    Time now, const Options& options);
  static Result<std::unique_ptr<NftRedirect>> start(const firewall::GatewayRuleset& ruleset, std::span<const lease::Redirection> desired,
                                                    Time now) {
    return start(ruleset, desired, now, Options{});
  }
  static Result<std::unique_ptr<NftRedirect>> start(std::unique_ptr<LeaseKernel> kernel, const firewall::GatewayRuleset& ruleset,
                                                    std::span<const lease::Redirection> desired, Time now, const Options& options);

  // A transaction of at most atomic_changes_max() redirections is one kernel transaction; a larger one is cut, removals first. The
  // connections of what is removed are deleted afterwards, on a thread of their own; an installation that could meet them is unsettled
  // until then.
  Status carry_out(const lease::Transaction& transaction, Time now) override;
  Ticket unsettled(const lease::Redirection& redirection) const override;
  bool settled(Ticket ticket) const override { return purge_->finished() >= ticket; }
  // Called on another thread whenever something may have settled; none = no more from the moment that this returns.
  void when_settled(std::function<void()> tell) { purge_->when_finished(std::move(tell)); }
  Result<std::size_t> reconcile(std::span<const lease::Redirection> desired, Time now) override;
  // IPv6: the /64 around the address.
  Status admit(const Admission& device, Duration lifetime) override;
  // Packets with these tunnel addresses pass by this interface no more, until they are admitted again.
  Status dismiss(std::span<const Address> inside, const std::string& interface);

  // Tunnel addresses of devices that visitors were refused of within the last minute, because a share of connections was used up; or whose
  // own connections were.
  enum class Refused { visitors, own };
  Result<std::vector<Address>> over_their_share(Refused refused);

  enum class Drift {
    none,       // nobody but us changed any rule set since the last look
    elements,   // somebody changed something; our structure stands: reconcile()
    structure,  // our table is gone or not as we left it: restore()
  };
  // Cheap when nothing happened (0.2 ms); ask every 2 s, and when an event tells. Missing routing rules are put back at once.
  Result<Drift> inspect();
  std::size_t take_routing_rules_repaired() { return std::exchange(routing_rules_repaired_, 0); }
  // What the kernel holds of one redirection, for whoever asks why it does not work. Changes nothing, also of what inspect() will say.
  struct Standing {
    bool structure = false;    // chains and rules are as we left them
    bool elements = false;     // the redirect, its generation and the generation's leave to pass are there
    std::uint64_t visits = 0;  // connections that were given the generation
  };
  Result<Standing> look_at(const lease::Redirection& redirection);
  // Tables and chains of other programs, for guessing who it was.
  Result<std::vector<std::string>> names_of_others() { return kernel_->names_of_others(); }
  // Puts the whole structure back, then the elements. Returns the number of elements that were missing or wrong.
  Result<std::size_t> restore(std::span<const lease::Redirection> desired, Time now) { return build_up(desired, now); }
  // Another rule set, whole or not at all; leases and connections go on.
  Status change_ruleset(const firewall::GatewayRuleset& ruleset, std::span<const lease::Redirection> desired, Time now);
  Result<std::uint32_t> ruleset_generation() { return kernel_->generation(); }

  bool owns_table() const { return kernel_->owned(); }
  bool wait_for_purges(Duration at_most) const { return purge_->wait(last_purge_, at_most); }  // for tests and measurements
  ConnectionPurge::Report purges() const { return purge_->report(); }
  std::size_t atomic_changes_max() const;

  // Takes everything of a gateway away: table, marked connections of the tunnel, dead-man rules. Fails while a gateway runs.
  static Status remove_everything(const firewall::GatewayRuleset& ruleset);
  static Status remove_everything(LeaseKernel& kernel, const firewall::GatewayRuleset& ruleset);

  static constexpr std::size_t changes_per_batch_max = 50'000;
  static constexpr std::size_t echoed_removals_max = 128;   // what is removed with more at a time counts as used
  static constexpr std::chrono::seconds purge_wait_max{2};  // where one family of a lease stays
  static constexpr std::chrono::seconds first_purge_wait_max{30};
  static constexpr std::chrono::milliseconds deadline_tolerance{1500};  // a timeout that differs by less is no drift
  static constexpr std::chrono::seconds nft_timeout{60};

 private:
  using PortKey = std::tuple<Address, Protocol, Port>;  // a public port, or a device's
  struct HashPortKey {
    std::size_t operator()(const PortKey& key) const noexcept;
  };
  struct Change {
    std::span<const lease::Redirection> remove;
    std::span<const lease::Redirection> put;  // installs and renewals
  };
  // A change as elements.
  struct Edit {
    std::map<std::string, std::vector<system::NftData>> remove;  // by set; sorted, each once
    std::map<std::string, std::vector<system::NftElement>> put;
    std::vector<LeaseElement> giving_marks;  // of those to remove: what gave connections their marks
  };

  NftRedirect(std::unique_ptr<LeaseKernel> kernel, firewall::GatewayRuleset ruleset, Options options)
      : kernel_(std::move(kernel)),
        ruleset_(std::move(ruleset)),
        options_(options),
        purge_(std::make_unique<ConnectionPurge>(
            [kernel = kernel_.get()](const auto& chosen, const auto& among) { return kernel->delete_connections(chosen, among); })) {}

  ruleset::DeadMan dead_man() const { return ruleset::DeadMan(ruleset_.tunnel_interfaces, ruleset_.tunnel_v4, ruleset_.tunnel_v6); }
  Status put_structure();
  Status probe_kernel();
  Result<std::size_t> build_up(std::span<const lease::Redirection> desired, Time now);
  Status apply_change(const Change& change, Time now);
  Edit edit_for(const Change& change, Time now) const;
  Status apply_edit(const Edit& edit);
  void note_use(const Edit& edit, const std::vector<system::NftCounted>& removed);
  Status apply_edit_slowly(const Edit& edit);
  void put_removals(system::NftBatch& batch, const std::string& set, const std::vector<system::NftData>& keys,
                    system::NftBatch::Echo echo = system::NftBatch::Echo::no) const;
  Status commit(const system::NftBatch& batch, std::string_view attempt, std::vector<system::NftCounted>* removed = nullptr);
  Result<std::size_t> repair(std::span<const lease::Redirection> desired, Time now);
  struct Here {
    std::string interface;
    std::uint32_t account = 0;
    Time until{};
  };
  Status admit_elements(std::span<const Endpoint> endpoints, const std::map<Address, Here>& here, Duration lifetime,
                        const std::optional<Endpoint>& left = {});
  Status repair_admissions();
  Status take_over_here();
  ConnectionPurge::Ticket purge(std::span<const lease::Redirection> gone, ConnectionPurge::Last last);
  Status purge_stale();
  void purge_moved(const std::set<system::NftData>& marks, std::span<const lease::Redirection> desired);
  void remember(const lease::Redirection& redirection);
  void forget(const lease::Redirection& redirection);

  std::unique_ptr<LeaseKernel> kernel_;
  firewall::GatewayRuleset ruleset_;
  Options options_;
  std::unique_ptr<ConnectionPurge> purge_;
  ConnectionPurge::Ticket last_purge_ = 0;
  std::uint32_t highest_mark_ = 0;
  // Marks that this process has brought into the kernel and that no connection is known to have: what gives them has counted nothing in
  // all that was taken away of it so far, and has been nobody's but ours.
  std::unordered_set<std::uint32_t> unused_;
  bool stale_purged_once_ = false;
  bool in_doubt_ = false;  // a change failed: the kernel has all or nothing of it
  bool renews_in_place_ = false;
  bool destroys_ = false;
  std::size_t routing_rules_repaired_ = 0;
  std::unordered_map<Endpoint, Time> endpoints_;                            // by the elements' addresses, until when
  std::unordered_map<Address, Endpoint> placed_;                            // by the tunnel address of its family: where it is
  std::unordered_map<Address, Here> here_;                                  // by tunnel address
  std::unordered_map<PortKey, lease::Redirection, HashPortKey> installed_;  // by public port
  std::unordered_map<PortKey, std::vector<lease::Redirection>, HashPortKey> leading_to_;  // by device port, in order; nearly always one
  std::map<std::uint32_t, std::uint32_t> generation_users_;                               // redirections per lease generation: one or two
  std::unordered_map<PortKey, ConnectionPurge::Ticket, HashPortKey> purging_;             // former connections of public and device ports
};

}  // namespace drpf::redirect
