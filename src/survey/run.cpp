#include "survey/run.h"

#include <algorithm>

#include <fmt/format.h>

#include "scan/port_list.h"
#include "scan/service_guess.h"

namespace drpf::survey {
namespace {

using scan::HostStatus;
using scan::Kind;
using scan::State;

// Ports that hosts of many kinds answer on, if only with a reset.
const std::vector<std::uint16_t> discovery_ports = {22, 53, 80, 443, 445};
constexpr unsigned discovery_probes = 2;  // per port
constexpr std::uint16_t icmp = 1;
constexpr std::uint16_t icmp_v6 = 58;

// Whether an answer shows that the host is there: one of its own, not a router's or this machine's word about it.
bool shows_host(const scan::Verdict& verdict, const Address& host) {
  switch (verdict.cause) {
    case scan::Cause::none:
    case scan::Cause::no_response:
    case scan::Cause::local_error:
    case scan::Cause::net_unreach:
    case scan::Cause::host_unreach:
    case scan::Cause::addr_unreach:
    case scan::Cause::no_route:
    case scan::Cause::beyond_scope:
    case scan::Cause::time_exceeded:
      return false;
    default:
      return !verdict.sender || *verdict.sender == host;
  }
}

std::uint64_t ports_per_host(const Plan& plan) {
  std::uint64_t sum = 0;
  for (const auto& pass : plan.passes) sum += pass.numbers.size();
  return sum;
}

class Discoverer : public probe::ScanObserver {
 public:
  Discoverer(const std::vector<std::size_t>& hosts, const Plan& plan, Knowledge& knowledge,
             std::function<void(const scan::Tally&)> progress)
      : hosts_(hosts), plan_(plan), knowledge_(knowledge), progress_(std::move(progress)) {}
  void on_verdict(std::size_t target, std::size_t, const scan::Verdict& verdict) override {
    const auto host = hosts_[target];
    if (!shows_host(verdict, plan_.targets[host])) return;
    knowledge_.statuses[host] = HostStatus::up;
    knowledge_.status_reasons[host] = reason_text(verdict);
  }
  void on_progress(const scan::Tally& tally) override { progress_(tally); }

 private:
  const std::vector<std::size_t>& hosts_;
  const Plan& plan_;
  Knowledge& knowledge_;
  std::function<void(const scan::Tally&)> progress_;
};

class Recorder : public probe::ScanObserver {
 public:
  Recorder(const std::vector<std::size_t>& hosts, scan::VerdictTable& table, std::function<void(const scan::Tally&)> progress,
           std::function<void()> sockets_open)
      : hosts_(hosts), table_(table), progress_(std::move(progress)), sockets_open_(std::move(sockets_open)) {}
  void on_verdict(std::size_t target, std::size_t number, const scan::Verdict& verdict) override {
    table_.set(hosts_[target], number, verdict);
  }
  void on_progress(const scan::Tally& tally) override { progress_(tally); }
  void on_sockets_open() override {
    if (sockets_open_) sockets_open_();
  }

 private:
  const std::vector<std::size_t>& hosts_;
  scan::VerdictTable& table_;
  std::function<void(const scan::Tally&)> progress_;
  std::function<void()> sockets_open_;
};

class Run {
 public:
  Run(const Plan& plan, scan::ReportHead head, Knowledge& knowledge, std::vector<Output>& outputs, const Surroundings& surroundings)
      : plan_(plan),
        head_(std::move(head)),
        knowledge_(knowledge),
        outputs_(outputs),
        around_(surroundings),
        begun_(surroundings.clock.now()) {
    ports_per_host_ = ports_per_host(plan);
    keep_ = keeps_everything(plan);
  }

  Outcome whole() {
    write([&](scan::Report& report) { return report.begin(head_); });
    for (std::size_t at = 0; at < plan_.targets.size() && going(); at = scan_group(at)) {}
    finish();
    write([&](scan::Report& report) { return report.end(outcome_.tail); });
    return std::move(outcome_);
  }

 private:
  scan::Tally& tally() { return outcome_.tail.tally; }
  bool going() { return !outcome_.error && !tally().interrupted; }

