// What a session may still do, as functions of its birth, its counter and now: the packet threads ask these once per batch.
#pragma once

#include <cstdint>

#include "core/time.h"
#include "protocol/wireguard/constants.h"

namespace drpf::protocol::wireguard {

struct SessionFacts {
  Time created;
  bool initiator = false;
};

// May a packet be sent with `counter`? If not: stage it and tell Peer::on_data_staged.
constexpr bool may_send(const SessionFacts& session, std::uint64_t counter, Time now) {
  return counter < reject_after_messages && now - session.created < reject_after_time;
}
// May a packet that arrives now be accepted? (Its counter is the ReplayWindow's business.)
constexpr bool may_receive(const SessionFacts& session, Time now) { return now - session.created < reject_after_time; }

// Peer applies these two itself to every batch it is told of; a packet thread that reports less often must report when one is true.
constexpr bool rekey_due_on_send(const SessionFacts& session, std::uint64_t next_counter, Time now) {
  return next_counter > rekey_after_messages || (session.initiator && now - session.created > rekey_after_time);
}
constexpr bool rekey_due_on_receive(const SessionFacts& session, Time now) {
  return session.initiator && now - session.created > rekey_on_receive_after;
}

}  // namespace drpf::protocol::wireguard
