// What is to be asked of the gateway, and when, so that each port on which a followed program listens is reached, and no longer than it
// listens. Pure: what is seen and heard goes in, one job at a time comes out.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/follow/follow_rule.h"
#include "client/ports/published_ports.h"
#include "core/result.h"
#include "core/time.h"

namespace drpf::client {

inline constexpr std::chrono::seconds follow_lifetime{600};  // of a lease, unless renewed: what a killed drpf connect leaves
inline constexpr std::chrono::seconds follow_renew_after{240};
inline constexpr std::chrono::seconds follow_retry_pause{30};  // after a refusal or a failure

// A lease that the gateway gave for a followed program.
struct FollowLease {
  std::string host;  // the gateway's name for its public address
  Address public_address;
  Port public_port;
  Port local_port;
  bool tcp = false;
  bool udp = false;
  bool operator==(const FollowLease&) const = default;
};

struct FollowJob {
  enum class Kind : std::uint8_t { ask, release };
  Kind kind = Kind::ask;
  FollowWish wish;
  std::optional<FollowLease> lease;  // release: this one; ask: this one again if that is possible
  std::set<Port> in_use;             // public numbers by which other followed programs are reached: not to be led elsewhere
};

// For the screen.
struct FollowNews {
  enum class Kind : std::uint8_t { opened, reached_already, closed, refused, left_closed };
  Kind kind = Kind::opened;
  FollowWish wish;
  std::optional<FollowLease> lease;  // opened, closed
  std::optional<Error> error;        // refused
};

class PortFollower {
 public:
  // What listens now.
  void listening(const FollowChoice& choice);
  // What the gateway says; it answers.
  void reported(const std::vector<PublishedPort>& ports);
  // It does not answer: nothing is asked until it reports again.
  void offline();

  // Nothing while one is out, and while there is nothing to do now.
  std::optional<FollowJob> next(Time now);
  // For the job that is out: the lease that is there now (none after a release), or why not.
  void done(const Result<std::optional<FollowLease>>& outcome, Time now);

  std::vector<FollowNews> take_news();
  // The releases that are due when drpf connect ends. Nothing is asked afterwards.
  std::vector<FollowJob> at_the_end();
  // The followed program that listens there; empty without one.
  std::string program_at(Port local_port) const;

 private:
  struct Entry {
    FollowWish wish;
    bool wanted = false;
    std::optional<FollowLease> lease;
    bool seen = false;  // the gateway has reported the lease
    bool told_reached = false;
    std::string told_error;
    Time next_try{};
    Time renew_at{};
  };

  bool reaches(const FollowWish& wish) const;
  bool is_reported(const FollowLease& lease) const;
  FollowJob job(FollowJob::Kind kind, const Entry& entry) const;
  std::optional<FollowJob> job_for(Entry& entry, Time now);
  void tell(FollowNews::Kind kind, const Entry& entry, std::optional<Error> error = std::nullopt);

  std::map<Port, Entry> entries_;  // by local port
  std::set<FollowWish> told_closed_;
  std::vector<PublishedPort> reported_;
  bool online_ = false;
  std::optional<FollowJob> out_;
  std::vector<FollowNews> news_;
};

}  // namespace drpf::client
