// Looks host names up without holding anybody up. Knows nothing of peers.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "net/event_loop.h"
#include "protocol/wireguard/wg_quick_file.h"

namespace drpf::client {

// A way to name servers past the tunnel: while the tunnel is down, the system's resolver may have no other way than through it.
struct OutsideResolver {
  std::vector<Address> servers;
  std::uint32_t mark = 0;  // SO_MARK that leads packets outside; 0 = none is needed
  Port port{53};
  std::function<void(const Address& server, const std::string& name)> asked{};  // it is asked now, past the tunnel
};

class EndpointLookup {
 public:
  static constexpr std::chrono::seconds outside_time_max{2};  // per server and family

  EndpointLookup(net::EventLoop& loop, OutsideResolver outside);
  ~EndpointLookup();  // answers that are still out are not delivered

  // Calls `done` later: the addresses in the order to try them, never none; or why there are none. An address literal is its own answer.
  void find(const protocol::wireguard::PeerHost& host, std::function<void(Result<std::vector<Endpoint>>)> done);

 private:
  class OutsideQuestions;
  struct Race;
  void finish(Race& race, Result<std::vector<Address>> answer);

  net::EventLoop& loop_;
  OutsideResolver outside_;
  std::vector<std::unique_ptr<Race>> races_;  // one for each name that is being looked up
};

}  // namespace drpf::client
