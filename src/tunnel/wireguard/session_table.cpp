#include "tunnel/wireguard/session_table.h"

#include <bit>

namespace drpf::tunnel::wireguard {

SessionTable::SessionTable() : slots_(std::make_unique<Slots>(slots_min)) { published_.store(slots_.get()); }
SessionTable::~SessionTable() = default;

// A mark for slots whose session is gone; probing goes on over it. Never dereferenced.
Session* SessionTable::freed() {
  alignas(Session) static std::byte place;
  return reinterpret_cast<Session*>(&place);
}

Session* SessionTable::find(std::uint32_t local_index) const {
  const auto& slots = *published_.load();
  for (std::size_t i = local_index;; ++i) {
    auto* const session = slots.slot[i & (slots.count - 1)].load();
    if (session == nullptr) return nullptr;
    if (session != freed() && session->local_index == local_index) return session;
  }
}

void SessionTable::insert(Session& session, Graveyard& graveyard) {
  sessions_[session.local_index] = &session;
  if ((slots_->used + 1) * 2 > slots_->count)
    rebuild(graveyard);
  else
    put(*slots_, session);
}

void SessionTable::erase(std::uint32_t local_index, Graveyard& graveyard) {
  const auto found = sessions_.find(local_index);
  if (found == sessions_.end()) return;
  for (std::size_t i = local_index;; ++i) {
    auto& slot = slots_->slot[i & (slots_->count - 1)];
    if (slot.load() != found->second) continue;
    slot.store(freed());
    break;
  }
  sessions_.erase(found);
  if (slots_->count > slots_min && sessions_.size() * 8 < slots_->count) rebuild(graveyard);
}

void SessionTable::put(Slots& slots, Session& session) {
  for (std::size_t i = session.local_index;; ++i) {
    auto& slot = slots.slot[i & (slots.count - 1)];
    if (slot.load() != nullptr) continue;
    slot.store(&session);
    ++slots.used;
    return;
  }
}

void SessionTable::rebuild(Graveyard& graveyard) {
  auto fresh = std::make_unique<Slots>(std::max(slots_min, std::bit_ceil(sessions_.size() * 4)));
  for (const auto& [index, session] : sessions_) put(*fresh, *session);
  published_.store(fresh.get());
  graveyard.bury(std::exchange(slots_, std::move(fresh)));
}

}  // namespace drpf::tunnel::wireguard