  // Hosts of one family, as many as their ports fit. Returns where the next group begins.
  std::size_t scan_group(std::size_t at) {
    const auto family = plan_.targets[at].family();
    std::vector<std::size_t> hosts;
    auto end = at;
    while (end < plan_.targets.size() && plan_.targets[end].family() == family &&
           (hosts.empty() || (hosts.size() + 1) * ports_per_host_ <= around_.ports_at_once))
      hosts.push_back(end++);
    discover(hosts);
    std::vector<std::size_t> living;
    for (const auto host : hosts)
      if (knowledge_.statuses[host] != HostStatus::down) living.push_back(host);
    if (!plan_.only_discovery && !living.empty())
      for (std::size_t pass = 0; pass < plan_.passes.size() && going(); ++pass) scan_ports(living, pass);
    for (const auto host : hosts) report(host);
    return reached_ = end;
  }

  bool to_discover(std::size_t host) const {
    if (knowledge_.statuses[host] != HostStatus::unknown || plan_.discovery == Discovery::never) return false;
    return plan_.discovery == Discovery::always || !plan_.named.contains(plan_.targets[host]);
  }

  void discover(const std::vector<std::size_t>& hosts) {
    const bool raw = std::any_of(plan_.passes.begin(), plan_.passes.end(), [](const auto& pass) { return needs_raw_sockets(pass.kind); });
    std::vector<std::size_t> asked;
    for (const auto host : hosts)
      if (to_discover(host)) asked.push_back(host);
    const auto begun = asked;
    std::vector<scan::PassHead> rounds;
    if (raw && !asked.empty()) rounds.push_back({Kind::ip_protocol, {plan_.targets[asked.front()].is_v4() ? icmp : icmp_v6}});
    rounds.push_back({raw ? Kind::syn : Kind::connect, discovery_ports});
    for (const auto& round : rounds) {
      if (asked.empty() || !going()) break;
      auto request = request_for(asked, round);
      request.pace.probes_max = discovery_probes;
      request.zombie.reset();
      Discoverer discoverer(asked, plan_, knowledge_, [&](const scan::Tally& now) { show("looking for hosts", now, 0, asked.size()); });
      const auto seen = around_.scanner(request, discoverer, around_.stop);
      if (!seen) return give_up(seen.error());
      add(*seen, false);
      std::erase_if(asked, [&](auto host) { return knowledge_.statuses[host] == HostStatus::up; });
    }
    if (!going()) return;
    for (const auto host : asked) {
      knowledge_.statuses[host] = HostStatus::down;
      knowledge_.status_reasons[host] =
          fmt::format("nothing answered {} probes", (discovery_ports.size() + (raw ? 1 : 0)) * discovery_probes);
    }
  }

  scan::Request request_for(const std::vector<std::size_t>& hosts, const scan::PassHead& pass) const {
    scan::Request request;
    request.kind = pass.kind;
    request.numbers = pass.numbers;
    for (const auto host : hosts) request.targets.push_back(plan_.targets[host]);
    request.pace = plan_.pace;
    request.interface = plan_.interface;
    if (plan_.source && plan_.source->family() == request.targets.front().family()) request.source = plan_.source;
    request.zombie = pass.kind == Kind::idle ? plan_.zombie : std::nullopt;
    request.udp_fast = plan_.udp_fast;
    return request;
  }

  void scan_ports(const std::vector<std::size_t>& hosts, std::size_t pass) {
    const auto& head = plan_.passes[pass];
    auto& table = knowledge_.verdicts[pass];
    auto request = request_for(hosts, head);
    request.resume = progress_of(hosts, table);
    const bool last = hosts.back() + 1 == plan_.targets.size() && pass + 1 == plan_.passes.size();
    const auto showing = [&](const scan::Tally& now) {
      show(fmt::format("{} scan", to_string(head.kind)), now, now.decided, plan_.targets.size() * ports_per_host_);
    };
    Recorder recorder(hosts, table, showing, last ? around_.last_sockets_open : nullptr);
    const auto seen = around_.scanner(request, recorder, around_.stop);
    if (!seen) return give_up(seen.error());
    add(*seen, true);
  }

