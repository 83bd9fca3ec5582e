#include "survey/run.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <thread>

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

// What a host that has not shown itself was asked, and what others said of it.
struct Search {
  unsigned probes = 0;
  std::string word;              // of a router, or of this machine
  bool trouble_is_ours = false;  // this machine could not ask it
};

struct Searches {
  std::mutex mutex;                  // of all that a search finds: two rounds may run at the same time
  std::map<std::size_t, Search> of;  // by target
};

class Discoverer : public probe::ScanObserver {
 public:
  Discoverer(const std::vector<std::size_t>& hosts, const Plan& plan, Knowledge& knowledge, Searches& searches,
             std::function<void(const scan::Tally&)> progress)
      : hosts_(hosts), plan_(plan), knowledge_(knowledge), searches_(searches), progress_(std::move(progress)) {}
  void on_verdict(std::size_t target, std::size_t, const scan::Verdict& verdict) override {
    const std::lock_guard lock(searches_.mutex);
    const auto host = hosts_[target];
    if (shows_host(verdict, plan_.targets[host])) {
      knowledge_.statuses[host] = HostStatus::up;
      knowledge_.status_reasons[host] = reason_text(verdict);
      return;
    }
    auto& search = searches_.of[host];
    search.probes += verdict.probes;
    if (verdict.cause == scan::Cause::none || verdict.cause == scan::Cause::no_response) return;
    search.trouble_is_ours = verdict.cause == scan::Cause::local_error;
    search.word = reason_text(verdict);
  }
  void on_link_answer(std::size_t target, const probe::LinkAnswer& answer) override {
    const std::lock_guard lock(searches_.mutex);
    knowledge_.links[hosts_[target]] = answer;
  }
  void on_progress(const scan::Tally& tally) override {
    if (progress_) progress_(tally);
  }

 private:
  const std::vector<std::size_t>& hosts_;
  const Plan& plan_;
  Knowledge& knowledge_;
  Searches& searches_;
  std::function<void(const scan::Tally&)> progress_;
};

class Recorder : public probe::ScanObserver {
 public:
  Recorder(const std::vector<std::size_t>& hosts, Knowledge& knowledge, std::size_t pass, std::function<void(const scan::Tally&)> progress,
           std::function<void()> sockets_open)
      : hosts_(hosts),
        knowledge_(knowledge),
        table_(knowledge.verdicts[pass]),
        progress_(std::move(progress)),
        sockets_open_(std::move(sockets_open)) {}
  void on_link_answer(std::size_t target, const probe::LinkAnswer& answer) override { knowledge_.links[hosts_[target]] = answer; }
  void on_verdict(std::size_t target, std::size_t number, const scan::Verdict& verdict) override {
    table_.set(hosts_[target], number, verdict);
  }
  void on_progress(const scan::Tally& tally) override { progress_(tally); }
  void on_sockets_open() override {
    if (sockets_open_) sockets_open_();
  }

