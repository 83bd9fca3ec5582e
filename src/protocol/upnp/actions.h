// What the actions of the gateway's services do: port mappings, pinholes, and what a program asks about the connection. Knows no HTTP.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "core/address.h"
#include "protocol/port_mapping/mappings.h"
#include "protocol/upnp/action_outcome.h"
#include "protocol/upnp/soap.h"

namespace drpf::protocol::upnp {

// One client's connection to the Internet, as the client sees it.
struct Link {
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  Duration uptime{};
};
using LinkOf = std::function<Link(const Address& client)>;

class Actions {
 public:
  using Outcome = ActionOutcome;
  using Done = ActionDone;

  static constexpr std::uint32_t bit_rate = 1'000'000'000;  // what the link is said to carry; programs only show it
  static constexpr std::size_t listing_entries_max = 256;   // of one GetListOfPortMappings

  Actions(port_mapping::Mappings& mappings, LinkOf link) : mappings_(mappings), link_(std::move(link)) {}

  // The call's action is one of its service's. `done` is called once, in this call or later, and does not need this object then.
  void perform(const Call& call, const Address& source, const port_mapping::Client& client, Done done) const;

 private:
  port_mapping::Mappings& mappings_;
  LinkOf link_;
};

}  // namespace drpf::protocol::upnp