  // The verdicts of an earlier run; nothing for a fresh scan.
  std::optional<scan::Progress> progress_of(const std::vector<std::size_t>& hosts, const scan::VerdictTable& table) const {
    if (std::none_of(hosts.begin(), hosts.end(), [&](auto host) { return table.begun(host); })) return std::nullopt;
    scan::Progress progress;
    progress.seed = knowledge_.seed;
    progress.verdicts.reserve(hosts.size() * table.numbers());
    for (const auto host : hosts)
      for (std::size_t number = 0; number < table.numbers(); ++number) progress.verdicts.push_back(table.at(host, number));
    return progress;
  }

  void give_up(const Error& error) { outcome_.error = error; }

  void add(const scan::Tally& part, bool ports) {
    auto& sum = tally();
    sum.probes += part.probes;
    sum.answers += part.answers;
    sum.strays += part.strays;
    sum.ring_drops += part.ring_drops;
    sum.send_errors += part.send_errors;
    sum.interrupted = sum.interrupted || part.interrupted;
    if (!ports) return;
    // The worst of the parts stands for the whole.
    if (part.loss && (!sum.loss || *part.loss > *sum.loss)) {
      sum.loss = part.loss;
      sum.loss_measured_by = part.loss_measured_by;
    } else if (!part.loss && !sum.loss) {
      sum.loss_measured_by = part.loss_measured_by;
    }
    sum.miss_probability = any_part_ ? std::max(sum.miss_probability, part.miss_probability) : part.miss_probability;
    if (part.answers_limited_to) {
      sum.answers_limited_to = part.answers_limited_to;
      sum.limited_answers = part.limited_answers;
    }
    any_part_ = true;
  }

  void report(std::size_t host) {
    scan::HostReport out;
    out.address = plan_.targets[host];
    if (const auto name = plan_.names.find(out.address); name != plan_.names.end()) out.name = name->second;
    out.status = knowledge_.statuses[host];
    out.status_reason = knowledge_.status_reasons[host];
    const bool begun =
        std::any_of(knowledge_.verdicts.begin(), knowledge_.verdicts.end(), [&](const auto& table) { return table.begun(host); });
    if (out.status != HostStatus::down && !plan_.only_discovery) {
      if (!begun && !going()) {
        ++outcome_.tail.hosts_not_begun;
        return;
      }
      for (std::size_t pass = 0; pass < plan_.passes.size(); ++pass) out.passes.push_back(report_pass(host, pass));
      judge(out);
    } else if (out.status == HostStatus::unknown) {
      ++outcome_.tail.hosts_not_begun;
      return;
    }
    if (out.status == HostStatus::up) ++outcome_.tail.hosts_up;
    if (out.status == HostStatus::down) ++outcome_.tail.hosts_down;
    note_odd_ttls(out);
    out.notes = findings(out);
    ask_banners(out);
    write([&](scan::Report& report) { return report.host(out); });
    if (!keep_)
      for (auto& table : knowledge_.verdicts) table.forget(host);
  }

  scan::PassReport report_pass(std::size_t host, std::size_t pass) {
    const auto& head = plan_.passes[pass];
    const auto& table = knowledge_.verdicts[pass];
    scan::PassReport out;
    out.kind = head.kind;
    out.ports.reserve(head.numbers.size());
    std::vector<std::uint16_t> undecided;
    for (std::size_t number = 0; number < head.numbers.size(); ++number) {
      scan::PortReport port;
      port.number = head.numbers[number];
      port.verdict = table.at(host, number);
      port.service = around_.service_name(port.number, head.kind);
      const auto state = port.verdict.state;
      if (state == State::undecided) undecided.push_back(port.number);
      if (state == State::open) ++tally().open;
      ++(state == State::undecided ? tally().undecided : tally().decided);
      out.ports.push_back(std::move(port));
    }
    if (!undecided.empty()) name_undecided(plan_.targets[host], head.kind, undecided);
    return out;
  }

