// Leases for the machines of a local network, asked of the gateway by its API. The requests block, so they are made on a thread of its own,
// one after the other; the answers come on the loop.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <variant>

#include "client/connect/gateway_watch.h"
#include "client/share/relayed_mappings.h"
#include "net/event_loop.h"

namespace drpf::client {

class UpstreamLeases final : public RelayUpstream {
 public:
  UpstreamLeases(net::EventLoop& loop, GatewayDoor door);
  ~UpstreamLeases() override;
  UpstreamLeases(const UpstreamLeases&) = delete;
  UpstreamLeases& operator=(const UpstreamLeases&) = delete;

  void ask(const RelayAsk& ask, WhenGiven given) override;
  void give_back(const RelayLease& lease) override;

 private:
  struct Question {
    RelayAsk ask;
    WhenGiven given;
  };
  using Job = std::variant<Question, RelayLease>;

  void run_loop();
  void add(Job job);

  net::EventLoop& loop_;
  GatewayDoor door_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace drpf::client
