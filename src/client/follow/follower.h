// Lets ports follow processes: joins what the watch of programs sees, what the gateway says, and the requests to it. Lives on the loop; the
// requests, which block, are made on a thread of its own.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "client/connect/gateway_watch.h"
#include "client/follow/follow_rule.h"
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
  ~Follower();
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
  void run_loop();
  void stop_thread();
  void take_outcome();
  Result<std::optional<FollowLease>> carry_out(const FollowJob& job) const;

  net::EventLoop& loop_;
  const Clock& clock_;
  Screen& screen_;
  std::vector<FollowRule> rules_;
  GatewayDoor door_;
  FollowContext context_;
  PortFollower ports_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<FollowJob> job_;
  std::optional<Result<std::optional<FollowLease>>> outcome_;  // of the last job, until it is taken
  bool stopping_ = false;
  std::shared_ptr<bool> here_ = std::make_shared<bool>(true);  // what is posted may come later than the end
  std::thread thread_;
};

}  // namespace drpf::client
