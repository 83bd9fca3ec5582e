// Random work on a lease book beside the naive one, compared after every step. Where the choices come from is the caller's: a seeded
// generator or a fuzzer's bytes. A difference is thrown as Fault.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "lease/lease_book.h"
#include "lease/merge.h"
#include "lease/validation.h"
#include "support/naive_book.h"

namespace drpf::lease::test {

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void must(bool holds, std::string_view what) {
  if (!holds) throw Fault(std::string(what));
}
// `what` is a function that makes the text: only a fault pays for it.
template <class MakeText>
  requires std::is_invocable_v<MakeText>
void must(bool holds, MakeText what) {
  if (!holds) throw Fault(what());
}

class BookExercise {
 public:
  using Choose = std::function<std::uint32_t(std::uint32_t)>;  // a number below its argument

  explicit BookExercise(Choose choose) : choose_(std::move(choose)), book_(policy_variant(0), State{}) { naive_.policy = book_.policy(); }

  // `compared`: with the naive book, which takes longer than all else. What differs once mostly differs later too.
  void step(bool compared = true) {
    // Weighted: what a gateway does all day more often than what an administrator does once.
    using Operation = void (BookExercise::*)();
    static constexpr std::array<std::pair<std::uint32_t, Operation>, 17> operations{{{2, &BookExercise::add_account},
                                                                                     {2, &BookExercise::set_account},
                                                                                     {1, &BookExercise::remove_account},
                                                                                     {4, &BookExercise::add_device},
                                                                                     {2, &BookExercise::remove_device},
                                                                                     {17, &BookExercise::connect},
                                                                                     {9, &BookExercise::disconnect},
                                                                                     {18, &BookExercise::add_lease},
                                                                                     {5, &BookExercise::set_lease},
                                                                                     {6, &BookExercise::remove_lease},
                                                                                     {13, &BookExercise::tick},
                                                                                     {2, &BookExercise::reconfigure},
                                                                                     {1, &BookExercise::restart},
                                                                                     {1, &BookExercise::ask_for_the_unknown},
                                                                                     {10, &BookExercise::map},
                                                                                     {4, &BookExercise::end_mappings},
                                                                                     {3, &BookExercise::map_together}}};
    if (one_in(2)) pass_time();
    auto chosen = choose_(100);
    for (const auto& [weight, operation] : operations) {
      if (chosen >= weight) {
        chosen -= weight;
        continue;
      }
      (this->*operation)();
      break;
    }
    if (compared) compare();
  }

  // What the records alone add up to must be the book; too slow for every step.
  void compare_records() const {
    const auto state = book_.state();
    must(validate(state).has_value(), "the book contradicts itself");
    const auto equal = [](const auto& kept, const auto& values, const auto& key) {
      if (kept.size() != values.size()) return false;
      for (const auto& value : values)
        if (const auto found = kept.find(key(value)); found == kept.end() || found->second != value) return false;
      return true;
    };
    must(equal(kept_.accounts, state.accounts, [](const Account& one) { return one.id; }), "records of accounts");
    must(equal(kept_.devices, state.devices, [](const Device& one) { return one.id; }), "records of devices");
    must(equal(kept_.grants, state.grants, [](const Grant& one) { return one.id; }), "records of grants");
    must(equal(kept_.leases, state.leases, [](const Lease& one) { return one.on; }), "records of leases");
    must(equal(kept_.quarantines, state.quarantines, [](const Quarantine& one) { return std::pair(one.host, one.ports.first()); }),
         "records of quarantines");
  }

  // How often each operation and each refusal was met.
  const std::map<std::string, std::uint64_t>& met() const { return met_; }

 private:
  static constexpr std::uint32_t devices_max = 10;
  static constexpr std::uint32_t accounts_max = 5;