  void name_undecided(const Address& host, Kind kind, const std::vector<std::uint16_t>& numbers) {
    auto& lines = outcome_.tail.undecided;
    if (lines.size() < undecided_lines_max)
      lines.push_back(
          fmt::format("{}: {} of {}", to_string(host), scan::as_ranges(numbers, undecided_ranges_max), scan::transport_name(kind)));
    else if (lines.size() == undecided_lines_max)
      lines.emplace_back("more hosts than are named here: the reports with every port (JSON, CSV) have them");
  }

  // A host that was not looked for is up if a port of it said something.
  void judge(scan::HostReport& out) {
    for (const auto& pass : out.passes) {
      for (const auto& port : pass.ports) {
        if (port.verdict.state == State::undecided && port.verdict.cause == scan::Cause::none) out.interrupted = tally().interrupted;
        if (out.status != HostStatus::unknown || !shows_host(port.verdict, out.address)) continue;
        out.status = HostStatus::up;
        out.status_reason = reason_text(port.verdict);
      }
    }
    if (out.status == HostStatus::unknown) out.status_reason = "no-response";
  }

  void ask_banners(scan::HostReport& out) {
    if (!around_.banners || !going()) return;
    for (auto& pass : out.passes) {
      if (scan::protocol_of(pass.kind) != Protocol::tcp) continue;
      std::vector<probe::BannerWish> open;
      std::vector<scan::PortReport*> ports;
      for (auto& port : pass.ports) {
        if (port.verdict.state != State::open) continue;
        open.push_back({{out.address, Port{port.number}}, port.service.starts_with("http")});
        ports.push_back(&port);
      }
      if (open.empty()) continue;
      const auto said = around_.banners(open, around_.stop);
      for (std::size_t i = 0; i < ports.size() && i < said.size(); ++i) {
        ports[i]->banner = said[i];
        ports[i]->guess = scan::guess_service(said[i]);
      }
    }
  }

  template <class Text>
  void write(Text text) {
    for (auto& output : outputs_) {
      const auto written = output.write(text(*output.report));
      if (!written && !outcome_.error) outcome_.error = written.error();
    }
  }

  void show(const std::string& what, const scan::Tally& now, std::uint64_t decided, std::uint64_t total) {
    if (!around_.progress) return;
    const auto before = tally().decided + tally().undecided;
    around_.progress({what, before + decided, total, tally().open + now.open, now.rate, now.time_left});
  }

  void finish() {
    auto& tail = outcome_.tail;
    tail.finished = around_.clock.wall_now();
    tail.elapsed = around_.clock.now() - begun_;
    const auto seconds = std::chrono::duration<double>(tail.elapsed).count();
    tail.tally.rate = seconds > 0 ? static_cast<double>(tail.tally.probes) / seconds : 0;
    tail.hosts_not_begun += plan_.targets.size() - reached_;
    if (tail.tally.ring_drops > 0)
      tail.warnings.push_back(
          fmt::format("{} answers were lost on this machine: scan slower (--max-rate) to be sure", tail.tally.ring_drops));
    if (outcome_.error) tail.warnings.push_back("the scan ended early: " + outcome_.error->message);
  }

  const Plan& plan_;
  scan::ReportHead head_;
  Knowledge& knowledge_;
  std::vector<Output>& outputs_;
  const Surroundings& around_;
  Time begun_;
  std::uint64_t ports_per_host_ = 0;
  std::size_t reached_ = 0;  // targets up to here had their turn
  bool keep_ = true;
  bool any_part_ = false;
  Outcome outcome_;
};

}  // namespace

Knowledge::Knowledge(const Plan& plan) : statuses(plan.targets.size()), status_reasons(plan.targets.size()) {
  for (const auto& pass : plan.passes) verdicts.emplace_back(plan.targets.size(), pass.numbers.size());
}

bool keeps_everything(const Plan& plan) { return plan.targets.size() * ports_per_host(plan) <= ports_kept_max; }

Outcome run_plan(const Plan& plan, scan::ReportHead head, Knowledge& knowledge, std::vector<Output>& outputs,
                 const Surroundings& surroundings) {
  return Run(plan, std::move(head), knowledge, outputs, surroundings).whole();
}

}  // namespace drpf::survey
