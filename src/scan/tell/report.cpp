#include "scan/tell/report.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "scan/port_list.h"

namespace drpf::scan {
namespace {

constexpr std::array<std::pair<Format, std::string_view>, 6> formats{{{Format::table, "table"},
                                                                      {Format::json, "json"},
                                                                      {Format::json_lines, "jsonl"},
                                                                      {Format::xml, "xml"},
                                                                      {Format::grepable, "grepable"},
                                                                      {Format::csv, "csv"}}};

constexpr std::size_t ttl_votes_min = 3;         // answers before one TTL counts as the host's usual one
constexpr std::size_t everything_open_min = 20;  // ports, before "all are open" is a reason for doubt

bool answered_itself(const Verdict& verdict, const Address& host) {
  const bool spoke = verdict.cause == Cause::syn_ack || verdict.cause == Cause::reset || verdict.cause == Cause::split_handshake ||
                     verdict.cause == Cause::udp_response || verdict.cause == Cause::proto_response;
  return spoke && (!verdict.sender || *verdict.sender == host);
}

// What a kind cannot know, beside its result.
std::string_view limits_of(Kind kind) {
  switch (kind) {
    case Kind::window:
    case Kind::maimon:
      return "says nothing about Linux and most other systems of today: their open ports look closed to it";
    case Kind::ack:
      return "tells filtered from unfiltered only, never open from closed";
    case Kind::fin:
    case Kind::null:
    case Kind::xmas:
      return "cannot tell open from filtered, and systems that answer every such packet with a reset look closed";
    default:
      return {};
  }
}

}  // namespace

std::string_view to_string(Format format) {
  for (const auto& [one, name] : formats)
    if (one == format) return name;
  return "table";
}

std::optional<Format> find_format(std::string_view name) {
  for (const auto& [format, known] : formats)
    if (known == name) return format;
  return std::nullopt;
}

std::string_view to_string(HostStatus status) {
  switch (status) {
    case HostStatus::unknown:
      return "unknown";
    case HostStatus::up:
      return "up";
    case HostStatus::down:
      break;
  }
  return "down";
}

std::string with_zone(const Address& address, std::string_view zone) {
  return zone.empty() ? to_string(address) : fmt::format("{}%{}", to_string(address), zone);
}

std::string_view transport_name(Kind kind) {
  const auto protocol = protocol_of(kind);
  return protocol ? to_string(*protocol) : "ip";
}

std::string milliseconds_text(Duration d) { return fmt::format("{:.3f}", std::chrono::duration<double, std::milli>(d).count()); }
std::string rate_text(double packets_per_second) { return fmt::format("{:.{}f}", packets_per_second, packets_per_second < 10 ? 1 : 0); }
std::string seconds_text(Duration d) { return fmt::format("{:.2f}", std::chrono::duration<double>(d).count()); }

SummedUp sum_up(const PassReport& pass, const ReportOptions& options) {
  std::map<std::pair<State, std::string>, std::vector<const PortReport*>> same;
  for (const auto& port : pass.ports) same[{port.verdict.state, reason_text(port.verdict)}].push_back(&port);
  SummedUp result;
  for (auto& [key, ports] : same) {
    const bool open = key.first == State::open;
    if (open || (!options.all && !options.open_only && ports.size() <= options.same_ports_max) || (options.all && !options.open_only)) {
      result.shown.insert(result.shown.end(), ports.begin(), ports.end());
      continue;
    }
    PortGroup group{key.first, key.second, {}};
    for (const auto* port : ports) group.numbers.push_back(port->number);
    result.groups.push_back(std::move(group));
  }
  std::sort(result.groups.begin(), result.groups.end(), [](const auto& a, const auto& b) {
    return std::tuple(b.numbers.size(), a.state, a.reason) < std::tuple(a.numbers.size(), b.state, b.reason);
  });
  std::sort(result.shown.begin(), result.shown.end(), [](const auto* a, const auto* b) { return a->number < b->number; });
  return result;
}

void note_odd_ttls(HostReport& host) {
  std::map<std::uint8_t, std::size_t> votes;
  for (const auto& pass : host.passes)
    for (const auto& port : pass.ports)
      if (port.verdict.ttl && answered_itself(port.verdict, host.address)) ++votes[*port.verdict.ttl];
  if (votes.size() < 2) return;
  const auto usual = std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (usual->second < ttl_votes_min) return;
  for (auto& pass : host.passes) {
    for (auto& port : pass.ports) {
      auto& verdict = port.verdict;
      if (!verdict.ttl || *verdict.ttl == usual->first || !answered_itself(verdict, host.address)) continue;
      if (verdict.note.find("device") != std::string::npos) continue;  // the scan itself has said so
      const auto sentence =
          fmt::format("{} (TTL {}, the host's is {})",
                      *verdict.ttl > usual->first ? "answered by a device nearer than the host" : "answered by another device",
                      *verdict.ttl, usual->first);
      verdict.note += (verdict.note.empty() ? "" : "; ") + sentence;
    }
  }
}

std::vector<std::string> findings(const HostReport& host) {
  std::vector<std::string> sentences;
  const auto any_port = [&](auto holds) {
    return std::ranges::any_of(host.passes, [&](const auto& pass) { return std::ranges::any_of(pass.ports, holds); });
  };
  const bool not_asked = any_port([](const auto& port) { return port.verdict.cause == Cause::local_error; });
  if (host.status == HostStatus::unknown && !host.passes.empty() && !host.interrupted && !not_asked)
    sentences.emplace_back("nothing answered: the host is down, or something drops every packet to it");
  const bool by_link_alone = host.status_reason == up_by_arp || host.status_reason == up_by_neighbour_discovery;
  if (by_link_alone && !host.passes.empty() && !host.interrupted)
    sentences.push_back(fmt::format("nothing answered but {}: the host is there, and drops or ignores every packet of this scan",
                                    host.address.is_v4() ? "ARP" : "neighbour discovery"));
  for (const auto& pass : host.passes) {
    const auto count = [&](auto holds) { return static_cast<std::size_t>(std::count_if(pass.ports.begin(), pass.ports.end(), holds)); };
    const auto open = count([](const auto& port) { return port.verdict.state == State::open; });
    if (open >= everything_open_min && open == pass.ports.size())
      sentences.push_back(fmt::format("all {} ports look open: a tarpit or a SYN proxy answers in the place of services", open));
    if (const auto limits = limits_of(pass.kind); !limits.empty())
      sentences.push_back(fmt::format("the {} scan {}", to_string(pass.kind), limits));
  }
  return sentences;
}

std::vector<std::string> tally_sentences(const ReportHead& head, const ReportTail& tail) {
  const auto& tally = tail.tally;
  std::vector<std::string> sentences;
  sentences.push_back(fmt::format(
      "{} probes sent, {} answers ({} strays), {} lost in this machine's ring, {} send errors; {} s, {} packets/s", tally.probes,
      tally.answers, tally.strays, tally.ring_drops, tally.send_errors, seconds_text(tail.elapsed), rate_text(tally.rate)));
  if (head.passes.empty()) {
    sentences.push_back(fmt::format("{} of {} hosts are up", tail.hosts_up, head.targets));
    return sentences;
  }
  if (tally.loss)
    sentences.push_back(fmt::format("loss of a probe or its answer: {:.1f} %, measured by {}", *tally.loss * 100, tally.loss_measured_by));
  else
    sentences.push_back(
        fmt::format("loss could not be measured: {}", tally.loss_measured_by.empty() ? "nothing answered" : tally.loss_measured_by));
  if (tally.loss && tally.miss_probability <= 0)
    sentences.emplace_back("nothing was lost that can be seen: no open port is likely to have been missed");
  else if (tally.loss && tally.miss_probability < 1)
    sentences.push_back(fmt::format("an open port would have been missed with a probability below {:.2g}", tally.miss_probability));
  if (tally.answers_limited_to)
    sentences.push_back(
        fmt::format("the target sends at most {:.3g} {} per second, or something before it lets no more through: it was asked no faster",
                    *tally.answers_limited_to, tally.limited_answers));
  if (head.forced)
    sentences.emplace_back("the number of probes per port was given by hand: verdicts are forced, and what was lost is not made up for");
  sentences.push_back(fmt::format("{} ports decided, {} undecided", tally.decided, tally.undecided));
  return sentences;
}

}  // namespace drpf::scan