  static Policy policy_variant(std::uint32_t variant) {
    Policy policy;
    PublicHost main{"main", *parse_address("198.51.100.1"), *parse_address("2001:db8::1")};
    PublicHost second{"second", *parse_address("198.51.100.2"), std::nullopt};
    if ((variant & 1) != 0) main.v4 = *parse_address("198.51.100.3");
    policy.hosts = {main};
    if ((variant & 2) == 0) policy.hosts.push_back(second);
    policy.pool = (variant & 4) != 0 ? PortRange(Port{10004}, Port{10019}) : PortRange(Port{10000}, Port{10023});
    if ((variant & 8) != 0) policy.reserved = {PortRange(Port{10008}, Port{10009})};
    if ((variant & 256) != 0) policy.occupied = {Port{10005}, Port{10008}, Port{10012}};
    policy.tunnel_v4 = *parse_prefix((variant & 16) != 0 ? "10.78.0.0/28" : "10.77.0.0/27");
    if ((variant & 32) == 0) policy.tunnel_v6 = *parse_prefix("fd77::/64");
    Plan personal;
    personal.name = "personal";
    Plan business;
    business.name = "business";
    business.ports_max = (variant & 64) != 0 ? 8 : 14;
    business.port_choice = true;
    business.lease_lifetime = std::chrono::minutes((variant & 128) != 0 ? 20 : 10);
    policy.plans = {personal, business};
    policy.grace = std::chrono::hours(2);
    policy.accounts_max = accounts_max;
    policy.devices_per_account_max = 4;
    return policy;
  }

  // --- operations: the book decides, the naive book says what must come of it

  void add_account() {
    const auto name = one_in(4) && !naive_.accounts.empty() ? book_.account(any_account())->name : fmt::format("a{}", names_++);
    const auto decided = book_.add_account(name, one_in(2) ? std::optional<std::string_view>("business") : std::nullopt);
    if (book_.account(name)) return expect_refused("name_taken", decided);
    if (naive_.accounts.size() >= accounts_max) return expect_refused("account_limit", decided);
    accept("add_account", decided);
    naive_.accounts[decided->value.id] = decided->value;
    carry_out(decided->transaction);
  }

  void set_account() {
    if (naive_.accounts.empty()) return;
    const auto id = any_account();
    const auto plan = one_in(2) ? std::optional<std::string_view>(one_in(2) ? "business" : "personal") : std::nullopt;
    const auto suspended = one_in(2) ? std::optional(one_in(2)) : std::nullopt;
    const auto decided = book_.set_account(id, plan, suspended, now_);
    accept("set_account", decided);
    auto& account = naive_.accounts.at(id);
    const bool changed = suspended && *suspended != account.suspended;
    // Those that become active by this count from now, under the plan as it was.
    if (changed && *suspended) {
      for (const auto& [device, known] : naive_.devices)
        if (known.account == id) naive_.hold_all(device, now_);
    } else if (changed) {
      naive_.resume(id, now_);
    }
    if (changed) account.suspended = *suspended;
    if (plan) account.plan = *plan;
    carry_out(*decided);
  }

  void remove_account() {
    if (naive_.accounts.empty()) return;
    const auto id = any_account();
    const auto decided = book_.remove_account(id, now_);
    accept("remove_account", decided);
    std::vector<DeviceId> owned;
    for (const auto& [device, known] : naive_.devices)
      if (known.account == id) owned.push_back(device);
    for (const auto device : owned) naive_.remove_device(device, now_);
    naive_.accounts.erase(id);
    carry_out(*decided);
  }

  void add_device() {
    if (naive_.accounts.empty() || naive_.devices.size() >= devices_max) return;
    const auto account = any_account();
    const auto name = one_in(8) && !naive_.devices.empty() ? book_.device(any_device())->name : fmt::format("d{}", names_++);
    const auto decided = book_.add_device(account, name);
    if (book_.device(name)) return expect_refused("name_taken", decided);
    if (book_.devices_of(account).size() >= book_.policy().devices_per_account_max) return expect_refused("device_limit", decided);
    accept("add_device", decided);
    const auto last_octet = decided->value.tunnel_v4.bytes()[3];
    must(last_octet != 0 && last_octet != 1 && last_octet != 255, "a device got an address of the gateway");
    must(!book_.device_at(decided->value.tunnel_v4), "a tunnel address was given twice");
    naive_.devices[decided->value.id] = decided->value;
    carry_out(decided->transaction);
  }

