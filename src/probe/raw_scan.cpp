#include "probe/raw_scan.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "probe/kernel_random.h"
#include "probe/local_trouble.h"
#include "probe/neighbours.h"
#include "probe/raw_link.h"
#include "scan/ask/probe_packet.h"
#include "scan/ask/reply_packet.h"
#include "scan/ask/schedule.h"
#include "system/boot_clock.h"
#include "system/route_lookup.h"
#include "system/sysctl.h"

namespace drpf::probe {
namespace {

using std::chrono::milliseconds;

constexpr Duration progress_interval = milliseconds(200);
constexpr Duration stop_asked_every = milliseconds(20);
constexpr std::size_t paths_max = 64;
// Until a host on the link has answered anything: an access point may answer ARP for a device that sleeps, and wakes after a second. The
// last of three probes is given up when the first one is a bit older than that.
constexpr Duration first_timeout_of_neighbour = milliseconds(360);
constexpr int slow_neighbour_worth = 2;  // round trips of ARP, until the first probe counts as silent
constexpr Duration source_ports_turn = milliseconds(250);
constexpr std::uint16_t source_ports_wanted = 61'000;  // above Linux's usual range for its own sockets

// An interface and a local address, with all that is sent and received there.
struct Path {
  RawLink link;
  scan::ReplyReader reader;
  Address local;
};

struct Destination {
  std::uint16_t path = 0;
  system::MacAddress next_hop{};
};

class RawScan {
 public:
  RawScan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop)
      : request_(request), observer_(observer), stop_(stop), key_(random_), ports_{choose_source_ports(clock_.now())} {}

  Status open();
  Result<scan::Tally> run();

 private:
  Result<std::uint16_t> path_for(const system::PathTo& route);
  Status find_routes();
  Status find_neighbours();
  void settle(std::size_t target, scan::Cause cause, int detail, std::string note);
  void tell(std::size_t target, std::size_t number, scan::Verdict verdict);
  double start_rate() const;
  bool send_batch();
  void transmit(std::uint16_t path, std::span<const scan::Probe> probes);
  void receive();
  void reset_connections();
  void wait();
  bool stopped();

