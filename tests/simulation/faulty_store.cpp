#include "simulation/faulty_store.h"

#include <variant>

namespace drpf::simulation {

using namespace std::chrono_literals;

Result<lease::State> FaultyStore::load(const store::ClockReading& now) {
  world_.faults.crash_point("before the book is loaded");
  if (world_.faults.strikes(Fault::store_refuses, 20)) return fail(failure("disk_failed", "the simulated disk cannot be read"));
  auto state = inner_.load(now);
  if (!state) throw Violation("the store cannot be loaded: " + state.error().message);
  world_.durable.compare_loaded(*state, world_.clock);
  if (world_.faults.mutated(Mutation::forget_generations)) state->generations_used_to = 0;
  return state;
}

Status FaultyStore::write(const lease::Transaction& transaction, const store::Credentials& credentials, const store::ClockReading& now) {
  const auto written = inner_.commit_with(transaction, credentials, now);
  // Nothing is wrong with the disk: what the store refuses now contradicts what it holds.
  if (!written) throw Violation("the store refuses what was decided: " + written.error().message);
  return written;
}

Status FaultyStore::commit_with(const lease::Transaction& transaction, const store::Credentials& credentials,
                                const store::ClockReading& now) {
  const auto& peers = credentials.wireguard;
  auto& faults = world_.faults;
  faults.crash_point("before a commit");
  if (faults.strikes(Fault::slow_store, 10)) world_.clock.pass(world_.dice.between(1ms, world_.dice.one_in(4) ? 40s : 900ms));
  if (faults.strikes(Fault::store_refuses, 14)) return refused();
  const auto told = [&](Durable& durable) { durable.commit(transaction, peers, world_.cause, world_.policy, world_.clock); };
  if (faults.strikes(Fault::store_doubtful, 14)) {
    auto doubtful = world_.durable;
    told(doubtful);
    if (world_.disk.doubt(transaction, credentials, now)) world_.doubtful = std::move(doubtful);
    return refused();
  }

  if (faults.mutated(Mutation::kernel_before_store)) world_.before_commit(transaction);
  auto kept = transaction;
  if (faults.mutated(Mutation::forget_quarantine))
    std::erase_if(kept.records, [](const auto& record) { return std::holds_alternative<lease::PutQuarantine>(record); });
  if (faults.mutated(Mutation::answer_before_commit) || (faults.mutated(Mutation::lose_last_commit) && peers.empty())) {
    if (late_)
      if (auto done = write(*late_, {}, now); !done) return done;
    late_.reset();
    if (peers.empty()) {
      late_ = kept;
      if (faults.mutated(Mutation::lose_last_commit) && world_.dice.one_in(2)) {
        if (auto done = write(*late_, {}, now); !done) return done;
        late_.reset();
      }
    } else if (auto done = write(kept, credentials, now); !done) {
      return done;
    }
  } else if (auto done = write(kept, credentials, now); !done) {
    return done;
  }
  told(world_.durable);
  world_.disk.settle();
  world_.doubtful.reset();
  world_.committed(transaction);
  faults.crash_point("after a commit");
  return {};
}

Result<std::vector<store::WireGuardPeer>> FaultyStore::load_wireguard_peers() {
  world_.faults.crash_point("before the peers are loaded");
  auto peers = inner_.load_wireguard_peers();
  if (!peers) throw Violation("the peers cannot be loaded: " + peers.error().message);
  if (peers->size() != world_.durable.peers.size()) throw Violation("a peer was lost");
  for (const auto& peer : *peers)
    if (const auto known = world_.durable.peers.find(peer.device); known == world_.durable.peers.end() || known->second != peer)
      throw Violation("a peer is not as it was saved");
  return peers;
}

Status FaultyStore::save_wireguard_peers(const std::vector<store::WireGuardPeer>& peers) {
  world_.faults.crash_point("before peers are saved");
  if (world_.faults.strikes(Fault::store_refuses, 14)) return refused();
  const auto saved = inner_.save_wireguard_peers(peers);
  if (!saved) throw Violation("the store refuses peers: " + saved.error().message);
  for (const auto& peer : peers) world_.durable.peers[peer.device] = peer;
  world_.disk.settle();
  world_.doubtful.reset();
  world_.faults.crash_point("after peers were saved");
  return {};
}

Status FaultyStore::save_wireguard_identity(const store::WireGuardIdentity& identity) {
  world_.faults.crash_point("before the identity is saved");
  if (world_.faults.strikes(Fault::store_refuses, 14)) return refused();
  const auto saved = inner_.save_wireguard_identity(identity);
  if (!saved) throw Violation("the store refuses the identity: " + saved.error().message);
  world_.disk.settle();
  world_.doubtful.reset();
  return {};
}

}  // namespace drpf::simulation
