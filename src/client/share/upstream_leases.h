// Leases for the machines of a local network, asked of the gateway by its API, one request after the other. Lives on the loop.
#pragma once

#include <deque>
#include <variant>

#include "client/connect/gateway_door.h"
#include "client/share/relayed_mappings.h"
#include "net/event_loop.h"

namespace drpf::client {

class UpstreamLeases final : public RelayUpstream {
 public:
  UpstreamLeases(net::EventLoop& loop, GatewayDoor door) : loop_(loop), door_(std::move(door)) {}

  void ask(const RelayAsk& ask, WhenGiven given) override;
  void give_back(const RelayLease& lease) override;

 private:
  struct Question {
    RelayAsk ask;
    WhenGiven given;
  };
  using Job = std::variant<Question, RelayLease>;

  void add(Job job);
  void go_on();

  net::EventLoop& loop_;
  GatewayDoor door_;
  std::deque<Job> jobs_;
  net::Watch request_;  // of the job that is out
};

}  // namespace drpf::client
