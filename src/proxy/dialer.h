// The one way out: a name or an address becomes a connection, if the policy allows every address that it stands for. What is connected to
// is what was checked.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "proxy/policy.h"
#include "proxy/poller.h"
#include "proxy/resolver.h"
#include "proxy/stream.h"
#include "proxy/task.h"
#include "system/route_lookup.h"

namespace drpf::proxy {

enum class DialTrouble : std::uint8_t { none, not_allowed, unknown_name, refused, unreachable, late, no_room };

struct Dialled {
  DialTrouble trouble = DialTrouble::none;
  std::string why;
  std::string cure;
  Endpoint peer;
  bool ok() const { return trouble == DialTrouble::none; }
};

struct Destinations {
  Dialled verdict;
  std::vector<Address> addresses;  // all of them allowed
};

class Dialer {
 public:
  static constexpr std::chrono::milliseconds next_attempt_after{250};  // RFC 8305 section 5
  static constexpr std::size_t attempts_max = 4;                       // at the same time

  // By reference: both belong to the server, as this does.
  Dialer(Poller& poller, Resolver& resolver, const Policy& policy, system::RouteLookup routes)
      : poller_(poller), resolver_(resolver), policy_(policy), routes_(std::move(routes)) {}

  // To be called for whatever is reached, by any door.
  Task<Destinations> destinations(Way way, Host host, Port port, Deadline deadline);
  Task<Dialled> dial(Way way, Host host, Port port, Deadline deadline, Stream& stream);

  // Of an address that came as one.
  Dialled judge(Way way, const Endpoint& to);

 private:
  Task<Dialled> connect_to(std::vector<Endpoint> peers, Deadline deadline, Stream& stream);
  bool is_own(const Address& address);

  Poller& poller_;
  Resolver& resolver_;
  const Policy& policy_;
  system::RouteLookup routes_;
};

}  // namespace drpf::proxy
