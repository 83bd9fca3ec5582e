// One nftables table of family inet: owned, filled, dumped and compared. What stands in it is the caller's business.
//
// Ownership belongs to the netlink socket: while this object lives nobody else can change or delete an owned table; when it goes, the
// table stays as an orphan that anyone can change. Linux 6.9 or newer; older kernels keep a plain table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/result.h"
#include "system/netlink_socket.h"
#include "system/nft_elements.h"

namespace drpf::system {

class NftTable {
 public:
  enum class State { absent, plain, orphan, owned };  // orphan: persistent and owned by nobody; owned: by us or another socket

  static Result<NftTable> open(std::string name);

  Result<State> state();
  // Persistent tables are orphans until they are adopted.
  Status create(bool persistent);
  // Whether this kernel knows persistent tables. Tries it with a table of another name.
  Result<bool> can_persist();
  Status adopt();  // orphan -> owned by this object's socket; EPERM where another has it
  Status remove();

  // `removed` gets what the kernel says of removals that were to be echoed.
  Status apply(const NftBatch& batch, std::string_view attempt, std::vector<NftCounted>* removed = nullptr);
  Result<std::vector<NftElement>> dump(const std::string& set);
  Result<std::optional<NftElement>> find(const std::string& set, const NftData& key);

  // The same, with what its counter says.
  Result<std::optional<NftCounted>> find_counted(const std::string& set, const NftData& key);

  // Counts the changes of all tables of this network namespace. 0.05 ms.
  Result<std::uint32_t> generation();
  // Chains, their policies and rules, by the numbers that the kernel gave them: equal as long as nobody touched the structure.
  Result<std::string> fingerprint();
  Result<std::vector<std::string>> chains();
  // All tables of this network namespace: "inet filter". By `nft list tables` it would take as long as all their elements are many.
  Result<std::vector<std::string>> tables();
  Result<std::vector<std::string>> names_of_others();  // of all other tables and of their chains, in any family

  std::size_t batch_bytes_max() const { return writes_.send_limit_bytes(); }
  const std::string& name() const { return name_; }

 private:
  NftTable(std::string name, NetlinkSocket writes, NetlinkSocket reads)
      : name_(std::move(name)), writes_(std::move(writes)), reads_(std::move(reads)) {}

  Status ask_for(const std::string& set, const NftData& key, const NetlinkSocket::Visitor& visit);

  std::string name_;
  NetlinkSocket writes_;  // the owner
  NetlinkSocket reads_;
};

}  // namespace drpf::system
