// Chapters 6 and 7: what happens when a device, or the gateway, goes away and comes back.
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>
#include <tuple>

#include <fmt/format.h>

#include "lab/demo/limits.h"
#include "lab/demo/open_stream.h"
#include "lab/demo/scan.h"
#include "lab/demo/show.h"
#include "lab/stage/sockets.h"
#include "lab/stage/wording.h"
#include "system/socket_address.h"

namespace drpf::lab::demo {
namespace {

bool all_active(const std::vector<LeaseRow>& rows) {
  return !rows.empty() && std::all_of(rows.begin(), rows.end(), [](const LeaseRow& row) { return row.active(); });
}

bool none_active(const std::vector<LeaseRow>& rows) {
  return std::none_of(rows.begin(), rows.end(), [](const LeaseRow& row) { return row.active(); });
}

using LeaseIdentity = std::tuple<std::string, std::string, std::string, std::uint16_t, std::uint16_t>;

std::set<LeaseIdentity> identities(const std::vector<LeaseRow>& rows) {
  std::set<LeaseIdentity> all;
  for (const LeaseRow& row : rows) all.emplace(row.device, row.protocol, row.public_address, row.public_port, row.local_port);
  return all;
}

// Asks a UDP server all the time; returns when the last answer came, once none came for limits::silence, or `limit` has passed. Calls
// `meanwhile` between two questions.
class UdpProbe {
 public:
  explicit UdpProbe(const Endpoint& to) : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), to_(system::to_socket_address(to)) {}

  template <class Meanwhile>
  Duration last_answer(const Stopwatch& watch, Duration limit, const Meanwhile& meanwhile) {
    constexpr int interval_ms = 5;
    Duration last = Duration::zero();
    while (watch.elapsed() < limit && watch.elapsed() - last < limits::silence) {
      (void)::sendto(socket_.get(), "?", 1, 0, to_.get(), to_.size);
      pollfd answered{socket_.get(), POLLIN, 0};
      char buffer[256];
      if (::poll(&answered, 1, interval_ms) == 1 && ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) last = watch.elapsed();
      meanwhile();
    }
    return last;
  }

 private:
  system::Fd socket_;
  system::SocketAddress to_;
};

std::string megabytes(std::uint64_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); }

}  // namespace

Chapter Show::disconnected_and_back(terminal::Progress& progress) {
  Chapter chapter{"The device disconnected: its ports stopped at once. It came back: the same ports", {}};
  if (home_1_.servers.empty() || !home_1_.tunnel.running()) {
    chapter.facts.push_back({"disconnect", false, "not tried: home-1 is not connected"});
    return chapter;
  }
  progress.say("home 1 disconnects");
  const Stopwatch leaving;
  home_1_.tunnel.signal(SIGTERM);
  UdpProbe probe({*parse_address(gateway_v4), Port(home_1_.ports[0])});
  std::optional<Duration> left_after;
  const Duration last_answer = probe.last_answer(leaving, limits::lease_end, [&] {
    if (!left_after && !home_1_.tunnel.running()) left_after = leaving.elapsed();
  });
  const auto [rows, ended] = await_leases(home_1_, limits::lease_end, none_active);
  int reached = 0;
  for (const std::uint16_t port : home_1_.ports) {
    const system::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    constexpr Duration each = limits::silence / 5;
    if (try_connect(socket, {*parse_address(gateway_v4), Port(port)}, each) != Reach::silent) ++reached;
  }
  // The program ends when its good-bye has been answered; how soon it comes to say it is the machine's matter, and is shown.
  const bool silent = left_after ? last_answer < *left_after + limits::silence : last_answer + limits::silence < limits::lease_end;
  const bool kept = ended && ports_of(rows) == std::set<std::uint16_t>(home_1_.ports.begin(), home_1_.ports.end());
  chapter.facts.push_back(
      {"ports stop", kept && reached == 0 && silent,
       fmt::format("{} said good-bye: last answer after {}; {} of {} ports answer; leases: {}", home_1_.device, say_time(last_answer),
                   reached, home_1_.ports.size(), kept ? "kept for it, redirected nowhere" : "not as they should be")});

  progress.say("home 1 comes back");
  const std::optional<int> left = home_1_.tunnel.wait(limits::lease_end);
  const Stopwatch returning;
  Result<system::Process> again = start_drpf_connect(topology_->home_1, *executable_, "home-1", home_1_.file, home_1_log);
  if (!again) {
    chapter.facts.push_back({"same ports", false, again.error().message});
    return chapter;
  }
  home_1_.tunnel = std::move(*again);
  const auto [rows_again, active] = await_leases(home_1_, limits::device_connect, all_active);
  const Duration took = returning.elapsed();
  const Result<std::string> answer = fetch(fmt::format("http://{}:{}/", gateway_v4, home_1_.ports[0]));
  const bool same = active && identities(rows_again) == identities(rows);
  chapter.facts.push_back(
      {"same ports", same && answer && left == 0,
       fmt::format("back after {}: {}{}{}", say_time(took), say_ports(ports_of(rows_again)), same ? ", the same" : ", NOT the same",
                   answer ? ", and its server answers" : ", but its server does not answer")});
  return chapter;
}