  void remove_device() {
    if (naive_.devices.empty()) return;
    const auto id = any_device();
    const auto decided = book_.remove_device(id, now_);
    accept("remove_device", decided);
    naive_.remove_device(id, now_);
    carry_out(*decided);
  }

  void connect() {
    if (naive_.devices.empty()) return;
    const auto id = any_device();
    const auto decided = book_.connect(id, now_);
    accept("connect", decided);
    const auto account = naive_.devices.at(id).account;
    const auto wanted = naive_.connect(id, now_);
    const auto given = new_leases(decided->transaction);
    if (naive_.accounts.at(account).suspended) {
      must(given.empty() && decided->shortfall && decided->shortfall->code == "account_suspended",
           "a suspended account's device got ports");
    } else if (given.empty() && wanted > 0) {
      must(decided->shortfall.has_value(), "no ports and no reason");
      expect_none_free(decided->shortfall->code, account, wanted, std::nullopt);
    } else {
      must(given.size() == 2U * wanted, [&] { return fmt::format("{} ports were due, {} leases came", wanted, given.size()); });
    }
    if (!given.empty()) {
      met_["automatic ports"]++;
      const PortRange ports(given.begin()->first.port, given.rbegin()->first.port);
      must(ports.size() == wanted, "automatic ports are not contiguous");
      for (const auto& [on, lease] : given) must(lease.local_port == on.port, "an automatic lease leads elsewhere");
      expect_choice_allowed(given.begin()->first.host, ports, account);
      LeaseRequest request;
      request.device = id;
      request.kind = LeaseKind::automatic;
      for (const auto& [on, lease] : given) naive_.lease_on(request, on, on.port, now_);
    }
    carry_out(decided->transaction);
  }

  void disconnect() {
    if (naive_.devices.empty()) return;
    const auto id = any_device();
    const auto decided = book_.disconnect(id, now_);
    accept("disconnect", decided);
    naive_.disconnect(id, now_);
    carry_out(*decided);
  }

  void add_lease() {
    if (naive_.devices.empty()) return;
    LeaseRequest request;
    request.device = any_device();
    request.kind = std::array{LeaseKind::fixed, LeaseKind::requested, LeaseKind::requested, LeaseKind::automatic}[choose_(4)];
    request.count = static_cast<std::uint16_t>(one_in(3) ? choose_(5) : 1);
    if (!one_in(3)) request.port = one_in(40) ? Port{65534} : one_in(40) ? Port{0} : any_public_port().port;
    if (request.port || one_in(3)) request.host = one_in(30) ? "nowhere" : any_public_port().host;
    if (one_in(3)) request.local_port = one_in(20) ? Port{static_cast<std::uint16_t>(choose_(2) * 65535)} : Port{110};
    if (one_in(3)) request.lifetime = std::chrono::seconds(choose_(2000));
    request.tcp = !one_in(4);
    request.udp = !one_in(4);
    request.by_administrator = one_in(2);
    const auto decided = book_.add_lease(request, now_);
    const auto code = expected_code(request);
    if (!code.empty()) return expect_refused(code, decided);
    if (!decided) return expect_none_free(decided.error().code, naive_.devices.at(request.device).account, request.count, request.host);
    accept("add_lease", decided);

    const auto& leases = decided->value;
    must(!leases.empty(), "granted, but nothing");
    const PortRange ports(request.port.value_or(leases.front().on.port), leases.back().on.port);
    const auto& host = leases.front().on.host;
    must(leases.size() == std::size_t{ports.size()} * (request.tcp + request.udp) && ports.size() == request.count, "as many as asked for");
    must(!request.host || *request.host == host, "on the host asked for");
    if (!request.port) expect_choice_allowed(host, ports, naive_.devices.at(request.device).account);
    for (const auto& lease : leases) {
      const auto offset = lease.on.port.value() - ports.first().value();
      const Port local{static_cast<std::uint16_t>(request.local_port.value_or(ports.first()).value() + offset)};
      naive_.lease_on(request, lease.on, local, now_);
    }
    carry_out(decided->transaction);
    for (const auto& lease : leases) must(*book_.lease(lease.on) == lease, "the answer is not what came of it");
  }

