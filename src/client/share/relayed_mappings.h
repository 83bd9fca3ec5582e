// What the machines of a local network have mapped through this device: each mapping is a lease of the gateway upstream that leads to a
// port of this device, the relay port, and a second redirect from there to the machine. Mappings over these two; opens no socket and starts
// nothing.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/ports/published_ports.h"
#include "client/share/relay_ports.h"
#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "protocol/port_mapping/mappings.h"

namespace drpf::client {

inline constexpr std::size_t relayed_max = 256;             // mappings of all machines together
inline constexpr std::size_t relayed_per_machine_max = 32;  // mappings of one of them
inline constexpr std::size_t relay_requests_max = 64;       // asked of the gateway and not answered yet
// A mapping without lifetime (UPnP's lease time 0) is kept by renewing a short one, so that it does not outlive us for long.
inline constexpr std::chrono::seconds relay_lifetime_renewed{600};
inline constexpr std::chrono::seconds relay_renew_after{240};
inline constexpr std::chrono::seconds relay_retry_pause{20};

// A lease upstream.
struct RelayLease {
  std::string host;
  Address public_address;
  Protocol protocol = Protocol::tcp;
  Port public_port;
  bool operator==(const RelayLease&) const = default;
};

struct RelayAsk {
  Protocol protocol = Protocol::tcp;
  Port relay_port;
  std::optional<Port> suggested_port;
  bool only_suggested = false;
  std::vector<Port> avoid{};  // of the device's own: not for this
  std::chrono::seconds lifetime{};
};

// Requests to the gateway. Answers come later, on the loop.
class RelayUpstream {
 public:
  using WhenGiven = std::function<void(Result<RelayLease>)>;
  virtual ~RelayUpstream() = default;
  virtual void ask(const RelayAsk& ask, WhenGiven given) = 0;
  virtual void give_back(const RelayLease& lease) = 0;
};

// What arrives at the relay port goes to the machine.
struct RelayRedirection {
  Protocol protocol = Protocol::tcp;
  Port relay_port;
  Endpoint machine;
  bool operator==(const RelayRedirection&) const = default;
};

class RelayRedirect {
 public:
  virtual ~RelayRedirect() = default;
  // Ends by itself after `lifetime`. One that is there already lives so long from now on; one that leads elsewhere is replaced.
  virtual Status put(const RelayRedirection& redirection, Duration lifetime) = 0;
  // Afterwards not one packet passes, also of connections that stand.
  virtual Status remove(const RelayRedirection& redirection) = 0;
};

class RelayedMappings final : public protocol::port_mapping::Mappings {
 public:
  using Client = protocol::port_mapping::Client;
  using Ending = protocol::port_mapping::Ending;
  using Mapped = protocol::port_mapping::Mapped;
  using Wish = protocol::port_mapping::Wish;
  // Is this a machine of the local network? Told by its address alone.
  using IsNeighbour = std::function<bool(const Address&)>;

  // Does a server of this machine use this port? Then no other machine is given the public port that leads to it.
  using IsInUse = std::function<bool(Port)>;

  RelayedMappings(RelayUpstream& upstream, RelayRedirect& redirect, const Clock& clock, IsNeighbour is_neighbour, IsInUse is_in_use = {});

  // What the gateway says, and that it does not answer.
  void reported(const std::vector<PublishedPort>& ports, const std::optional<Address>& external_v4);
  void offline() { online_ = false; }
  void tick();
  // Whatever led to machines does so again.
  void put_again();
  // All of them; the machines hear that they have to ask again.
  void end_all();

  // Tells when mappings were lost or the public address is another one: the machines should be told.
  void on_change(std::function<void()> changed) { changed_ = std::move(changed); }
  // Tells, for people, that a public port leads to a machine, or does not any more.
  using Tell = std::function<void(bool opened, const RelayLease& lease, const Endpoint& machine)>;
  void on_news(Tell tell) { tell_ = std::move(tell); }

  std::optional<Client> client(const Address& source) const override;
  std::uint32_t epoch_s() const override;
  std::vector<Mapped> mappings_of(const Address& client) const override;
  void map(const Wish& wish, WhenMapped done) override;
  void end(const Ending& ending, WhenEnded done) override;

 private:
  struct Entry {
    Wish wish;
    Port relay_port;
    Port local_port;  // on the machine
    RelayLease lease;
    Time deadline{};
    Time renew_at{};    // without lifetime only
    bool seen = false;  // the gateway has reported it
    bool lost = false;  // and later no more, after it was away: asked for again
  };
  struct Request {
    Wish wish;
    Port relay_port;
    bool cancelled = false;
    std::vector<WhenMapped> waiting;
  };
  using Key = std::pair<Protocol, Port>;  // by the public port

  std::optional<Port> relay_port_for(const Wish& wish);
  void ask(const std::shared_ptr<Request>& request, Duration lifetime);
  void given(const std::shared_ptr<Request>& request, Duration lifetime, Result<RelayLease> lease);
  void renew(Entry& entry, Duration lifetime);
  void drop(const Key& key, bool give_back);
  void new_epoch();
  Mapped mapped(const Entry& entry) const;
  RelayRedirection redirection(const Entry& entry) const;
  std::size_t count_of(const Address& client) const;
  std::vector<Port> not_for(const Address& client) const;

  RelayUpstream& upstream_;
  RelayRedirect& redirect_;
  const Clock& clock_;
  IsNeighbour is_neighbour_;
  IsInUse is_in_use_;
  std::function<void()> changed_;
  Tell tell_;
  std::map<Key, Entry> entries_;
  std::vector<std::shared_ptr<Request>> requests_;  // out
  std::vector<PublishedPort> reported_;
  std::optional<Address> external_v4_;
  bool online_ = false;
  Time epoch_;
  Port next_relay_port_ = relay_ports.first();
  std::shared_ptr<bool> here_ = std::make_shared<bool>(true);  // answers may come later than the end
};

}  // namespace drpf::client