Chapter Show::gateway_killed(terminal::Progress& progress) {
  Chapter chapter{"The gateway was killed with -9 and started again", {}};
  const Result<std::vector<LeaseRow>> before = admin_.leases();
  if (home_1_.servers.empty() || !before) {
    chapter.facts.push_back({"kill", false, before ? "not tried: the homes have no servers" : before.error().message});
    return chapter;
  }
  const std::string content = stream_content();
  Result<OpenStream> stream = OpenStream::start({*parse_address(gateway_v4), Port(home_1_.ports[0])}, "/stream", content);
  if (!stream) {
    chapter.facts.push_back({"open connection", false, stream.error().message});
    return chapter;
  }
  const auto await_stream = [&](Duration limit, auto done) {
    for (const Stopwatch watch; watch.elapsed() < limit; std::this_thread::sleep_for(limits::poll_interval)) {
      if (done() || stream->progress().wrong) return;
    }
  };
  await_stream(limits::request, [&] { return stream->progress().bytes > content.size() / 50; });

  progress.say("the gateway is killed; all ports are scanned meanwhile");
  const Stopwatch gap;
  gateway_.kill();
  const std::uint64_t bytes_at_kill = stream->progress().bytes;
  Result<ScanWatch> watch = ScanWatch::start(*parse_address(gateway_v4), *parse_address(visitor_v4));
  const bool scanned = watch && watch->await_round(limits::scan_round);
  const Scan dead = scanned ? watch->findings() : Scan{};
  progress.say("the gateway starts again");
  Result<system::Process> gateway = start_gateway(topology_->gateway, *executable_, "");
  if (!gateway) {
    chapter.facts.push_back({"restart", false, gateway.error().message});
    return chapter;
  }
  gateway_ = std::move(*gateway);
  const Duration away = gap.elapsed();
  const Result<std::vector<LeaseRow>> after = admin_.leases();
  const bool same = after && identities(*after) == identities(*before);
  chapter.facts.push_back(
      {"leases there", same,
       fmt::format("READY again after {}: {} of {} leases are there", say_time(away), after ? after->size() : 0, before->size())});
  // The scan went on while the gateway started. Then what is leased to a server may answer again, and nothing else.
  const bool scanned_on = scanned && watch->await_round(limits::scan_round);
  const Scan starting = scanned_on ? watch->findings() : Scan{};
  const std::set<std::uint16_t> leased = tcp_ports_with_server();
  const bool only_leased = std::includes(leased.begin(), leased.end(), starting.open.begin(), starting.open.end());
  chapter.facts.push_back({"closed meanwhile", scanned_on && dead.open.empty() && only_leased,
                           scanned_on ? fmt::format("{} TCP ports tried while it was dead: open {}; {} more at its start: open {}{}",
                                                    dead.tried, say_ports(dead.open), starting.tried - dead.tried, say_ports(starting.open),
                                                    only_leased && !starting.open.empty() ? " (leased)" : "")
                                      : "the scan did not come to its end"});

  progress.say("the visitor's open connection goes on");
  const std::uint64_t bytes_at_restart = stream->progress().bytes;
  await_stream(limits::stream_resume, [&] { return stream->progress().bytes > bytes_at_restart; });
  const bool resumed = stream->progress().bytes > bytes_at_restart;
  const Duration pause = std::chrono::nanoseconds(stream->progress().longest_pause_ns);
  stream->hurry();
  if (resumed) await_stream(limits::stream_rest, [&] { return stream->progress().complete.load(); });
  const std::uint64_t bytes = stream->progress().bytes;
  chapter.facts.push_back(
      {"open connection", resumed && stream->progress().complete,
       fmt::format("an open download paused {} at {}, went on, and {} of {}, byte for byte", say_time(pause), megabytes(bytes_at_kill),
                   stream->progress().complete ? "brought all" : fmt::format("brought only {}", megabytes(bytes)),
                   megabytes(content.size()))});
  const Result<std::string> other = fetch(fmt::format("http://{}:{}/", gateway_v4, home_2_.ports[0]));
  chapter.facts.push_back(
      {"other home", other.has_value(),
       fmt::format("home-2 (wireguard-go, untouched) {}", other ? "is reached again" : "is NOT reached again: " + other.error().message)});
  return chapter;
}

}  // namespace drpf::lab::demo