  void set_lease() {
    const auto on = any_public_port();
    const Port local{static_cast<std::uint16_t>(one_in(10) ? 0 : 100 + choose_(2))};
    const auto decided = book_.set_lease(on, local, now_);
    if (!naive_.leases.contains(on)) return expect_refused("lease_unknown", decided);
    if (local.is_zero()) return expect_refused("port_zero", decided);
    accept("set_lease", decided);
    auto& lease = naive_.leases.at(on);
    if (lease.mapping && lease.local_port != local) lease.mapping->local_port_after = local;
    lease.local_port = local;
    carry_out(*decided);
  }

  void remove_lease() {
    const auto on = any_public_port();
    const auto decided = book_.remove_lease(on, now_);
    if (!naive_.leases.contains(on)) return expect_refused("lease_unknown", decided);
    accept("remove_lease", decided);
    naive_.end_lease(on, now_);
    carry_out(*decided);
  }

  // --- mappings of programs (book_exercise_mappings.h)

  void map();
  void end_mappings();
  void map_together();
  std::optional<Transaction> decide_mapping();
  std::optional<Transaction> decide_end();
  std::string expected_code(const MappingRequest& request, const Device& device) const;
  void expect_no_port_for(const MappingRequest& request, const std::string& code, const std::vector<PublicPort>& existing);

  void pass_time() {
    const auto next = book_.next_deadline();
    if (one_in(4) && next && *next > now_) {
      now_ = *next - Duration(choose_(2));
      return;
    }
    static constexpr std::array<std::uint32_t, 5> seconds_max{2, 120, 700, 3600, 9000};
    now_ += std::chrono::seconds(choose_(seconds_max[choose_(5)]));
  }

  void tick() {
    // In slices or at once: the same must come of it.
    const std::size_t limit = one_in(3) ? 1 + choose_(4) : 1000;
    met_["tick"]++;
    naive_.tick(now_);
    for (std::uint32_t slices = 0; book_.next_deadline() && *book_.next_deadline() <= now_; ++slices) {
      must(slices < 1000, "a deadline that is due stays due");
      const auto transaction = book_.tick(now_, limit);
      must(!transaction.empty(), "a deadline is due and nothing comes of it");
      carry_out(transaction);
    }
    must(book_.tick(now_).empty(), "something is due before its deadline");
  }

  void reconfigure() {
    const auto policy = policy_variant(one_in(3) ? 0 : choose_(512));
    must(validate(policy).has_value(), "the variant is sound");
    met_["reconfigure"]++;
    carry_out(book_.reconfigure(policy, now_));
    book_.adopt(policy);
    naive_.reconfigure(policy, now_);
    must(book_.reconfigure(policy, now_).empty(), "the same policy again changes something");
  }

  void restart() {
    met_["restart"]++;
    auto state = book_.state();
    must(validate(state).has_value(), "the book contradicts itself");
    book_ = LeaseBook(book_.policy(), std::move(state));
  }

  void ask_for_the_unknown() {
    LeaseRequest request;
    request.device = DeviceId{0xfffffff0};
    expect_refused("device_unknown", book_.add_lease(request, now_));
    expect_refused("device_unknown", book_.connect(request.device, now_));
    expect_refused("device_unknown", book_.disconnect(request.device, now_));
    expect_refused("device_unknown", book_.remove_device(request.device, now_));
    expect_refused("account_unknown", book_.remove_account(AccountId{0xfffffff0}, now_));
    expect_refused("account_unknown", book_.add_device(AccountId{0xfffffff0}, "x"));
  }

  // --- expectations

  template <class Decision>
  void accept(const std::string& what, const Decision& decided) {
    must(decided.has_value(), [&] { return fmt::format("{} was refused", what); });
    met_[what]++;
  }
  template <class Decision>
  void expect_refused(const std::string& code, const Decision& decided) {
    must(!decided, [&] { return "granted in spite of " + code; });
    must(decided.error().code == code, [&] { return fmt::format("refused with {} instead of {}", decided.error().code, code); });
    must(!decided.error().message.empty() && !decided.error().cure.empty(), "a refusal says why and what to do");
    met_[code]++;
  }

