// A machine and a scanner that are not there, for the tests of survey/.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "scan/tell/report_forms.h"
#include "survey/plan.h"
#include "survey/run.h"

namespace drpf::survey {

using scan::Cause;
using scan::Kind;
using scan::State;

inline Address address(std::string_view text) { return *parse_address(text); }

// --- A machine that is not there: 10.0.0.2/24 and a public address, an exclude list, a handful of names.
struct FakeMachine {
  std::map<std::string, std::string> files;
  bool raw = true;
  std::vector<std::string> chains;  // of rules for output

  Environment environment() const {
    Environment here;
    here.read_file = [this](const std::string& path, std::size_t) -> Result<std::string> {
      const auto found = files.find(path);
      if (found == files.end()) return fail(not_found("usage", "cannot read " + path));
      return found->second;
    };
    here.resolve = [](const std::string& name) -> Result<std::vector<Address>> {
      if (name == "nas") return std::vector{address("fd00::7"), address("10.0.0.7"), address("10.0.0.8")};
      if (name == "hosted") return std::vector{address("2001:db8::20"), address("10.0.0.20")};
      if (name == "server") return std::vector{address("2001:db8::21"), address("203.0.113.21")};
      if (name == "local") return std::vector{address("fe80::9")};
      if (name == "strange") return std::vector{address("203.0.113.7")};
      return fail(not_found("target_unresolved", "the name '" + name + "' cannot be resolved"));
    };
    here.addresses = [] {
      std::vector<system::InterfaceAddress> all(4);
      all[0] = {.interface = "lo", .address = address("127.0.0.1"), .prefix_length = 8};
      all[1] = {.interface = "eth0", .address = address("10.0.0.2"), .prefix_length = 24, .global = true};
      all[2] = {.interface = "wan0", .address = address("198.51.100.2"), .prefix_length = 24, .global = true};
      all[3] = {.interface = "eth0", .address = address("fe80::2"), .prefix_length = 64};
      return Result<std::vector<system::InterfaceAddress>>(all);
    };
    here.likely_ports = [](std::size_t count, Protocol) {
      std::vector<Port> ports;
      for (std::size_t i = 0; i < count; ++i) ports.emplace_back(static_cast<std::uint16_t>(count - i));
      return ports;
    };
    here.services.ports = [](std::string_view name, Protocol protocol) {
      return name == "ssh" && protocol == Protocol::tcp ? std::vector{Port{22}} : std::vector<Port>{};
    };
    here.services.nearest = [](std::string_view) { return std::vector<std::string>{"ssh"}; };
    here.services.names_of = [](Port, Protocol) { return std::vector<std::string_view>(); };
    here.output_chains = [this] { return chains; };
    here.service_name = [](std::uint16_t number, Kind) { return number == 22 ? "ssh" : ""; };
    here.raw_sockets_allowed = raw;
    return here;
  }
  Result<Plan> plan(const Options& options) const { return make_plan(options, environment()); }
};

inline Options with_targets(std::vector<std::string> targets) {
  Options options;
  options.targets = std::move(targets);
  return options;
}

inline std::vector<std::string> texts(const std::vector<Address>& addresses) {
  std::vector<std::string> out;
  for (const auto& one : addresses) out.push_back(to_string(one));
  return out;
}

class FakeClock : public Clock {
 public:
  Time now() const override { return Time(std::chrono::seconds(++seconds_)); }
  WallTime wall_now() const override { return WallTime(std::chrono::seconds(1'772'366'400 + seconds_)); }

 private:
  mutable long seconds_ = 0;
};

// Hosts with an even last byte are there; of these, even ports are open. `verdicts_max` verdicts, then it is interrupted.
struct FakeScanner {
  std::vector<scan::Request> requests;
  std::uint64_t verdicts_max = ~std::uint64_t{0};
  std::uint64_t given = 0;
  std::map<Address, probe::LinkAnswer> links;                          // what neighbours say
  std::map<Address, scan::Verdict> verdicts;                           // of all ports of a host
  std::shared_ptr<std::mutex> mutex = std::make_shared<std::mutex>();  // two rounds of a search run at the same time

  Result<scan::Tally> run(const scan::Request& request, probe::ScanObserver& observer) {
    const std::lock_guard lock(*mutex);
    requests.push_back(request);
    scan::Tally tally;
    for (std::size_t target = 0; target < request.targets.size(); ++target) {
      if (const auto link = links.find(request.targets[target]); link != links.end()) observer.on_link_answer(target, link->second);
      for (std::size_t number = 0; number < request.numbers.size(); ++number) {
        const auto index = target * request.numbers.size() + number;
        if (request.resume && request.resume->verdicts[index].state != State::undecided) {
          observer.on_verdict(target, number, request.resume->verdicts[index]);
          continue;
        }
        if (given >= verdicts_max) {
          observer.on_verdict(target, number, {});
          tally.interrupted = true;
          continue;
        }
        ++given;
        ++tally.probes;
        observer.on_verdict(target, number, verdict_of(request.targets[target], request.numbers[number]));
      }
    }
    tally.loss = 0.01;
    tally.loss_measured_by = "3 canaries";
    observer.on_progress(tally);
    return tally;
  }

  scan::Verdict verdict_of(const Address& host, std::uint16_t number) const {
    if (const auto told = verdicts.find(host); told != verdicts.end()) return told->second;
    scan::Verdict verdict;
    verdict.probes = 1;
    if (host.bytes().back() % 2 != 0) {
      verdict.state = State::filtered;
      verdict.cause = Cause::no_response;
      return verdict;
    }
    verdict.state = number % 2 == 0 ? State::open : State::closed;
    verdict.cause = number % 2 == 0 ? Cause::syn_ack : Cause::reset;
    verdict.ttl = 64;
    verdict.rtt = std::chrono::microseconds(number);
    return verdict;
  }
};

struct Ran {
  std::string text;
  Outcome outcome;
  Knowledge knowledge;
};

inline Ran run_with(FakeScanner& scanner, const Plan& plan, scan::Format format, std::optional<Knowledge> knowledge = std::nullopt,
                    std::uint64_t ports_at_once = ports_at_once_max) {
  Ran ran{"", {}, knowledge ? std::move(*knowledge) : Knowledge(plan)};
  std::vector<Output> outputs;
  outputs.push_back({make_report(format, {}), [&](std::string_view part) -> Status {
                       ran.text += part;
                       return {};
                     }});
  const FakeClock clock;
  const Surroundings around{
      .scanner = [&](const scan::Request& request, probe::ScanObserver& observer, const auto&) { return scanner.run(request, observer); },
      .banners = nullptr,
      .clock = clock,
      .stop = [] { return false; },
      .service_name = FakeMachine{}.environment().service_name,
      .progress = nullptr,
      .ports_at_once = ports_at_once};
  const scan::ReportHead head{.version = "1",
                              .command = "drpf scan",
                              .started = clock.wall_now(),
                              .passes = plan.passes,
                              .targets = plan.targets.size(),
                              .forced = false};
  ran.outcome = run_plan(plan, head, ran.knowledge, outputs, around);
  return ran;
}

}  // namespace drpf::survey
