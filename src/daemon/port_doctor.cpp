#include "daemon/port_doctor.h"

#include <spdlog/logger.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "daemon/direct_question.h"
#include "scan/ask/udp_payloads.h"

namespace drpf::daemon {
namespace {

using scan::LeaseEvidence;

constexpr std::size_t packet_size_max = 65'536;
constexpr int packets_per_turn = 64;

// Beyond what systems give out by themselves, so nobody listens there; and if somebody does, his answer is as good.
constexpr std::uint16_t quiet_ports_first = 61'000;
constexpr std::uint32_t quiet_ports = 65'536 - quiet_ports_first;

std::optional<bool> any_answered(const std::vector<DirectQuestion>& questions) {
  if (questions.empty()) return std::nullopt;
  return std::any_of(questions.begin(), questions.end(), [](const DirectQuestion& one) { return one.answered(); });
}

// Whether the device itself has answered a visit, by what was made of it.
bool answered_by_device(const LeaseEvidence& evidence) {
  const auto finding = scan::diagnose(evidence).finding;
  return evidence.visit && (finding == scan::Finding::answers || finding == scan::Finding::nobody_listens);
}

}  // namespace

struct PortDoctor::Visit {
  std::uint64_t test = 0;
  lease::PublicPort on;
  std::optional<lease::Redirection> redirection;  // none = there is nothing to visit
  LeaseEvidence evidence;
  bool answered = false;  // what comes now comes too late
  bool finished = false;

