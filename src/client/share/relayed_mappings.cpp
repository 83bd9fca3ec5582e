#include "client/share/relayed_mappings.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "lease/types.h"

namespace drpf::client {

namespace {

using protocol::port_mapping::Wish;

// As the gateway does it.
Duration granted(const Wish& wish) {
  if (wish.while_connected) return relay_lifetime_renewed;
  return lease::Policy::granted_lifetime(wish.lifetime);
}

bool is_same(const Wish& a, const Wish& b) {
  return a.client == b.client && a.protocol == b.protocol && a.internal_port == b.internal_port && a.suggested_port == b.suggested_port &&
         a.only_suggested == b.only_suggested && a.door == b.door && a.nonce == b.nonce && a.lifetime == b.lifetime;
}

tl::unexpected<Error> not_now() {
  return fail(unavailable("gateway_unreachable", "the gateway does not answer, so nothing can be asked of it",
                          "drpf connect tries again by itself"));
}

}  // namespace

RelayedMappings::RelayedMappings(RelayUpstream& upstream, RelayRedirect& redirect, const Clock& clock, IsNeighbour is_neighbour,
                                 IsInUse is_in_use)
    : upstream_(upstream),
      redirect_(redirect),
      clock_(clock),
      is_neighbour_(std::move(is_neighbour)),
      is_in_use_(std::move(is_in_use)),
      epoch_(clock.now()) {}

// ---- what the servers ask

std::optional<RelayedMappings::Client> RelayedMappings::client(const Address& source) const {
  if (!is_neighbour_(source)) return std::nullopt;
  Client client;
  if (online_) client.external_v4 = external_v4_;
  client.inside_v4 = source;
  return client;
}

std::uint32_t RelayedMappings::epoch_s() const {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - epoch_).count());
}

RelayedMappings::Mapped RelayedMappings::mapped(const Entry& entry) const {
  Mapped mapped;
  mapped.protocol = entry.wish.protocol;
  mapped.internal_port = entry.wish.internal_port;
  mapped.external_port = entry.lease.public_port;
  mapped.local_port = entry.local_port;
  mapped.external_v4 = entry.lease.public_address;
  mapped.lifetime = std::chrono::round<std::chrono::seconds>(std::max(entry.deadline - clock_.now(), Duration::zero()));
  mapped.door = entry.wish.door;
  mapped.nonce = entry.wish.nonce;
  mapped.description = entry.wish.description;
  return mapped;
}

std::vector<RelayedMappings::Mapped> RelayedMappings::mappings_of(const Address& client) const {
  std::vector<Mapped> found;
  for (const auto& [key, entry] : entries_)
    if (entry.wish.client == client) found.push_back(mapped(entry));
  std::sort(found.begin(), found.end(), [](const Mapped& a, const Mapped& b) {
    return std::pair(a.external_port, a.protocol) < std::pair(b.external_port, b.protocol);
  });
  return found;
}

std::size_t RelayedMappings::count_of(const Address& client) const {
  return static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.end(), [&](const auto& one) { return one.second.wish.client == client; }) +
      std::count_if(requests_.begin(), requests_.end(), [&](const auto& one) { return one->wish.client == client; }));
}

// Of the ports that the device holds and that lead to itself: those that its own servers use, and all where the machine has its share,
// which is half of what the device holds. What the plan has beyond is for whoever asks.
std::vector<Port> RelayedMappings::not_for(const Address& client) const {
  std::set<Port> numbers;
  std::set<Port> its_own;
  for (const auto& port : reported_) numbers.insert(port.public_port);
  for (const auto& [key, entry] : entries_)
    if (entry.wish.client == client) its_own.insert(key.second);
  const bool has_its_share = its_own.size() >= std::max<std::size_t>((numbers.size() + 1) / 2, 1);
  std::vector<Port> avoid;
  for (const auto number : numbers) {
    const bool leads_here = std::any_of(reported_.begin(), reported_.end(),
                                        [&](const auto& port) { return port.public_port == number && port.local_port == number; });
    if (leads_here && !its_own.contains(number) && (has_its_share || (is_in_use_ && is_in_use_(number)))) avoid.push_back(number);
  }
  return avoid;
}

