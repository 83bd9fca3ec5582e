// What the three threads share about one peer. Each thread writes its own part; what crosses is a value under a short lock, once per batch.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "core/address.h"
#include "core/bytes.h"
#include "core/time.h"
#include "protocol/wireguard/allowed_ips.h"
#include "system/udp_socket.h"
#include "tunnel/tunnel.h"
#include "tunnel/wireguard/session.h"

namespace drpf::tunnel::wireguard {

using protocol::wireguard::PeerId;

// Where a peer is.
struct Path {
  std::optional<Endpoint> endpoint;
  system::LocalSource source;
  std::optional<Address> admitted;  // packets from other endpoint addresses are not forwarded, where admission is asked for
};

// Written by the handshake thread; the packet threads keep copies and look at the version only.
class SharedPath {
 public:
  void set(const Path& path) {
    const std::lock_guard lock(mutex_);
    path_ = path;
    version_.fetch_add(1, std::memory_order_release);
  }
  struct Copy {
    Path path;
    std::uint32_t version = 0;
  };
  const Path& refresh(Copy& copy) const {
    if (version_.load(std::memory_order_acquire) != copy.version) {
      const std::lock_guard lock(mutex_);
      copy.path = path_;
      copy.version = version_.load(std::memory_order_relaxed);
    }
    return copy.path;
  }

 private:
  mutable std::mutex mutex_;
  std::atomic<std::uint32_t> version_{0};
  Path path_;
};

// What the packet threads have to tell the handshake thread about a peer, summed up until it is read.
struct PeerReport {
  struct Sent {
    std::uint32_t local_index = 0;
    std::uint64_t next_counter = 0;
    bool data = false;
    Time when{};
  };
  struct Received {
    std::uint32_t local_index = 0;
    bool data = false;
    Time when{};
    std::optional<Endpoint> from;  // only when it is not the known endpoint
    system::LocalSource source;
  };
  static constexpr std::size_t sessions_max = 3;  // previous, current, next

  std::optional<Sent> sent;
  std::array<std::optional<Received>, sessions_max> received;
  bool staged = false;
  std::optional<std::uint32_t> refused;  // the session that may not send any more, for `staged`
  bool source_unusable = false;          // sending from the remembered own address failed
};

struct PeerState {
  PeerState(PeerId peer_id, const Key& key) : id(peer_id), public_key(key) {}

  const PeerId id;
  const Key public_key;
  SharedPath path;
  // Both written by the handshake thread alone. The peer may have forgotten all older sessions (it restarted), so from the first packet on
  // that `next` has brought, it is the one to answer with, even before the handshake thread has heard of it.
  std::atomic<Session*> sending{nullptr};
  std::atomic<Session*> next{nullptr};

  std::mutex report_mutex;
  PeerReport report;
  bool reported = false;  // guarded by EngineState: the report waits to be read

  struct alignas(64) SenderPart {
    SharedPath::Copy path;
    std::deque<Bytes> staged;
    std::optional<Time> staged_reported;
    std::atomic<std::uint64_t> bytes{0};
  } sender;

  struct alignas(64) ReceiverPart {
    SharedPath::Copy path;
    std::atomic<std::uint64_t> bytes{0};
    std::atomic<Duration::rep> last_authenticated{0};  // since the clock's epoch; 0 = never
  } receiver;
};

}  // namespace drpf::tunnel::wireguard
