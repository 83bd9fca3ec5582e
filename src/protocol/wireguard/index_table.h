// Local indices in use and whose they are: handshakes under way and sessions. For the handshake thread; the packet threads keep their own
// table of sessions from the actions NewSession and RetireSession.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "core/random.h"
#include "protocol/wireguard/allowed_ips.h"

namespace drpf::protocol::wireguard {

class IndexTable {
 public:
  // A random index that nobody has.
  std::uint32_t allocate(PeerId peer, Random& random);
  void release(std::uint32_t index) { owners_.erase(index); }
  std::optional<PeerId> find(std::uint32_t index) const;
  std::size_t size() const { return owners_.size(); }

 private:
  std::unordered_map<std::uint32_t, PeerId> owners_;
};

}  // namespace drpf::protocol::wireguard
