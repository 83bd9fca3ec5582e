#include "client/follow/follower.h"

#include <net/if.h>

#include <fstream>
#include <optional>

#include <fmt/format.h>

#include "client/follow/lease_requests.h"

namespace drpf::client {
namespace {

PortRange passing_ports() {
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  if (file >> first >> last && first <= last) return {Port{first}, Port{last}};
  return FollowContext{}.passing_ports;
}

}  // namespace

Follower::Follower(net::EventLoop& loop, const Clock& clock, Screen& screen, std::vector<FollowRule> rules, GatewayDoor door,
                   std::vector<Address> own)
    : loop_(loop), clock_(clock), screen_(screen), rules_(std::move(rules)), door_(std::move(door)) {
  context_.own = std::move(own);
  context_.passing_ports = passing_ports();
}

void Follower::watch(ProgramWatch& watch) {
  ProgramWatch::Listener listener;
  listener.seen = [this](const std::vector<FollowedSocket>& sockets) {
    context_.interface = ::if_nametoindex(door_.interface.c_str());
    ports_.listening(choose(rules_, sockets, context_));
    go_on();
  };
  listener.note = [this](const std::string& text) { screen_.note(text); };
  listener.ended = [this](const Error& error) {
    screen_.error(error);
    ports_.listening({});  // rather closed than open for nobody
    go_on();
  };
  watch.listen(loop_, std::move(listener));
}

void Follower::reported(const std::vector<PublishedPort>& ports) {
  ports_.reported(ports);
  go_on();
}

void Follower::offline() { ports_.offline(); }

void Follower::go_on() {
  if (ending_) return;
  if (const auto job = ports_.next(clock_.now())) carry_out(*job);
  if (const auto count = pace_.take_left_out(clock_.now()); count > 0)
    screen_.note(fmt::format("programs open and close sockets so fast that {} news of them were not shown", count));
  for (const auto& news : ports_.take_news())
    if (pace_.allow(clock_.now())) show(news);
}

void Follower::carry_out(const FollowJob& job) {
  if (job.kind == FollowJob::Kind::release) {
    request_ = give_port_back(loop_, door_, *job.lease, [this](const Status& given) {
      if (given) return done(std::nullopt);
      done(fail(given.error()));
    });
  } else {
    request_ = ask_for_port(loop_, door_, job, [this](const Result<FollowLease>& lease) {
      if (lease) return done(*lease);
      done(fail(lease.error()));
    });
  }
}

void Follower::done(const Result<std::optional<FollowLease>>& outcome) {
  request_.cancel();
  ports_.done(outcome, clock_.now());
  go_on();
}

void Follower::end() {
  ending_ = true;
  // A lease may be given just now.
  loop_.run_until([this] { return !request_.active(); }, 2 * gateway_request_time_max);
  for (const auto& job : ports_.at_the_end()) {
    std::optional<Status> given;
    request_ = give_port_back(loop_, door_, *job.lease, [&](const Status& status) { given = status; });
    loop_.run_until([&] { return given.has_value(); }, 2 * gateway_request_time_max);
    request_.cancel();
    if (given && !*given) {
      screen_.note(
          fmt::format("port {} could not be given back, it ends by itself: {}", to_string(job.lease->public_port), given->error().message));
      return;  // nor would the others
    }
  }
}

void Follower::show(const FollowNews& news) {
  const auto& wish = news.wish;
  const auto where = fmt::format("{} ({})", to_string(wish.port), wish.tcp && wish.udp ? "tcp+udp" : wish.tcp ? "tcp" : "udp");
  const auto shown = [&] { return to_string(Endpoint{news.lease->public_address, news.lease->public_port}); };
  switch (news.kind) {
    case FollowNews::Kind::opened:
      return screen_.followed("opened", wish.program, wish.port, news.lease->public_port,
                              fmt::format("{} listens on {}: public {} leads there", wish.program, where, shown()), clock_.wall_now());
    case FollowNews::Kind::closed:
      return screen_.followed("closed", wish.program, wish.port, news.lease->public_port,
                              fmt::format("{} does not listen on {} any more: public {} is given back", wish.program, where, shown()),
                              clock_.wall_now());
    case FollowNews::Kind::reached_already:
      return screen_.note(fmt::format("{} listens on {}: a public port leads there already", wish.program, where));
    case FollowNews::Kind::left_closed:
      return screen_.note(
          fmt::format("{0} listens on {1}, where programs are administered: it stays closed, unless you name it: --follow {0}:{2}",
                      wish.program, where, to_string(wish.port)));
    case FollowNews::Kind::refused:
      screen_.note(fmt::format("{} listens on {}, and gets no public port", wish.program, where));
      return screen_.error(*news.error);
  }
}

}  // namespace drpf::client
