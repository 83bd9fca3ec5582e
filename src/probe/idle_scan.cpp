#include "probe/idle_scan.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <memory>
#include <thread>
#include <vector>

#include "probe/kernel_random.h"
#include "probe/local_trouble.h"
#include "probe/neighbours.h"
#include "probe/raw_link.h"
#include "probe/raw_scan.h"
#include "protocol/ip/wire.h"
#include "scan/ask/idle_search.h"
#include "scan/ask/probe_packet.h"
#include "scan/ask/reply_packet.h"
#include "system/boot_clock.h"
#include "system/route_lookup.h"

namespace drpf::probe {
namespace {

using std::chrono::milliseconds;

constexpr int looks_to_judge_the_zombie = 6;
constexpr int look_tries = 3;
constexpr Duration look_timeout = milliseconds(500);
constexpr Duration answer_wait_min = milliseconds(30);  // for target and zombie to speak with each other
constexpr Duration answer_wait_max = std::chrono::seconds(1);
constexpr Duration idle_progress_interval = milliseconds(200);

// A way to one host: what leaves for it, in whose name ever.
struct Way {
  std::unique_ptr<RawLink> link;
  Address local;
  Address host;
  system::MacAddress next_hop{};
};

class IdleScan {
 public:
  IdleScan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop)
      : request_(request), observer_(observer), stop_(stop), key_(random_), ports_{choose_source_ports(clock_.now())} {}

  Result<scan::Tally> run();

 private:
  Result<Way> way_to(const Address& host);
  Status open_zombie();
  Status send(Way& way, scan::Kind kind, const scan::ProbeEnds& ends);
  // The identification of the zombie's next answer; none: it gave none.
  Result<std::optional<std::uint16_t>> look();
  Status scan_target(std::size_t target);
  Status search_ports(std::size_t target, scan::IdleSearch& search, std::vector<bool>& told);
  void tell(std::size_t target, std::size_t number, const scan::Verdict& verdict);
  void sleep(Duration duration) const;
  scan::Tally tally() const;

  const scan::Request& request_;
  ScanObserver& observer_;
  const std::function<bool()>& stop_;
  system::SystemClock clock_;
  KernelRandom random_;
  scan::ProbeKey key_;
  scan::SourcePorts ports_;
  Way zombie_;
  std::uint16_t unit_ = 1;
  std::uint16_t turn_ = 0;
  Duration round_trip_ = milliseconds(10);
  Time begun_ = clock_.now();
  Time told_progress_ = begun_;
  scan::Tally tally_;
  bool interrupted_ = false;
};

Result<Way> IdleScan::way_to(const Address& host) {
  auto lookup = system::RouteLookup::open();
  if (!lookup) return fail(std::move(lookup.error()));
  int interface = 0;
  if (!request_.interface.empty()) {
    auto index = system::interface_index(request_.interface);
    if (!index) return fail(std::move(index.error()));
    interface = *index;
  }
  auto route = lookup->path_to(host, interface, request_.source);
  if (!route) return fail(std::move(route.error()));
  auto link = RawLink::open({.interface = route->interface_index,
                             .family = Family::v4,
                             .first_port = ports_.first,
                             .last_port = static_cast<std::uint16_t>(ports_.first + scan::SourcePorts::count - 1),
                             .through_own_rules = request_.through_own_rules});
  if (!link) return fail(std::move(link.error()));
  Way way{std::make_unique<RawLink>(std::move(*link)), route->source, host};
  if (way.link->kind().ethernet && !route->local) {
    const auto next = route->gateway.value_or(host);
    Neighbours found;
    auto asked = resolve_neighbours({route->interface_index, way.link->kind().mac, route->source}, std::array{next}, request_.pace.ceiling,
                                    found, stop_);
    if (!asked) return fail(std::move(asked.error()));
    const auto mac = found.find(next);
    if (mac == found.end())
      return fail(failure("host_silent", silent_neighbour_note(next, way.link->kind().name), "is it there and switched on?"));
    way.next_hop = mac->second.mac;
  }
  return way;
}

Status IdleScan::send(Way& way, scan::Kind kind, const scan::ProbeEnds& ends) {
  std::array<std::uint8_t, RawLink::headroom + scan::probe_size_max> buffer;
  const auto size = scan::write_probe(std::span(buffer).subspan(RawLink::headroom), kind, ends, key_);
  const OutgoingPacket packet{std::span(buffer).first(RawLink::headroom + size), way.host, way.next_hop};
  const auto sent = way.link->send({&packet, 1});
  ++tally_.probes;
  if (sent.error != 0) ++tally_.send_errors;
  sleep(std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1 / request_.pace.ceiling)));
  return {};
}

void IdleScan::sleep(Duration duration) const {
  const auto until = clock_.now() + duration;
  while (clock_.now() < until && !stop_()) std::this_thread::sleep_for(std::min<Duration>(until - clock_.now(), milliseconds(20)));
}

Result<std::optional<std::uint16_t>> IdleScan::look() {
  const scan::ReplyReader reader(scan::Kind::ack, key_, ports_, zombie_.local);
  for (int attempt = 0; attempt < look_tries && !stop_(); ++attempt) {
    const auto port = static_cast<std::uint16_t>(ports_.first + turn_++ % scan::SourcePorts::count);
    const auto sent = clock_.now();
    if (auto done = send(zombie_, scan::Kind::ack, {zombie_.local, zombie_.host, port, request_.zombie->port.value()}); !done)
      return fail(std::move(done.error()));
    std::optional<std::uint16_t> seen;
    while (!seen && clock_.now() - sent < look_timeout && !stop_()) {
      pollfd waiting{zombie_.link->receive_fd(), POLLIN, 0};
      ::poll(&waiting, 1, 20);
      zombie_.link->receive([&](ByteView packet, Time received) {
        scan::Reply reply;
        if (reader.read(packet, reply) != scan::Reading::reply || reply.source_port != port || reply.target != zombie_.host) return;
        if (reply.answer.type != scan::AnswerType::reset) return;
        seen = protocol::ip::load_be16(&packet[4]);
        round_trip_ = received - sent;
      });
    }
    if (seen) {
      ++tally_.answers;
      return seen;
    }
  }
  return std::optional<std::uint16_t>{};
}