  std::string expected_code(const LeaseRequest& request) const {
    const auto& device = naive_.devices.at(request.device);
    const auto& plan = naive_.plan(device.account);
    const auto& hosts = naive_.policy.hosts;
    const auto quota = [&](std::uint32_t more) { return more == 0 || naive_.ports_held(device.account) + more <= plan.ports_max; };
    if (naive_.accounts.at(device.account).suspended) return "account_suspended";
    if (request.count == 0 || (!request.tcp && !request.udp)) return "request_empty";
    if (request.kind == LeaseKind::requested && !device.connected) return "not_connected";
    if (request.host && std::none_of(hosts.begin(), hosts.end(), [&](const PublicHost& host) { return host.name == *request.host; }))
      return "host_unknown";
    if (request.port == Port{0} || request.local_port == Port{0}) return "port_zero";
    if (request.local_port && request.local_port->value() + request.count > 65536) return "local_port_outside";
    if (!request.port) return quota(request.count) ? "" : "quota_exhausted";
    if (request.port->value() + request.count > 65536) return "port_outside_pool";
    std::vector<NaiveBook::Place> others;
    std::uint32_t fresh = 0;
    for (std::uint32_t i = 0; i < request.count; ++i) {
      const NaiveBook::Place place{*request.host, Port{static_cast<std::uint16_t>(request.port->value() + i)}};
      const auto hold = naive_.holds.find(place);
      if (hold != naive_.holds.end() && hold->second.device == request.device) continue;
      if (!naive_.policy.pool.contains(place.second)) return "port_outside_pool";
      others.push_back(place);
      const auto rest = naive_.rests.find(place);
      const bool counted = (hold != naive_.holds.end() && naive_.devices.at(hold->second.device).account == device.account) ||
                           (rest != naive_.rests.end() && rest->second.last_holder == device.account);
      fresh += !counted;
    }
    if (!others.empty() && !plan.port_choice && !request.by_administrator) return "port_choice_not_allowed";
    if (!quota(static_cast<std::uint32_t>(others.size())) || !naive_.rest_allows(device.account, fresh)) return "quota_exhausted";
    for (const auto& place : others) {
      if (naive_.holds.contains(place)) return "port_taken";
      if (naive_.occupied(place.second)) return "port_occupied";
      if (naive_.reserved(place.second)) return "port_reserved";
      if (!naive_.free_for(place, device.account)) return request.by_administrator ? "port_quarantined" : "port_taken";
    }
    return "";
  }

  void expect_choice_allowed(const std::string& host, PortRange ports, AccountId account) const {
    for (std::uint32_t port = ports.first().value(); port <= ports.last().value(); ++port)
      must(naive_.free_for({host, Port{static_cast<std::uint16_t>(port)}}, account),
           [&] { return fmt::format("port {} was not to be given", port); });
    std::uint32_t fresh = 0;
    for (std::uint32_t port = ports.first().value(); port <= ports.last().value(); ++port)
      fresh += !naive_.rests.contains({host, Port{static_cast<std::uint16_t>(port)}});
    must(naive_.rest_allows(account, fresh), "a choice beyond what may rest");
  }

  void expect_none_free(const std::string& code, AccountId account, std::uint32_t count, const std::optional<std::string>& host) {
    if (code == "quota_exhausted") {
      must(!naive_.rest_allows(account, count), "refused for what rests although that is within its bounds");
      met_["too many rest"]++;
      return;
    }
    std::uint32_t free = 0;
    for (const auto& one : naive_.policy.hosts) {
      if (host && one.name != *host) continue;
      for (std::uint32_t port = naive_.policy.pool.first().value(); port <= naive_.policy.pool.last().value(); ++port)
        free += naive_.free({one.name, Port{static_cast<std::uint16_t>(port)}});
    }
    must(naive_.longest_free_run(host) < count, "refused although there are free ports in a row");
    must(code == (free < count ? "pool_exhausted" : "no_contiguous_range"), [&] { return "the wrong reason: " + code; });
    met_[code]++;
  }

