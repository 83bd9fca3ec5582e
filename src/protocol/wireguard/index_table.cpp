#include "protocol/wireguard/index_table.h"

namespace drpf::protocol::wireguard {

std::uint32_t IndexTable::allocate(PeerId peer, Random& random) {
  while (true) {
    const auto index = random.u32();
    if (owners_.try_emplace(index, peer).second) return index;
  }
}

std::optional<PeerId> IndexTable::find(std::uint32_t index) const {
  const auto at = owners_.find(index);
  return at == owners_.end() ? std::nullopt : std::optional(at->second);
}

}  // namespace drpf::protocol::wireguard
