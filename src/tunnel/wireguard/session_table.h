// Sessions by local index: written by the handshake thread, read by the receiver without locks. Does not own the sessions.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "tunnel/wireguard/quiescence.h"
#include "tunnel/wireguard/session.h"

namespace drpf::tunnel::wireguard {

class SessionTable {
 public:
  SessionTable();
  ~SessionTable();
  // Any thread, inside Quiescence.
  Session* find(std::uint32_t local_index) const;
  // The handshake thread. Tables that were outgrown are buried.
  void insert(Session& session, Graveyard& graveyard);
  void erase(std::uint32_t local_index, Graveyard& graveyard);
  std::size_t size() const { return sessions_.size(); }

 private:
  // Open addressing; indices are random, so their low bits are the hash. Never more than half full, freed slots included.
  struct Slots {
    explicit Slots(std::size_t slot_count) : count(slot_count), slot(std::make_unique<std::atomic<Session*>[]>(slot_count)) {}
    std::size_t count;
    std::size_t used = 0;
    std::unique_ptr<std::atomic<Session*>[]> slot;
  };
  static constexpr std::size_t slots_min = 64;
  static Session* freed();
  void put(Slots& slots, Session& session);
  void rebuild(Graveyard& graveyard);

  std::atomic<Slots*> published_{nullptr};
  std::unique_ptr<Slots> slots_;
  std::unordered_map<std::uint32_t, Session*> sessions_;
};

}  // namespace drpf::tunnel::wireguard