  static std::map<PublicPort, Lease> new_leases(const Transaction& transaction, const LeaseBook& book) {
    std::map<PublicPort, Lease> found;
    for (const auto& record : transaction.records)
      if (const auto* put = std::get_if<PutLease>(&record); put && !book.lease(put->lease.on)) found.emplace(put->lease.on, put->lease);
    return found;
  }
  std::map<PublicPort, Lease> new_leases(const Transaction& transaction) const { return new_leases(transaction, book_); }

  // --- carrying out and comparing

  void carry_out(const Transaction& transaction) {
    carry_out_applied(transaction);
    book_.apply(transaction);
  }
  void carry_out_applied(const Transaction& transaction) {
    must(transaction.generations_used_to >= generations_used_to_, "the count of generations went back");
    const auto key = [](const Redirection& one) { return std::tuple(one.public_address, one.protocol, one.public_port); };
    for (const auto& gone : transaction.remove) {
      const auto found = redirect_.find(key(gone));
      must(found != redirect_.end() && found->second.generation == gone.generation, "removed what was not there");
      redirect_.erase(found);
    }
    for (const auto& fresh : transaction.install) {
      const auto generation = static_cast<std::uint32_t>(fresh.generation);
      must(generation > generations_used_to_ && generation <= transaction.generations_used_to, "a generation was used before");
      must(redirect_.emplace(key(fresh), fresh).second, "installed over another");
    }
    for (const auto& longer : transaction.renew) {
      const auto found = redirect_.find(key(longer));
      must(found != redirect_.end(), "renewed what was not there");
      found->second.deadline = longer.deadline;
      must(found->second == longer, "a renewal changed more than the deadline");
    }
    generations_used_to_ = transaction.generations_used_to;
    keep_records(transaction);
  }

  void keep_records(const Transaction& transaction) {
    const auto keep = [this](const auto& record) {
      using Record = std::decay_t<decltype(record)>;
      if constexpr (std::is_same_v<Record, PutAccount>) kept_.accounts[record.account.id] = record.account;
      if constexpr (std::is_same_v<Record, DropAccount>) kept_.accounts.erase(record.id);
      if constexpr (std::is_same_v<Record, PutDevice>) kept_.devices[record.device.id] = record.device;
      if constexpr (std::is_same_v<Record, DropDevice>) kept_.devices.erase(record.id);
      if constexpr (std::is_same_v<Record, PutGrant>) kept_.grants[record.grant.id] = record.grant;
      if constexpr (std::is_same_v<Record, DropGrant>) kept_.grants.erase(record.id);
      if constexpr (std::is_same_v<Record, PutLease>) kept_.leases[record.lease.on] = record.lease;
      if constexpr (std::is_same_v<Record, DropLease>) kept_.leases.erase(record.on);
      if constexpr (std::is_same_v<Record, PutQuarantine>)
        kept_.quarantines[{record.quarantine.host, record.quarantine.ports.first()}] = record.quarantine;
      if constexpr (std::is_same_v<Record, DropQuarantine>)
        kept_.quarantines.erase({record.quarantine.host, record.quarantine.ports.first()});
    };
    for (const auto& record : transaction.records) std::visit(keep, record);
  }