 private:
  const std::vector<std::size_t>& hosts_;
  Knowledge& knowledge_;
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
    for (const auto& why : plan_.unresolved) name_undecided(why);
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
    say_who_answers_for_others(hosts);
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
    if (asked.empty()) return;
    Searches searches;
    const scan::PassHead echo{Kind::ip_protocol, {plan_.targets[asked.front()].is_v4() ? icmp : icmp_v6}};
    const scan::PassHead ports{raw ? Kind::syn : Kind::connect, discovery_ports};
    // Who is on a link of this machine is found by the neighbours' answers that the first round begins with. Behind a router silence takes
    // long, so both are awaited at the same time.
    const bool far = std::any_of(asked.begin(), asked.end(), [&](auto host) { return !plan_.is_near(plan_.targets[host]); });
    std::optional<Result<scan::Tally>> other;
    std::jthread beside;
    if (raw && far)
      beside = std::jthread([&, asked] { other = look_for(asked, echo, searches, 2, nullptr); });
    else if (raw && !looked(hosts, asked, look_for(asked, echo, searches, 1, showing_search(asked))))
      return;
    if (!asked.empty()) {
      auto seen = look_for(asked, ports, searches, beside.joinable() ? 2 : 1, showing_search(asked));
      if (beside.joinable()) beside.join();
      if (!looked(hosts, asked, std::move(seen)) || (other && !looked(hosts, asked, std::move(*other)))) return;
    }
    if (!going()) return;
    for (const auto host : asked) {
      const auto& search = searches.of[host];
      knowledge_.status_reasons[host] = search.word.empty() ? fmt::format("nothing answered {} probes", search.probes) : search.word;
      if (!search.trouble_is_ours) knowledge_.statuses[host] = HostStatus::down;
    }
  }

  std::function<void(const scan::Tally&)> showing_search(const std::vector<std::size_t>& asked) {
    return [this, count = asked.size()](const scan::Tally& now) { show("looking for hosts", now, 0, count); };
  }

  // `rounds`: that share the rate.
  Result<scan::Tally> look_for(const std::vector<std::size_t>& asked, const scan::PassHead& round, Searches& searches, unsigned rounds,
                               std::function<void(const scan::Tally&)> progress) {
    auto request = request_for(asked, round);
    request.pace.probes_max = discovery_probes;
    request.pace.ceiling /= rounds;
    if (request.pace.start) *request.pace.start /= rounds;
    request.zombie.reset();
    Discoverer discoverer(asked, plan_, knowledge_, searches, std::move(progress));
    return around_.scanner(request, discoverer, around_.stop);
  }

  // Keeps in `asked` those of whom nothing is known yet; false: the scan is over.
  bool looked(const std::vector<std::size_t>& hosts, std::vector<std::size_t>& asked, Result<scan::Tally> seen) {
    if (!seen) {
      give_up(seen.error());
      return false;
    }
    seen->strays = 0;  // answers to the round beside it
    add(*seen, false);
    count_cards(hosts);
    for (const auto host : asked) believe_link(host);
    std::erase_if(asked, [&](auto host) { return knowledge_.statuses[host] != HostStatus::unknown; });
    return going();
  }

  // How many of these hosts each hardware address has answered for.
  void count_cards(const std::vector<std::size_t>& hosts) {
    cards_.clear();
    for (const auto host : hosts)
      if (const auto& link = knowledge_.links[host]; link && link->answered) ++cards_[*link->hardware];
  }

  bool answers_for_itself(std::size_t host) const {
    const auto& link = knowledge_.links[host];
    return link && link->answered && cards_.at(*link->hardware) <= addresses_of_one_card_max;
  }

  // Who answers for its address is there, even if it says nothing else; who does not cannot be reached.
  void believe_link(std::size_t host) {
    const auto& link = knowledge_.links[host];
    if (!link || knowledge_.statuses[host] != HostStatus::unknown) return;
    const bool v4 = plan_.targets[host].is_v4();
    if (!link->hardware) {
      knowledge_.statuses[host] = HostStatus::down;
      knowledge_.status_reasons[host] = fmt::format("nothing answered {}", v4 ? "ARP" : "neighbour discovery");
    } else if (answers_for_itself(host)) {
      knowledge_.statuses[host] = HostStatus::up;
      knowledge_.status_reasons[host] = v4 ? scan::up_by_arp : scan::up_by_neighbour_discovery;
    }
  }

  void say_who_answers_for_others(const std::vector<std::size_t>& hosts) {
    count_cards(hosts);
    for (const auto& [hardware, count] : cards_)
      if (count > addresses_of_one_card_max)
        outcome_.tail.warnings.push_back(
            fmt::format("{} answers {} for {} addresses, as a router does in the place of others (proxy ARP): that shows no host, and only "
                        "those that answered otherwise are called up",
                        system::to_string(hardware), plan_.targets[hosts.front()].is_v4() ? "ARP" : "neighbour discovery", count));
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
    request.through_own_rules = plan_.through_own_rules;
    return request;
  }

  void scan_ports(const std::vector<std::size_t>& hosts, std::size_t pass) {
    const auto& head = plan_.passes[pass];
    const auto& table = knowledge_.verdicts[pass];
    auto request = request_for(hosts, head);
    request.resume = progress_of(hosts, table);
    const bool last = hosts.back() + 1 == plan_.targets.size() && pass + 1 == plan_.passes.size();
    const auto showing = [&](const scan::Tally& now) {
      show(fmt::format("{} scan", to_string(head.kind)), now, now.decided, plan_.targets.size() * ports_per_host_);
    };
    Recorder recorder(hosts, knowledge_, pass, showing, last ? around_.last_sockets_open : nullptr);
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
    out.zone = zone_of(out.address);
    if (const auto& link = knowledge_.links[host]; link && link->hardware) out.hardware = system::to_string(*link->hardware);
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
      judge(out, host);
    } else if (out.status == HostStatus::unknown) {
      if (out.status_reason.empty()) {
        ++outcome_.tail.hosts_not_begun;
        return;
      }
      name_undecided(fmt::format("{}: {}", out.where(), out.status_reason));
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
    std::map<std::string, std::uint64_t> troubles;
    for (std::size_t number = 0; number < head.numbers.size(); ++number) {
      scan::PortReport port;
      port.number = head.numbers[number];
      port.verdict = table.at(host, number);
      port.service = around_.service_name(port.number, head.kind);
      const auto state = port.verdict.state;
      if (state == State::undecided) undecided.push_back(port.number);
      if (state == State::open) ++tally().open;
      if (port.verdict.cause == scan::Cause::local_error)
        ++troubles[port.verdict.note.empty() ? reason_text(port.verdict) : port.verdict.note];
      ++(state == State::undecided ? tally().undecided : tally().decided);
      out.ports.push_back(std::move(port));
    }
    for (const auto& [what, ports] : troubles) {
      auto& trouble = troubles_[what];
      trouble.ports += ports;
      ++trouble.hosts;
    }
    if (!undecided.empty())
      name_undecided(fmt::format("{}: {} of {}", scan::with_zone(plan_.targets[host], zone_of(plan_.targets[host])),
                                 scan::as_ranges(undecided, undecided_ranges_max), scan::transport_name(head.kind)));
    return out;
  }

  std::string zone_of(const Address& address) const { return address.is_v6() && address.is_link_local() ? plan_.interface : std::string(); }

  void name_undecided(std::string line) {
    auto& lines = outcome_.tail.undecided;
    if (lines.size() < undecided_lines_max)
      lines.push_back(std::move(line));
    else if (lines.size() == undecided_lines_max)
      lines.emplace_back("more hosts than are named here: the reports with every port (JSON, CSV) have them");
  }

  // A host that was not looked for is up if a port of it said something.
  void judge(scan::HostReport& out, std::size_t host) {
    for (const auto& pass : out.passes) {
      for (const auto& port : pass.ports) {
        if (port.verdict.state == State::undecided && port.verdict.cause == scan::Cause::none) out.interrupted = tally().interrupted;
        if (out.status != HostStatus::unknown || !shows_host(port.verdict, out.address)) continue;
        out.status = HostStatus::up;
        out.status_reason = reason_text(port.verdict);
      }
    }
    // A router that says nobody is there has answered ARP in the host's place.
    const bool denied = std::ranges::any_of(out.passes, [](const auto& pass) {
      return std::ranges::any_of(pass.ports, [](const auto& port) {
        return port.verdict.sender && (port.verdict.cause == scan::Cause::host_unreach || port.verdict.cause == scan::Cause::addr_unreach);
      });
    });
    if (out.status == HostStatus::unknown && !denied && answers_for_itself(host)) {
      out.status = HostStatus::up;
      out.status_reason = out.address.is_v4() ? scan::up_by_arp : scan::up_by_neighbour_discovery;
    }
    if (out.status == HostStatus::unknown && out.status_reason.empty()) out.status_reason = "no-response";
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
    for (const auto& [what, trouble] : troubles_)
      tail.warnings.push_back(fmt::format("{} {} of {} {} could not be asked: {}. That says nothing about the target", trouble.ports,
                                          trouble.ports == 1 ? "port" : "ports", trouble.hosts, trouble.hosts == 1 ? "host" : "hosts",
                                          what));
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
  std::map<system::MacAddress, std::size_t> cards_;
  struct Trouble {
    std::uint64_t ports = 0;
    std::uint64_t hosts = 0;
  };
  std::map<std::string, Trouble> troubles_;  // of this machine, in words
  Outcome outcome_;
};

}  // namespace

Knowledge::Knowledge(const Plan& plan) : statuses(plan.targets.size()), status_reasons(plan.targets.size()), links(plan.targets.size()) {
  for (const auto& pass : plan.passes) verdicts.emplace_back(plan.targets.size(), pass.numbers.size());
}

bool keeps_everything(const Plan& plan) { return plan.targets.size() * ports_per_host(plan) <= ports_kept_max; }

Outcome run_plan(const Plan& plan, scan::ReportHead head, Knowledge& knowledge, std::vector<Output>& outputs,
                 const Surroundings& surroundings) {
  return Run(plan, std::move(head), knowledge, outputs, surroundings).whole();
}

}  // namespace drpf::survey