// One for each program, whatever the protocol: the gateway gives the two protocols of one local port the same number.
std::optional<Port> RelayedMappings::relay_port_for(const Wish& wish) {
  const auto is_same_program = [&](const Wish& other) { return other.client == wish.client && other.internal_port == wish.internal_port; };
  for (const auto& [key, entry] : entries_)
    if (is_same_program(entry.wish)) return entry.relay_port;
  for (const auto& request : requests_)
    if (is_same_program(request->wish)) return request->relay_port;
  const auto is_taken = [&](Port port) {
    return std::any_of(entries_.begin(), entries_.end(), [&](const auto& one) { return one.second.relay_port == port; }) ||
           std::any_of(requests_.begin(), requests_.end(), [&](const auto& one) { return one->relay_port == port; }) ||
           std::any_of(reported_.begin(), reported_.end(), [&](const auto& one) { return one.local_port == port; });
  };
  // Not the one that was free a moment ago: its visitors may not have noticed yet.
  for (std::uint32_t i = 0; i < relay_ports.size(); ++i) {
    const auto port = std::exchange(next_relay_port_, next_relay_port_ == relay_ports.last()
                                                          ? relay_ports.first()
                                                          : Port{static_cast<std::uint16_t>(next_relay_port_.value() + 1)});
    if (!is_taken(port)) return port;
  }
  return std::nullopt;
}

void RelayedMappings::map(const Wish& wish, WhenMapped done) {
  if (!is_neighbour_(wish.client))
    return done(fail(not_found("device_unknown", to_string(wish.client) + " is not in the network that is shared", "ask from there")));
  if (!online_) return done(not_now());
  for (const auto& request : requests_)  // asked again before it was answered, as UDP's programs do
    if (!request->cancelled && is_same(request->wish, wish)) return request->waiting.push_back(std::move(done));
  const bool is_known = std::any_of(entries_.begin(), entries_.end(), [&](const auto& one) {
    const auto& known = one.second.wish;
    return known.client == wish.client && known.protocol == wish.protocol && known.internal_port == wish.internal_port;
  });
  if (requests_.size() >= relay_requests_max ||
      (!is_known && (entries_.size() + requests_.size() >= relayed_max || count_of(wish.client) >= relayed_per_machine_max)))
    return done(fail(refusal("quota_exhausted",
                             fmt::format("{} has {} mappings of {}, and {} of {} are in use", to_string(wish.client), count_of(wish.client),
                                         relayed_per_machine_max, entries_.size() + requests_.size(), relayed_max),
                             "delete one that is not needed")));
  const auto relay_port = relay_port_for(wish);
  if (!relay_port) return done(fail(refusal("pool_exhausted", "no relay port is free", "delete a mapping that is not needed")));
  auto request = std::make_shared<Request>();
  request->wish = wish;
  request->wish.count = 1;
  request->relay_port = *relay_port;
  request->waiting.push_back(std::move(done));
  requests_.push_back(request);
  ask(request, granted(wish));
}

void RelayedMappings::ask(const std::shared_ptr<Request>& request, Duration lifetime) {
  const auto& wish = request->wish;
  RelayAsk ask;
  ask.protocol = wish.protocol;
  ask.relay_port = request->relay_port;
  ask.only_suggested = wish.only_suggested;
  if (!wish.suggested_port.is_zero())
    ask.suggested_port = wish.suggested_port;
  else if (!wish.to_public_number)
    ask.suggested_port = wish.internal_port;
  ask.avoid = not_for(wish.client);
  ask.lifetime = std::chrono::duration_cast<std::chrono::seconds>(lifetime);
  upstream_.ask(ask, [this, request, lifetime, here = std::weak_ptr<bool>(here_)](Result<RelayLease> lease) {
    if (!here.expired()) given(request, lifetime, std::move(lease));
  });
}