  void compare() const {
    const auto leases = book_.leases();
    must(leases.size() == naive_.leases.size(),
         [&] { return fmt::format("{} leases instead of {}", leases.size(), naive_.leases.size()); });
    auto expected = naive_.leases.begin();
    std::set<Generation> generations;
    for (const auto* lease : leases) {
      const auto& [on, naive] = *expected++;
      const bool active = lease->state == LeaseState::active;
      must(lease->on == on && NaiveBook::NaiveLease{lease->local_port, lease->kind, active, lease->deadline, lease->mapping} == naive, [&] {
        return fmt::format("the lease of port {}/{} of {} differs: {} {} to {} until {}, not {} {} to {} until {}", to_string(on.port),
                           to_string(on.protocol), on.host, to_string(lease->kind), active, to_string(lease->local_port),
                           lease->deadline.time_since_epoch().count(), to_string(naive.kind), naive.active, to_string(naive.local_port),
                           naive.deadline.time_since_epoch().count());
      });
      must(active == (lease->generation != Generation::none) && (!active || generations.insert(lease->generation).second), "generations");
      const auto& device = naive_.devices.at(lease->device);
      must(!active || (device.connected && !naive_.accounts.at(device.account).suspended), "a lease is active without its device");
    }
    std::size_t held = 0;
    for (const auto& [id, account] : naive_.accounts) {
      must(book_.ports_held(id) == naive_.ports_held(id), "ports held");
      must(book_.ports_resting(id) == naive_.ports_resting(id), "ports resting");
      must(book_.account(id)->suspended == account.suspended && book_.account(id)->plan == account.plan, "an account differs");
      for (const auto* grant : book_.grants_of(id)) {
        for (std::uint32_t port = grant->ports.first().value(); port <= grant->ports.last().value(); ++port, ++held) {
          const auto hold = naive_.holds.find({grant->host, Port{static_cast<std::uint16_t>(port)}});
          must(hold != naive_.holds.end() && hold->second == NaiveBook::Hold{grant->device, grant->kind, grant->kept_until},
               [&] { return fmt::format("the grant of port {} of {} differs", port, grant->host); });
        }
      }
    }
    must(held == naive_.holds.size(), "more or fewer ports are held");
    std::size_t resting = 0;
    for (const auto* quarantine : book_.quarantines()) {
      for (std::uint32_t port = quarantine->ports.first().value(); port <= quarantine->ports.last().value(); ++port, ++resting) {
        const auto rest = naive_.rests.find({quarantine->host, Port{static_cast<std::uint16_t>(port)}});
        must(rest != naive_.rests.end() && rest->second == NaiveBook::Rest{quarantine->last_holder, quarantine->until},
             [&] { return fmt::format("the rest of port {} of {} differs", port, quarantine->host); });
      }
    }
    must(resting == naive_.rests.size(), "more or fewer ports rest");
    for (const auto& [id, device] : naive_.devices) must(book_.device(id)->connected == device.connected, "a device differs");
    must(book_.next_deadline() == naive_.next_deadline(), "the next deadline differs");

    const auto desired = book_.redirections();
    must(desired.size() == redirect_.size(), "the redirect differs");
    for (const auto& one : desired) {
      const auto found = redirect_.find({one.public_address, one.protocol, one.public_port});
      must(found != redirect_.end() && found->second == one, "a redirection differs");
    }
  }

  template <class Map>
  auto any_key(const Map& map) {
    return std::next(map.begin(), choose_(static_cast<std::uint32_t>(map.size())))->first;
  }
  DeviceId any_device() { return any_key(naive_.devices); }
  AccountId any_account() { return any_key(naive_.accounts); }
  PublicPort any_public_port() {
    if (!naive_.leases.empty() && one_in(2)) return any_key(naive_.leases);
    return {one_in(2) ? "main" : "second", one_in(2) ? Protocol::tcp : Protocol::udp, Port{static_cast<std::uint16_t>(9999 + choose_(26))}};
  }
  bool one_in(std::uint32_t n) { return choose_(n) == 0; }

  Choose choose_;
  LeaseBook book_;
  NaiveBook naive_;
  Time now_{std::chrono::seconds(1000)};
  std::uint32_t names_ = 0;
  std::map<std::string, std::uint64_t> met_;
  std::map<std::tuple<Address, Protocol, Port>, Redirection> redirect_;  // of one that has only ever heard the transactions
  std::uint32_t generations_used_to_ = 0;
  struct Kept {
    std::map<AccountId, Account> accounts;
    std::map<DeviceId, Device> devices;
    std::map<GrantId, Grant> grants;
    std::map<PublicPort, Lease> leases;
    std::map<std::pair<std::string, Port>, Quarantine> quarantines;
  } kept_;
};

}  // namespace drpf::lease::test

#include "support/book_exercise_mappings.h"
