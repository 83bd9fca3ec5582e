// Lets ports follow processes: joins what the watch of programs sees, what the gateway says, and the requests to it. Lives on the
// loop.
#pragma once

#include <string>
#include <vector>

#include "client/connect/gateway_door.h"
#include "client/follow/follow_rule.h"
#include "client/follow/news_pace.h"
#include "client/follow/port_follower.h"
#include "client/follow/program_watch.h"
#include "client/ports/screen.h"
#include "core/time.h"
#include "net/event_loop.h"

namespace drpf::client {

class Follower {
 public:
  Follower(net::EventLoop& loop, const Clock& clock, Screen& screen, std::vector<FollowRule> rules, GatewayDoor door,
           std::vector<Address> own);
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  void watch(ProgramWatch& watch);
  void reported(const std::vector<PublishedPort>& ports);
  void offline();
  void tick() { go_on(); }
  // Gives back what it has; waits for the gateway, at most gateway_request_time_max for each, and not again after it did not answer.
  void end();

  std::string program_at(Port local_port) const { return ports_.program_at(local_port); }

 private:
  void go_on();
  void show(const FollowNews& news);
  void carry_out(const FollowJob& job);
  void done(const Result<std::optional<FollowLease>>& outcome);

  net::EventLoop& loop_;
  const Clock& clock_;
  Screen& screen_;
  std::vector<FollowRule> rules_;
  GatewayDoor door_;
  FollowContext context_;
  PortFollower ports_;
  net::Watch request_;  // of the job that is out
  NewsPace pace_;
  bool ending_ = false;  // nothing is asked any more
};

}  // namespace drpf::client