void RelayedMappings::given(const std::shared_ptr<Request>& request, Duration lifetime, Result<RelayLease> lease) {
  std::erase(requests_, request);
  const auto answer = [waiting = std::move(request->waiting)](const Result<std::vector<Mapped>>& result) {
    for (const auto& done : waiting) done(result);
  };
  if (!lease) return answer(fail(lease.error()));
  if (request->cancelled) {  // deleted, or the network is gone, before it was there
    upstream_.give_back(*lease);
    return answer(not_now());
  }
  const Key key{lease->protocol, lease->public_port};
  Entry entry;
  entry.wish = request->wish;
  entry.relay_port = request->relay_port;
  entry.local_port = entry.wish.to_public_number ? lease->public_port : entry.wish.internal_port;
  entry.lease = *lease;
  entry.deadline = clock_.now() + lifetime;
  entry.renew_at = clock_.now() + relay_renew_after;
  const auto before = entries_.find(key);
  if (before != entries_.end() && before->second.relay_port == entry.relay_port) entry.seen = before->second.seen;
  if (const auto put = redirect_.put(redirection(entry), lifetime); !put) {
    entries_.erase(key);
    upstream_.give_back(*lease);
    return answer(fail(put.error()));
  }
  const bool is_new = before == entries_.end() || redirection(before->second) != redirection(entry);
  entries_.insert_or_assign(key, entry);
  if (is_new && tell_) tell_(true, *lease, redirection(entry).machine);
  answer(std::vector{mapped(entry)});
}

void RelayedMappings::end(const Ending& ending, WhenEnded done) {
  std::vector<Key> gone;
  bool mismatch = false;
  for (const auto& [key, entry] : entries_) {
    const auto& wish = entry.wish;
    if (wish.client != ending.client || (ending.protocol && *ending.protocol != wish.protocol) ||
        (ending.internal_port && *ending.internal_port != wish.internal_port) ||
        (ending.external_ports && !ending.external_ports->contains(entry.lease.public_port)) || (ending.door && *ending.door != wish.door))
      continue;
    if (ending.nonce && *ending.nonce != wish.nonce)
      mismatch = true;
    else
      gone.push_back(key);
  }
  // What is on its way: whoever asks for it and for its end in one breath means the end.
  for (const auto& request : requests_) {
    const auto& wish = request->wish;
    if (wish.client == ending.client && !ending.external_ports && (!ending.protocol || *ending.protocol == wish.protocol) &&
        (!ending.internal_port || *ending.internal_port == wish.internal_port) && (!ending.door || *ending.door == wish.door) &&
        (!ending.nonce || *ending.nonce == wish.nonce))
      request->cancelled = true;
  }
  for (const auto& key : gone) drop(key, true);
  if (gone.empty() && mismatch)
    return done(fail(refusal("nonce_mismatch", fmt::format("the mapping of {} was made with another nonce", to_string(ending.client)),
                             "delete it with the nonce that made it")));
  done(gone.size());
}

// ---- what happens

RelayRedirection RelayedMappings::redirection(const Entry& entry) const {
  return {entry.wish.protocol, entry.relay_port, {entry.wish.client, entry.local_port}};
}

void RelayedMappings::drop(const Key& key, bool give_back) {
  const auto node = entries_.extract(key);
  if (node.empty()) return;
  const auto& entry = node.mapped();
  const bool shared = std::any_of(entries_.begin(), entries_.end(), [&](const auto& one) {
    return one.second.wish.protocol == entry.wish.protocol && one.second.relay_port == entry.relay_port;
  });
  // An element that is not there any more is no error, and any other is ended by its timeout.
  if (!shared) (void)redirect_.remove(redirection(entry));
  if (give_back) upstream_.give_back(entry.lease);
  if (tell_) tell_(false, entry.lease, redirection(entry).machine);
}