Status IdleScan::open_zombie() {
  if (!request_.zombie || !request_.zombie->address.is_v4())
    return fail(
        invalid("zombie_unsuitable", "an idle scan needs a zombie with an IPv4 address", "IPv6 packets carry no identification to count"));
  auto way = way_to(request_.zombie->address);
  if (!way) return fail(std::move(way.error()));
  zombie_ = std::move(*way);
  const auto name = to_string(*request_.zombie);
  std::vector<std::uint16_t> seen;
  for (int i = 0; i < looks_to_judge_the_zombie; ++i) {
    auto identification = look();
    if (!identification) return fail(std::move(identification.error()));
    if (!*identification && stop_()) return {};
    if (!*identification)
      return fail(
          failure("zombie_unsuitable", fmt::format("the zombie {} does not answer", name), "take another host, or another port of it"));
    seen.push_back(**identification);
  }
  const auto unit = scan::counting_unit(seen);
  if (!unit)
    return fail(failure("zombie_unsuitable", fmt::format("the IP identification of the zombie {} does not count up one by one", name),
                        "take a host that is idle and counts all its packets with one counter; present Linux and BSD do not"));
  unit_ = *unit;
  return {};
}

void IdleScan::tell(std::size_t target, std::size_t number, const scan::Verdict& verdict) {
  if (verdict.state == scan::State::undecided)
    ++tally_.undecided;
  else
    ++tally_.decided;
  if (verdict.state == scan::State::open) ++tally_.open;
  observer_.on_verdict(target, number, verdict);
}

Status IdleScan::search_ports(std::size_t target, scan::IdleSearch& search, std::vector<bool>& told) {
  auto way = way_to(request_.targets[target]);
  if (!way) return fail(std::move(way.error()));
  std::vector<scan::IdleSearch::Decision> decided;
  while (!search.done() && !stop_()) {
    const auto before = look();
    if (!before) return fail(before.error());
    for (const auto index : search.next())
      if (auto sent =
              send(*way, scan::Kind::idle, {request_.zombie->address, way->host, request_.zombie->port.value(), request_.numbers[index]});
          !sent)
        return sent;
    sleep(std::clamp<Duration>(4 * round_trip_, answer_wait_min, answer_wait_max));
    const auto after = look();
    if (!after) return fail(after.error());
    if (stop_()) break;
    const bool seen = *before && *after;
    const auto distance = seen ? static_cast<std::uint16_t>(**after - **before) : std::uint16_t{0};
    decided.clear();
    search.told(distance % unit_ == 0 ? distance / unit_ : 0, decided);
    for (const auto& decision : decided) {
      scan::Verdict verdict;
      verdict.state = decision.state;
      verdict.cause = decision.state == scan::State::undecided ? scan::Cause::no_response : scan::Cause::ipid_step;
      verdict.probes = decision.probes;
      if (decision.state == scan::State::undecided) verdict.note = "the zombie was not idle";
      told[decision.port] = true;
      tell(target, decision.port, verdict);
    }
    if (clock_.now() - told_progress_ >= idle_progress_interval) {
      told_progress_ = clock_.now();
      observer_.on_progress(tally());
    }
  }
  return {};
}

Status IdleScan::scan_target(std::size_t target) {
  std::vector<bool> told(request_.numbers.size());
  for (std::size_t i = 0; request_.resume && i < told.size(); ++i) {
    const auto index = target * told.size() + i;
    if (index >= request_.resume->verdicts.size() || request_.resume->verdicts[index].state == scan::State::undecided) continue;
    told[i] = true;
    tell(target, i, request_.resume->verdicts[index]);
  }
  scan::IdleSearch search(told.size(), told);
  auto searched = search_ports(target, search, told);
  scan::Verdict rest;
  if (!searched && searched.error().code == "host_silent") {
    rest.note = searched.error().message;
  } else if (!searched) {
    rest.cause = scan::Cause::local_error;
    rest.detail = system::errno_of_no_route(searched.error());
    rest.note = no_route_note;
  }
  for (std::size_t i = 0; i < told.size(); ++i)
    if (!told[i]) tell(target, i, rest);
  return {};
}

scan::Tally IdleScan::tally() const {
  auto out = tally_;
  const auto passed = std::chrono::duration<double>(clock_.now() - begun_).count();
  out.rate = passed > 0 ? static_cast<double>(out.probes) / passed : 0;
  out.loss_measured_by = "an idle scan cannot see what is lost between target and zombie";
  out.interrupted = interrupted_;
  return out;
}

Result<scan::Tally> IdleScan::run() {
  if (auto opened = open_zombie(); !opened) return fail(std::move(opened.error()));
  for (std::size_t target = 0; target < request_.targets.size(); ++target)
    if (auto scanned = scan_target(target); !scanned) return fail(std::move(scanned.error()));
  interrupted_ = stop_();
  return tally();
}

}  // namespace

Result<scan::Tally> run_idle_scan(const scan::Request& request, ScanObserver& observer, const std::function<bool()>& stop) {
  return IdleScan(request, observer, stop).run();
}

}  // namespace drpf::probe
