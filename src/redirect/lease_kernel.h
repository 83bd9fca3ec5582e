// What leases need of the kernel: one nftables table with its elements, routing rules, forwarding, and the table of connections. It is told
// what to do and says what became of it; what that means is decided by NftRedirect. Blocking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/time.h"
#include "ruleset/dead_man.h"
#include "ruleset/keeper.h"
#include "system/conntrack.h"

namespace drpf::redirect {

class LeaseKernel {
 public:
  virtual ~LeaseKernel() = default;

  // The rule set: as of ruleset::Keeper.
  virtual Status put(const ruleset::Structure& structure) = 0;
  virtual Result<ruleset::Keeper::Standing> standing() = 0;
  virtual Result<ruleset::Keeper::Seen> look() = 0;
  virtual Status change(const system::NftBatch& batch, std::string_view attempt, std::vector<system::NftCounted>* removed) = 0;
  virtual std::size_t foreign_changes() const = 0;
  virtual bool owned() const = 0;
  virtual const std::string& as_put() const = 0;
  virtual Result<system::NftTable::State> state() = 0;
  virtual Status remove_table() = 0;

  // Its elements: as of system::NftTable.
  virtual Result<std::vector<system::NftElement>> dump(const std::string& set) = 0;
  virtual Result<std::optional<system::NftElement>> find(const std::string& set, const system::NftData& key) = 0;
  virtual Result<std::optional<system::NftCounted>> find_counted(const std::string& set, const system::NftData& key) = 0;
  virtual Result<std::uint32_t> generation() = 0;
  virtual Result<std::vector<std::string>> names_of_others() = 0;
  virtual std::size_t batch_bytes_max() const = 0;

  // Routing.
  virtual Result<std::size_t> install(const ruleset::DeadMan& dead_man) = 0;
  virtual Status remove_others(const ruleset::DeadMan& dead_man) = 0;
  virtual Status remove(const system::RoutingRule& rule) = 0;
  virtual Status enable_forwarding(const std::vector<std::string>& public_interfaces, bool ipv6) = 0;

  // Connections: as of system::Conntrack. Called on another thread, while the others may be under way.
  virtual Result<std::size_t> delete_connections(const std::function<bool(const system::ConntrackEntry&)>& chosen,
                                                 std::optional<system::MarkBlock> among) = 0;
};

// The kernel of this network namespace.
Result<std::unique_ptr<LeaseKernel>> open_lease_kernel(const std::string& table, Duration nft_time_max, bool own);

}  // namespace drpf::redirect