  const scan::Request& request_;
  ScanObserver& observer_;
  const std::function<bool()>& stop_;
  system::SystemClock clock_;
  KernelRandom random_;
  scan::ProbeKey key_;
  scan::SourcePorts ports_;
  std::vector<std::unique_ptr<Path>> paths_;
  std::vector<int> path_interfaces_;
  std::vector<Destination> destinations_;
  std::vector<std::optional<Address>> next_hops_;  // Ethernet: whose address is to be found
  std::vector<scan::HostStart> hosts_;
  std::unique_ptr<scan::Schedule> schedule_;
  bool all_on_link_ = true;
  std::vector<scan::Reply> to_reset_;  // they have answered a SYN with SYN/ACK
  std::uint64_t ring_drops_ = 0;
  Time stop_asked_{};
  bool stopped_ = false;
};

Result<std::uint16_t> RawScan::path_for(const system::PathTo& route) {
  for (std::size_t i = 0; i < paths_.size(); ++i)
    if (path_interfaces_[i] == route.interface_index && paths_[i]->local == route.source) return static_cast<std::uint16_t>(i);
  if (paths_.size() == paths_max)
    return fail(failure("too_many_paths", fmt::format("the targets lie behind more than {} interfaces and source addresses", paths_max),
                        "scan them in parts"));
  const bool heard = std::ranges::any_of(paths_, [&](const auto& path) { return path->local == route.source; });
  auto link = RawLink::open({.interface = route.interface_index,
                             .family = route.source.family(),
                             .first_port = ports_.first,
                             .last_port = static_cast<std::uint16_t>(ports_.first + scan::SourcePorts::count - 1),
                             .every_protocol = request_.kind == scan::Kind::ip_protocol,
                             .local = route.source,
                             .through_own_rules = request_.through_own_rules,
                             .receives = !heard});
  if (!link) return fail(std::move(link.error()));
  paths_.push_back(
      std::make_unique<Path>(Path{std::move(*link), scan::ReplyReader(request_.kind, key_, ports_, route.source), route.source}));
  path_interfaces_.push_back(route.interface_index);
  return static_cast<std::uint16_t>(paths_.size() - 1);
}

void RawScan::settle(std::size_t target, scan::Cause cause, int detail, std::string note) {
  scan::Verdict verdict;
  verdict.state = scan::State::filtered;  // the schedule asks what is undecided; tell() says what it is
  verdict.cause = cause;
  verdict.detail = detail;
  verdict.note = std::move(note);
  hosts_[target].settled = std::move(verdict);
}

Status RawScan::find_routes() {
  auto lookup = system::RouteLookup::open();
  if (!lookup) return fail(std::move(lookup.error()));
  int interface = 0;
  if (!request_.interface.empty()) {
    auto index = system::interface_index(request_.interface);
    if (!index) return fail(std::move(index.error()));
    interface = *index;
  }
  for (std::size_t i = 0; i < request_.targets.size(); ++i) {
    const auto& target = request_.targets[i];
    const auto source = request_.source && request_.source->family() == target.family() ? request_.source : std::nullopt;
    auto route = lookup->path_to(target, interface, source);
    if (!route) {
      settle(i, scan::Cause::local_error, system::errno_of_no_route(route.error()), std::string(no_route_note));
      continue;
    }
    auto path = path_for(*route);
    if (!path) return fail(std::move(path.error()));
    destinations_[i].path = *path;
    const auto& kind = paths_[*path]->link.kind();
    const bool on_link = (kind.ethernet && !route->gateway) || route->local;
    if (kind.ethernet && !route->local) next_hops_[i] = route->gateway.value_or(target);
    hosts_[i].first_timeout = route->local ? scan::first_timeout_on_link
                              : on_link    ? first_timeout_of_neighbour
                                           : scan::first_timeout_routed;
    all_on_link_ = all_on_link_ && on_link;
  }
  return {};
}

Status RawScan::find_neighbours() {
  for (std::size_t path = 0; path < paths_.size(); ++path) {
    const auto& kind = paths_[path]->link.kind();
    if (!kind.ethernet) continue;
    std::vector<Address> wanted;
    for (std::size_t i = 0; i < next_hops_.size(); ++i)
      if (next_hops_[i] && destinations_[i].path == path && !hosts_[i].settled) wanted.push_back(*next_hops_[i]);
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    Neighbours found;
    const NeighbourLink link{path_interfaces_[path], kind.mac, paths_[path]->local};
    if (auto asked = resolve_neighbours(link, wanted, request_.pace.ceiling, found, [this] { return stopped(); }); !asked) return asked;
    for (std::size_t i = 0; i < next_hops_.size(); ++i) {
      if (!next_hops_[i] || destinations_[i].path != path || hosts_[i].settled) continue;
      const auto neighbour = found.find(*next_hops_[i]);
      const bool is_target = *next_hops_[i] == request_.targets[i];
      if (neighbour != found.end()) {
        destinations_[i].next_hop = neighbour->second.mac;
        // Who is slow to answer here is slow with everything.
        hosts_[i].first_timeout = std::clamp<Duration>(slow_neighbour_worth * neighbour->second.round_trip, hosts_[i].first_timeout,
                                                       scan::RoundTrip::timeout_max);
        if (is_target) observer_.on_link_answer(i, {neighbour->second.mac, neighbour->second.answered});
      } else if (!stopped_) {
        if (is_target) observer_.on_link_answer(i, {});
        settle(i, is_target ? scan::Cause::host_unreach : scan::Cause::local_error, is_target ? 0 : EHOSTUNREACH,
               silent_neighbour_note(*next_hops_[i], kind.name));
      }
    }
  }
  return {};
}

double RawScan::start_rate() const {
  return request_.pace.start.value_or(all_on_link_ ? scan::rate_start_on_link : scan::rate_start_routed);
}

Status RawScan::open() {
  destinations_.resize(request_.targets.size());
  next_hops_.resize(request_.targets.size());
  hosts_.resize(request_.targets.size());
  if (auto found = find_routes(); !found) return found;
  if (auto found = find_neighbours(); !found) return found;
  observer_.on_sockets_open();
  return {};
}

bool RawScan::stopped() {
  const auto now = clock_.now();
  if (!stopped_ && now - stop_asked_ >= stop_asked_every) {
    stop_asked_ = now;
    stopped_ = stop_();
  }
  return stopped_;
}

void RawScan::transmit(std::uint16_t path_index, std::span<const scan::Probe> probes) {
  auto& path = *paths_[path_index];
  static constexpr std::size_t room = RawLink::headroom + scan::probe_size_max;
  static thread_local std::vector<std::uint8_t> buffer(room * RawLink::batch_max);
  std::array<OutgoingPacket, RawLink::batch_max> packets;
  for (std::size_t i = 0; i < probes.size(); ++i) {
    const auto& probe = probes[i];
    const auto& target = request_.targets[probe.target];
    const auto frame = std::span(buffer).subspan(i * room, room);
    const auto size =
        scan::write_probe(frame.subspan(RawLink::headroom), request_.kind, {path.local, target, probe.source_port, probe.number}, key_);
    packets[i] = {frame.first(RawLink::headroom + size), target, destinations_[probe.target].next_hop};
  }
  for (std::size_t done = 0; done < probes.size();) {
    const auto sent = path.link.send(std::span(packets).subspan(done, probes.size() - done));
    done += sent.count;
    if (sent.error == 0) continue;
    schedule_->not_sent(probes[done], sent.error, clock_.now());
    ++done;
  }
}

bool RawScan::send_batch() {
  std::array<scan::Probe, RawLink::batch_max> probes;
  const auto count = schedule_->next(clock_.now(), probes);
  if (count == 0) return false;
  if (paths_.size() == 1) {
    transmit(0, std::span(probes).first(count));
    return true;
  }
  std::stable_sort(probes.begin(), probes.begin() + static_cast<std::ptrdiff_t>(count), [this](const scan::Probe& a, const scan::Probe& b) {
    return destinations_[a.target].path < destinations_[b.target].path;
  });
  for (std::size_t from = 0; from < count;) {
    const auto path = destinations_[probes[from].target].path;
    auto to = from;
    while (to < count && destinations_[probes[to].target].path == path) ++to;
    transmit(path, std::span(probes).subspan(from, to - from));
    from = to;
  }
  return true;
}

void RawScan::receive() {
  scan::Reply reply;
  for (const auto& path : paths_) {
    path->link.receive([&](ByteView packet, Time received) {
      const auto reading = path->reader.read(packet, reply);
      if (reading == scan::Reading::not_ours) return;
      if (reading == scan::Reading::reply && request_.kind == scan::Kind::syn && reply.answer.type == scan::AnswerType::syn_ack)
        to_reset_.push_back(reply);
      if (reading == scan::Reading::stray || !schedule_->answered(reply, received)) schedule_->count_stray();
    });
  }
}

// The kernel knows nothing of our SYNs and resets what answers them, unless a firewall of this machine keeps it from that: then the service
// would hold each connection half open.
void RawScan::reset_connections() {
  std::array<std::uint8_t, RawLink::headroom + scan::probe_size_max> frame;
  for (const auto& reply : to_reset_) {
    const auto target =
        static_cast<std::size_t>(std::find(request_.targets.begin(), request_.targets.end(), reply.target) - request_.targets.begin());
    if (target == request_.targets.size()) continue;
    auto& path = *paths_[destinations_[target].path];
    const auto size =
        scan::write_reset(std::span(frame).subspan(RawLink::headroom), {path.local, reply.target, reply.source_port, reply.number}, key_);
    const OutgoingPacket packet{std::span(frame).first(RawLink::headroom + size), reply.target, destinations_[target].next_hop};
    path.link.send({&packet, 1});
  }
  to_reset_.clear();
}

void RawScan::wait() {
  const auto now = clock_.now();
  const auto when = std::min(schedule_->wake(now), now + stop_asked_every);
  if (when <= now) return;
  std::array<pollfd, paths_max> waiting;
  for (std::size_t i = 0; i < paths_.size(); ++i) waiting[i] = {paths_[i]->link.receive_fd(), POLLIN, 0};
  const auto left = when - now;
  const timespec timeout{left / std::chrono::seconds(1), left % std::chrono::seconds(1) / std::chrono::nanoseconds(1)};
  ::ppoll(waiting.data(), paths_.size(), &timeout, nullptr);
}

void RawScan::tell(std::size_t target, std::size_t number, scan::Verdict verdict) {
  const auto path = destinations_[target].path;
  const bool by_own_kernel = verdict.sender && path < paths_.size() && *verdict.sender == paths_[path]->local;
  if (by_own_kernel && *verdict.sender != request_.targets[target])
    verdict =
        told_by_this_machine(std::move(verdict), next_hops_[target] == request_.targets[target],
                             silent_neighbour_note(next_hops_[target].value_or(request_.targets[target]), paths_[path]->link.kind().name));
  if (verdict.cause == scan::Cause::local_error) {
    verdict.state = scan::State::undecided;
    if (verdict.note.empty()) verdict.note = note_of_local_error(verdict.detail);
  }
  observer_.on_verdict(target, number, verdict);
}

Result<scan::Tally> RawScan::run() {
  const auto sink = [this](std::size_t target, std::size_t number, const scan::Verdict& verdict) { tell(target, number, verdict); };
  const auto seed = request_.resume ? request_.resume->seed : random_.u64();
  const auto start = clock_.now();
  schedule_ = std::make_unique<scan::Schedule>(request_, hosts_, start_rate(), ports_, seed, start, sink);
  const auto drops = [this] {
    for (const auto& path : paths_) ring_drops_ += path->link.take_drops();
  };
  const auto tally = [this] {
    auto out = schedule_->tally(clock_.now());
    out.ring_drops = ring_drops_;
    return out;
  };
  auto told = start;
  for (;;) {
    receive();
    reset_connections();
    const auto now = clock_.now();
    if (stopped()) {
      schedule_->stop();
      break;
    }
    if (schedule_->finished(now)) break;
    if (now - told >= progress_interval) {
      told = now;
      drops();
      observer_.on_progress(tally());
    }
    if (!send_batch()) wait();
  }
  drops();
  return tally();
}

}  // namespace

// In turn through the range, so that what is left of one scan does not meet the next.
std::uint16_t choose_source_ports(Time now) {
  int first = source_ports_wanted;
  int last = 65535;
  if (const auto own = system::read_ephemeral_ports(); own && own->last().value() >= source_ports_wanted) {
    first = own->last().value() + 1;
    if (last - first + 1 < scan::SourcePorts::count) {
      last = std::max(1024 + scan::SourcePorts::count, int{own->first().value()}) - 1;
      first = std::max(1024, last - 16 * scan::SourcePorts::count);
    }
  }
  const auto places = static_cast<std::uint64_t>((last - first + 1) / scan::SourcePorts::count);
  const auto turn = static_cast<std::uint64_t>(now.time_since_epoch() / source_ports_turn);
  return static_cast<std::uint16_t>(first + static_cast<int>(turn % places) * scan::SourcePorts::count);
}

Result<scan::Tally> run_raw_scan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop) {
  RawScan scan(request, observer, stop);
  if (auto opened = scan.open(); !opened) return fail(std::move(opened.error()));
  return scan.run();
}

}  // namespace drpf::probe