  // While one is under way.
  std::optional<scan::LeaseVisit> packets;
  lease::DeviceId device{};
  std::optional<api::DeviceTunnel> tunnel_before;
  Time began{};
  Time deadline{};
  Time sent{};
  std::uint16_t times_sent = 0;
  Time call_at{};
  bool call_tried = false;
  bool called = false;
  bool call_put_off = false;
  std::vector<DirectQuestion> at_its_port;
  std::vector<DirectQuestion> elsewhere;
  int looks = 0;
  net::Timer timer;
};

struct PortDoctor::Test {
  api::LeaseTest asked;
  api::Service::LeaseTested done;
  std::vector<std::unique_ptr<Visit>> visits;
};

PortDoctor::PortDoctor(Parts parts, system::Conntrack conntrack) : parts_(std::move(parts)), conntrack_(std::move(conntrack)) {}
PortDoctor::~PortDoctor() = default;

Result<std::unique_ptr<PortDoctor>> PortDoctor::start(Parts parts) {
  auto conntrack = system::Conntrack::open();
  if (!conntrack) return fail(conntrack.error());
  std::unique_ptr<PortDoctor> doctor(new PortDoctor(std::move(parts), std::move(*conntrack)));
  if (auto opened = doctor->open_probe(); !opened)
    doctor->parts_.log->warn("`drpf lease test` cannot visit leases, and tells only what is known without: {}", opened.error().message);
  return doctor;
}

Status PortDoctor::open_probe() {
  if (readable_.active() && parts_.probe.is_open()) return {};
  readable_.cancel();
  if (!parts_.probe.is_open())
    if (auto opened = parts_.probe.open(parts_.network); !opened) return opened;
  readable_ = parts_.loop.watch_readable(parts_.probe.fd(), [this] { on_readable(); });
  probe_made_ = true;
  return {};
}

Result<bool> PortDoctor::repair_probe() {
  if (!probe_made_) return false;
  if (parts_.probe.is_open()) {
    const auto found = parts_.probe.repair(parts_.network);
    if (!found) return fail(found.error());
    if (*found != ProbeInterface::Found::gone) return *found == ProbeInterface::Found::repaired;
    close_probe();
  }
  if (auto opened = open_probe(); !opened) return fail(opened.error());
  return true;
}

void PortDoctor::close_probe() {
  readable_.cancel();
  parts_.probe.close();
}

PortDoctor::VisitedKey PortDoctor::key_of(const lease::Redirection& redirection) {
  return {redirection.public_address, redirection.protocol, redirection.public_port, redirection.generation};
}

void PortDoctor::test(const api::LeaseTest& test, api::Service::LeaseTested done) {
  const auto& book = parts_.gateway.book();
  const auto* host = book.host(test.on.host);
  if (host == nullptr)
    return done(
        fail(not_found("host_unknown", fmt::format("there is no public host '{}'", test.on.host), "see `drpf status` for the names")));
  const auto of_asker = std::count_if(tests_.begin(), tests_.end(), [&](const auto& one) {
    return std::holds_alternative<api::CallingDevice>(test.asker) && one.second->asked.asker == test.asker;
  });
  if (tests_.size() >= tests_max || of_asker >= static_cast<std::ptrdiff_t>(tests_per_device_max))
    return done(fail(refusal("too_many_tests", "too many leases are being tested at this moment", "try again in a second")));

  const auto* lease = book.lease(test.on);
  if (lease != nullptr && !api::may_see(test.asker, lease->device)) lease = nullptr;
  const auto number = ++next_test_;
  auto& running = *(tests_[number] = std::make_unique<Test>());
  running.asked = test;
  running.done = std::move(done);
  const auto add = [&](const Address& address, std::optional<lease::Redirection> redirection) {
    auto visit = std::make_unique<Visit>();
    visit->test = number;
    visit->on = test.on;
    visit->evidence = known(test, lease, address);
    visit->redirection = redirection;
    if (lease != nullptr) visit->device = lease->device;
    running.visits.push_back(std::move(visit));
  };
  if (lease != nullptr)
    for (const auto& redirection : book.redirections_of(*lease)) add(redirection.public_address, redirection);
  if (running.visits.empty()) {
    add(host->v4 ? *host->v4 : host->v6.value_or(Address()), {});
    running.visits.front()->evidence.no_visit_reason = "its public host has no address at present";  // if it is a lease that stands
  }
  for (const auto& visit : running.visits) begin(*visit);
}

LeaseEvidence PortDoctor::known(const api::LeaseTest& test, const lease::Lease* lease, const Address& public_address) const {
  const auto& book = parts_.gateway.book();
  const auto& policy = book.policy();
  LeaseEvidence evidence;
  evidence.protocol = test.on.protocol;
  evidence.public_side = {public_address, test.on.port};
  evidence.now = parts_.clock.wall_now();
  evidence.leasable = policy.pool.contains(test.on.port) && std::none_of(policy.reserved.begin(), policy.reserved.end(),
                                                                         [&](PortRange range) { return range.contains(test.on.port); });
  const auto* device = lease != nullptr ? book.device(lease->device) : nullptr;
  const auto* account = device != nullptr ? book.account(device->account) : nullptr;
  if (account != nullptr) {
    const auto& at = public_address.is_v6() && device->tunnel_v6 ? *device->tunnel_v6 : device->tunnel_v4;
    evidence.holder = LeaseEvidence::Holder{device->name, account->name, {at, lease->local_port}};
    evidence.active = lease->state == lease::LeaseState::active;
    evidence.connected = device->connected;
    evidence.suspended = account->suspended;
    if (const auto tunnel = parts_.gateway.device_tunnel(device->id)) evidence.last_handshake = tunnel->last_handshake;
  }
  if (!evidence.active) look_at_history(test.on, test, evidence);
  return evidence;
}

void PortDoctor::look_at_history(const lease::PublicPort& on, const api::LeaseTest& test, LeaseEvidence& evidence) const {
  const auto past = parts_.gateway.history({evidence.public_side.address, on.port, on.protocol, WallTime{}, evidence.now});
  if (!past) return;  // there is none; what is said without it is true too
  const auto* caller = std::get_if<api::CallingDevice>(&test.asker);
  const auto* asker = caller != nullptr ? parts_.gateway.book().device(caller->id) : nullptr;
  for (const auto& one : *past) {
    if (caller != nullptr && (asker == nullptr || one.device != asker->name)) continue;
    evidence.before = LeaseEvidence::Past{one.device, one.account, one.until};
    return;
  }
}

void PortDoctor::look_at_kernel(const lease::Redirection& redirection, LeaseEvidence& evidence) {
  const auto standing = parts_.redirect.look_at(redirection);
  if (!standing) {
    parts_.log->warn("the rules of a lease could not be looked at: {}", standing.error().message);
    return;
  }
  if (!standing->structure)
    evidence.rules = LeaseEvidence::Rules::lost;
  else if (!standing->elements)
    evidence.rules = LeaseEvidence::Rules::element_missing;
  const auto own = own_visits_.find(key_of(redirection));
  evidence.visits = standing->visits - std::min(standing->visits, own == own_visits_.end() ? 0 : own->second);
}

void PortDoctor::look_at_connections(const lease::Redirection& redirection, LeaseEvidence& evidence) {
  const auto entries = conntrack_.entries(system::MarkBlock{static_cast<std::uint32_t>(redirection.generation)});
  if (!entries) return parts_.log->warn("the connections of a lease could not be looked at: {}", entries.error().message);
  for (const auto& entry : *entries) {
    if (entry.original.destination != evidence.public_side || entry.original.protocol != static_cast<std::uint8_t>(redirection.protocol) ||
        entry.original.source.address == parts_.probe.address(redirection.public_address.family()))
      continue;
    ++evidence.connections;
    if (entry.answered) ++evidence.answered;
  }
}

void PortDoctor::begin(Visit& visit) {
  const auto& test = tests_.at(visit.test)->asked;
  if (!visit.redirection || !visit.evidence.active) return finish(visit, std::move(visit.evidence));
  const auto& redirection = *visit.redirection;
  auto& evidence = visit.evidence;
  look_at_kernel(redirection, evidence);
  if (evidence.rules != LeaseEvidence::Rules::standing) return finish(visit, std::move(evidence));
  if (!test.passive)
    if (const auto opened = open_probe(); !opened) evidence.no_visit_reason = opened.error().message;
  if (test.passive || !evidence.no_visit_reason.empty()) {
    look_at_connections(redirection, evidence);
    return finish(visit, std::move(evidence));
  }

  evidence.visitor = parts_.probe.address(redirection.public_address.family());
  visit.packets.emplace(redirection.protocol, evidence.visitor, evidence.public_side, redirection.device_port, parts_.random);
  visit.tunnel_before = parts_.gateway.device_tunnel(visit.device);
  if (own_visits_.size() >= own_visits_max) own_visits_.clear();
  ++own_visits_[key_of(redirection)];
  visit.began = parts_.clock.now();
  visit.deadline = visit.began + std::clamp<Duration>(test.wait, send_interval, api::LeaseTest::wait_max);
  visit.call_at = visit.began + call_after;
  on_turn(visit);
}

// Sends, again if need be, asks and calls the device itself if it stays silent, and gives up at the deadline.
void PortDoctor::on_turn(Visit& visit) {
  const auto now = parts_.clock.now();
  const auto* lease = parts_.gateway.book().lease(visit.on);
  const bool ended = lease == nullptr || lease->generation != visit.redirection->generation;
  const bool over = now >= visit.deadline ? !puts_off_call(visit, now) : visit.call_put_off && heard(visit);
  if (over || ended) {
    visit.evidence.visit = scan::Verdict{.state = scan::State::filtered, .cause = scan::Cause::no_response, .probes = visit.times_sent};
    return conclude(visit);
  }
  if (visit.times_sent == 0 || now - visit.sent >= send_interval) {
    ++visit.times_sent;
    visit.sent = now;
    send(visit, visit.packets->packet());
    if (visit.evidence.visit) return conclude(visit);
    if (visit.times_sent > 1 && visit.at_its_port.size() < direct_questions_max) ask_directly(visit);
  }
  if (!visit.call_tried && now >= visit.call_at) {
    visit.call_tried = true;
    visit.called = parts_.gateway.call_for_answer(visit.device);
  }
  auto next = std::min(visit.sent + send_interval, visit.deadline);
  if (!visit.call_tried) next = std::min(next, visit.call_at);
  visit.timer = parts_.loop.after(std::max<Duration>(next - now, std::chrono::milliseconds(1)), [this, &visit] { on_turn(visit); });
}

void PortDoctor::ask_directly(Visit& visit) {
  const auto at = visit.redirection->device_address;
  const auto protocol = visit.redirection->protocol;
  const auto port = visit.redirection->device_port;
  const Port quiet(static_cast<std::uint16_t>(quiet_ports_first + parts_.random.u32() % quiet_ports));
  const auto words = protocol == Protocol::udp ? scan::udp_payload(port.value(), parts_.random.u32()) : Bytes{};
  visit.at_its_port.emplace_back(protocol, Endpoint{at, port}, words);
  visit.elsewhere.emplace_back(protocol, Endpoint{at, quiet}, Bytes{});
}

// A device that was not heard at all, and that shook hands too short a time ago to be called at once: it may have gone since.
bool PortDoctor::puts_off_call(Visit& visit, Time now) {
  const auto& before = visit.tunnel_before;
  if (visit.call_put_off || !visit.called || heard(visit) || !before || !before->last_handshake) return false;
  const auto age = parts_.clock.wall_now() - *before->last_handshake;
  if (age - (now - visit.began) >= handshake_fresh) return false;
  visit.call_put_off = true;
  visit.call_tried = false;
  visit.call_at = now + std::max<Duration>(handshake_fresh - age, Duration::zero());
  visit.deadline = visit.call_at + call_answer;
  return true;
}

bool PortDoctor::heard(Visit& visit) {
  look_at_tunnel(visit);
  return visit.evidence.tunnel_answered;
}

void PortDoctor::send(Visit& visit, const Bytes& packet) {
  ssize_t written = -1;
  do written = ::write(parts_.probe.fd(), packet.data(), packet.size());
  while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(packet.size())) return;
  visit.evidence.visit =
      scan::Verdict{.state = scan::State::undecided, .cause = scan::Cause::local_error, .detail = written < 0 ? errno : EMSGSIZE};
}

