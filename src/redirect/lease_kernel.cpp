#include "redirect/lease_kernel.h"

#include <utility>

namespace drpf::redirect {
namespace {

class LinuxLeaseKernel final : public LeaseKernel {
 public:
  LinuxLeaseKernel(ruleset::Keeper keeper, system::Conntrack conntrack) : keeper_(std::move(keeper)), conntrack_(std::move(conntrack)) {}

  Status put(const ruleset::Structure& structure) override { return keeper_.put(structure); }
  Result<ruleset::Keeper::Standing> standing() override { return keeper_.standing(); }
  Result<ruleset::Keeper::Seen> look() override { return keeper_.look(); }
  Status change(const system::NftBatch& batch, std::string_view attempt, std::vector<system::NftCounted>* removed) override {
    return keeper_.change(batch, attempt, removed);
  }
  std::size_t foreign_changes() const override { return keeper_.foreign_changes(); }
  bool owned() const override { return keeper_.owned(); }
  const std::string& as_put() const override { return keeper_.as_put(); }
  Result<system::NftTable::State> state() override { return keeper_.table().state(); }
  Status remove_table() override { return keeper_.table().remove(); }

  Result<std::vector<system::NftElement>> dump(const std::string& set) override { return keeper_.table().dump(set); }
  Result<std::optional<system::NftElement>> find(const std::string& set, const system::NftData& key) override {
    return keeper_.table().find(set, key);
  }
  Result<std::optional<system::NftCounted>> find_counted(const std::string& set, const system::NftData& key) override {
    return keeper_.table().find_counted(set, key);
  }
  Result<std::uint32_t> generation() override { return keeper_.table().generation(); }
  Result<std::vector<std::string>> names_of_others() override { return keeper_.table().names_of_others(); }
  std::size_t batch_bytes_max() const override { return keeper_.table().batch_bytes_max(); }

  Result<std::size_t> install(const ruleset::DeadMan& dead_man) override { return dead_man.install(); }
  Status remove_others(const ruleset::DeadMan& dead_man) override { return dead_man.remove_others(); }
  Status remove(const system::RoutingRule& rule) override {
    return system::LinksAndRoutes::open().and_then([&](system::LinksAndRoutes routing) { return routing.remove_rule(rule); });
  }
  Status enable_forwarding(const std::vector<std::string>& public_interfaces, bool ipv6) override {
    return ruleset::enable_forwarding(public_interfaces, ipv6);
  }

  Result<std::size_t> delete_connections(const std::function<bool(const system::ConntrackEntry&)>& chosen,
                                         std::optional<system::MarkBlock> among) override {
    return conntrack_.delete_where(chosen, among);
  }

 private:
  ruleset::Keeper keeper_;
  system::Conntrack conntrack_;
};

}  // namespace

Result<std::unique_ptr<LeaseKernel>> open_lease_kernel(const std::string& table, Duration nft_time_max, bool own) {
  auto keeper = ruleset::Keeper::open(
      table, {.own = own,
              .nft_time_max = nft_time_max,
              .refused = "nft refused the rule set",
              .cure = "see that this kernel has nf_tables with NAT, connection tracking and fib lookups: drpf check"});
  if (!keeper) return fail(keeper.error());
  auto conntrack = system::Conntrack::open();
  if (!conntrack) return fail(conntrack.error());
  return std::make_unique<LinuxLeaseKernel>(std::move(*keeper), std::move(*conntrack));
}

}  // namespace drpf::redirect