void RelayedMappings::new_epoch() {
  epoch_ = clock_.now();
  if (changed_) changed_();
}

void RelayedMappings::reported(const std::vector<PublishedPort>& ports, const std::optional<Address>& external_v4) {
  const bool was_away = !online_;
  online_ = true;
  reported_ = ports;
  const auto address_before = std::exchange(external_v4_, external_v4);
  std::vector<Key> gone;
  for (auto& [key, entry] : entries_) {
    const bool is_there = std::any_of(ports.begin(), ports.end(), [&, public_port = key.second](const auto& port) {
      return port.protocol == entry.wish.protocol && port.public_port == public_port && port.local_port == entry.relay_port;
    });
    if (is_there) {
      entry.seen = true;
      entry.lost = false;
    } else if (was_away && entry.deadline > clock_.now()) {
      entry.lost = true;
      entry.seen = false;
      entry.renew_at = clock_.now();
    } else if (entry.seen) {
      gone.push_back(key);
    }
  }
  bool lost_early = false;
  for (const auto& key : gone) {
    lost_early = lost_early || entries_.at(key).deadline > clock_.now() + std::chrono::seconds(1);
    drop(key, false);
  }
  tick();
  if (lost_early || (address_before && address_before != external_v4_)) new_epoch();
}

// The same public port again, or it ends: whoever mapped it told others this number.
void RelayedMappings::renew(Entry& entry, Duration lifetime) {
  if (requests_.size() >= relay_requests_max) return;
  entry.renew_at = clock_.now() + relay_retry_pause;
  RelayAsk ask;
  ask.protocol = entry.wish.protocol;
  ask.relay_port = entry.relay_port;
  ask.suggested_port = entry.lease.public_port;
  ask.only_suggested = true;
  lifetime = lease::Policy::granted_lifetime(lifetime);
  ask.lifetime = std::chrono::duration_cast<std::chrono::seconds>(lifetime);
  const Key key{entry.wish.protocol, entry.lease.public_port};
  upstream_.ask(ask, [this, key, lifetime, here = std::weak_ptr<bool>(here_)](Result<RelayLease> lease) {
    if (here.expired()) return;
    const auto found = entries_.find(key);
    if (found == entries_.end()) {
      if (lease) upstream_.give_back(*lease);
      return;
    }
    auto& known = found->second;
    const auto kept = lease ? redirect_.put(redirection(known), lifetime) : Status(fail(lease.error()));
    if (kept) {
      known.lease = *lease;
      known.lost = false;
      known.deadline = clock_.now() + lifetime;
      known.renew_at = clock_.now() + relay_renew_after;
    } else if (kept.error().kind == Error::Kind::refusal) {
      drop(key, false);
      new_epoch();
    }
  });
}

void RelayedMappings::put_again() {
  const auto now = clock_.now();
  for (const auto& [key, entry] : entries_)
    if (entry.deadline > now) (void)redirect_.put(redirection(entry), entry.deadline - now);  // else it is asked for again by the machine
}

void RelayedMappings::tick() {
  const auto now = clock_.now();
  std::vector<Key> ended;
  for (auto& [key, entry] : entries_) {
    if (entry.deadline <= now)
      ended.push_back(key);
    else if (online_ && (entry.lost || entry.wish.while_connected) && entry.renew_at <= now)
      renew(entry, entry.wish.while_connected ? relay_lifetime_renewed : entry.deadline - now);
  }
  for (const auto& key : ended) drop(key, online_);
}

void RelayedMappings::end_all() {
  const bool had_any = !entries_.empty();
  for (const auto& request : requests_) request->cancelled = true;
  while (!entries_.empty()) drop(entries_.begin()->first, online_);
  if (had_any) new_epoch();
}

}  // namespace drpf::client