void PortDoctor::on_readable() {
  std::array<std::uint8_t, packet_size_max> buffer;
  for (int i = 0; i < packets_per_turn; ++i) {
    const auto size = ::read(parts_.probe.fd(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (size <= 0) return close_probe();  // somebody removed the device: repair_probe() makes it again, or the next test
    const ByteView packet(buffer.data(), static_cast<std::size_t>(size));
    for (const auto& [number, test] : tests_) {
      for (const auto& visit : test->visits) {
        if (!visit->packets || visit->answered || visit->finished) continue;
        auto verdict = visit->packets->answer_in(packet);
        if (!verdict) continue;
        visit->answered = true;
        verdict->rtt = parts_.clock.now() - visit->began;
        verdict->probes = visit->times_sent;
        visit->evidence.visit = std::move(verdict);
        if (visit->evidence.visit->cause == scan::Cause::syn_ack) {
          auto answer = visit->evidence.visit;
          send(*visit, visit->packets->reset());
          visit->evidence.visit = std::move(answer);
        }
        conclude_soon(*visit);
      }
    }
  }
}

// What went through the tunnel is counted a moment after it went, and an answer may be here before.
void PortDoctor::conclude_soon(Visit& visit) {
  look_at_tunnel(visit);
  if (visit.evidence.tunnel_sent || visit.looks >= looks_max) return conclude(visit);
  ++visit.looks;
  visit.timer = parts_.loop.after(look_interval, [this, &visit] { conclude_soon(visit); });
}

void PortDoctor::look_at_tunnel(Visit& visit) {
  const auto after = parts_.gateway.device_tunnel(visit.device);
  if (!after || !visit.tunnel_before) return;
  const auto& before = *visit.tunnel_before;
  visit.evidence.tunnel_sent = after->bytes_sent > before.bytes_sent;
  visit.evidence.tunnel_answered = after->bytes_received > before.bytes_received || after->last_handshake != before.last_handshake;
  visit.evidence.tunnel_called = visit.called;
  visit.evidence.last_handshake = after->last_handshake;
}

void PortDoctor::conclude(Visit& visit) {
  visit.timer.cancel();
  auto& evidence = visit.evidence;
  look_at_tunnel(visit);
  evidence.answers_gateway = any_answered(visit.at_its_port);
  evidence.answers_elsewhere = any_answered(visit.elsewhere);
  const system::ConntrackTuple began{visit.packets->from(), visit.packets->to(), static_cast<std::uint8_t>(visit.packets->protocol())};
  if (const auto entry = conntrack_.find(began); !entry) {
    parts_.log->warn("the connection of a visit could not be looked up: {}", entry.error().message);
  } else if (*entry) {
    evidence.led_to = (*entry)->reply.source;
    if (auto removed = conntrack_.remove(**entry); !removed)
      parts_.log->warn("the connection of a visit could not be deleted: {}", removed.error().message);
  }
  // What never became a connection was counted by the rules each time that it was sent.
  if (!evidence.led_to && visit.times_sent > 1) own_visits_[key_of(*visit.redirection)] += visit.times_sent - 1U;
  if (evidence.visit->state != scan::State::open) look_at_connections(*visit.redirection, evidence);

  // What happened to the lease meanwhile says more than the visit.
  const auto& test = tests_.at(visit.test)->asked;
  const auto* lease = parts_.gateway.book().lease(visit.on);
  if (lease != nullptr && lease->generation == visit.redirection->generation) return finish(visit, std::move(evidence));
  if (lease != nullptr && !api::may_see(test.asker, lease->device)) lease = nullptr;
  auto now = known(test, lease, evidence.public_side.address);
  if (now.active) now.no_visit_reason = "the lease was given anew in this moment";
  finish(visit, std::move(now));
}

// Tells in the next turn of the loop: this may be called from inside the walk over the tests.
void PortDoctor::finish(Visit& visit, LeaseEvidence evidence) {
  visit.evidence = std::move(evidence);
  visit.finished = true;
  if (!finished_.active()) finished_ = parts_.loop.after(Duration::zero(), [this] { tell_finished(); });
}

void PortDoctor::tell_finished() {
  finished_.cancel();
  for (auto at = tests_.begin(); at != tests_.end();) {
    auto& test = *at->second;
    if (!std::all_of(test.visits.begin(), test.visits.end(), [](const auto& visit) { return visit->finished; })) {
      ++at;
      continue;
    }
    for (const auto& visit : test.visits)
      for (const auto& other : test.visits)
        visit->evidence.answers_other_family =
            visit->evidence.answers_other_family || (other != visit && answered_by_device(other->evidence));
    std::vector<api::TestedLease> tested;
    for (const auto& visit : test.visits) tested.push_back({visit->on, visit->evidence, scan::diagnose(visit->evidence)});
    const auto done = std::move(test.done);
    at = tests_.erase(at);
    done(std::move(tested));
  }
}

}  // namespace drpf::daemon
