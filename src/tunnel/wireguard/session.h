// One session's keys and counters as the packet threads use them: the sending half belongs to the sender, the receiving half to the
// receiver.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "core/address.h"
#include "crypto/secret_key.h"
#include "protocol/wireguard/replay_window.h"
#include "protocol/wireguard/session_rules.h"
#include "system/udp_socket.h"

namespace drpf::tunnel::wireguard {

struct PeerState;

struct Session {
  Session(std::uint32_t local, std::uint32_t remote, const protocol::wireguard::SessionFacts& session_facts, PeerState& owner,
          const crypto::Key32& send_key, const crypto::Key32& receive_key)
      : local_index(local), remote_index(remote), facts(session_facts), peer(owner), seal_key(send_key), open_key(receive_key) {}

  const std::uint32_t local_index;
  const std::uint32_t remote_index;
  const protocol::wireguard::SessionFacts facts;
  PeerState& peer;
  std::atomic<bool> heard{false};  // something was received with it
  // Where our answer went that began it; the handshake thread's. Who was not there does not know the session's keys.
  std::optional<Address> answered_to;

  alignas(64) const crypto::SecretKey seal_key;
  std::uint64_t next_counter = 0;

  alignas(64) const crypto::SecretKey open_key;
  protocol::wireguard::ReplayWindow window;
  // Of the batch under way.
  bool in_batch = false;
  bool batch_first = false;  // the session's first packet is in it
  bool batch_data = false;
  std::uint64_t batch_bytes = 0;
  std::optional<Endpoint> batch_from;  // the last source, when it is not the known endpoint
  system::LocalSource batch_source;
};

}  // namespace drpf::tunnel::wireguard
