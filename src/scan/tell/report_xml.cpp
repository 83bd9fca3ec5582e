// XML in the dialect that the tools of this field read: nmaprun, host, ports, port with state@reason, extraports, runstats.
#include <algorithm>

#include <fmt/format.h>

#include "core/utc_text.h"
#include "protocol/xml_text.h"
#include "scan/port_list.h"
#include "scan/tell/report_forms.h"

namespace drpf::scan {
namespace {

constexpr std::string_view dialect_version = "1.05";

// XML 1.0, section 2.2: control characters have no place in it, not even escaped; they are written as \xNN, as is all beyond ASCII.
std::string escaped(std::string_view text) { return protocol::escaped(printable_ascii(text)); }

// The dialect's words for the kinds; they differ from ours in two.
std::string_view dialect_name(Kind kind) {
  if (kind == Kind::ip_protocol) return "ipproto";
  return to_string(kind);
}

long long seconds_of(WallTime time) { return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count(); }

class XmlReport : public Report {
 public:
  explicit XmlReport(const ReportOptions& options) : options_(options) {}

  std::string begin(const ReportHead& head) override {
    head_ = head;
    std::string out = fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<nmaprun scanner=\"drpf\" args=\"{}\" start=\"{}\" startstr=\"{}\" version=\"{}\" "
        "xmloutputversion=\"{}\">\n",
        escaped(head.command), seconds_of(head.started), utc_text(head.started), escaped(head.version), dialect_version);
    for (const auto& pass : head.passes)
      out += fmt::format("<scaninfo type=\"{}\" protocol=\"{}\" numservices=\"{}\" services=\"{}\"/>\n", dialect_name(pass.kind),
                         transport_name(pass.kind), pass.numbers.size(), as_ranges(pass.numbers));
    return out + "<verbose level=\"0\"/>\n<debugging level=\"0\"/>\n";
  }

  std::string host(const HostReport& host) override {
    std::string out =
        fmt::format("<host{}><status state=\"{}\" reason=\"{}\" reason_ttl=\"0\"/>\n", host.interrupted ? " comment=\"interrupted\"" : "",
                    to_string(host.status), escaped(host.status_reason.empty() ? "user-set" : host.status_reason));
    out += fmt::format("<address addr=\"{}\" addrtype=\"{}\"/>\n", host.where(), host.address.is_v4() ? "ipv4" : "ipv6");
    if (!host.hardware.empty()) out += fmt::format("<address addr=\"{}\" addrtype=\"mac\"/>\n", host.hardware);
    out += host.name.empty() ? "<hostnames>\n</hostnames>\n"
                             : fmt::format("<hostnames>\n<hostname name=\"{}\" type=\"user\"/>\n</hostnames>\n", escaped(host.name));
    if (!host.passes.empty()) {
      out += "<ports>";
      // The dialect has all sums before all ports.
      std::vector<SummedUp> sums;
      for (const auto& pass : host.passes) sums.push_back(sum_up(pass, options_));
      for (std::size_t i = 0; i < sums.size(); ++i) out += sums_of(sums[i].groups, host.passes[i].kind);
      out += "\n";
      for (std::size_t i = 0; i < sums.size(); ++i)
        for (const auto* port : sums[i].shown) out += port_element(host, *port, host.passes[i].kind);
      out += "</ports>\n";
    }
    for (const auto& note : host.notes) out += fmt::format("<hostscript><script id=\"note\" output=\"{}\"/></hostscript>\n", escaped(note));
    return out + "</host>\n";
  }

  std::string end(const ReportTail& tail) override {
    std::string out;
    for (const auto& warning : tail.warnings) out += comment("warning: " + warning);
    for (const auto& sentence : tally_sentences(head_, tail)) out += comment(sentence);
    for (const auto& ports : tail.undecided) out += comment("undecided: " + ports);
    const auto elapsed = seconds_text(tail.elapsed);
    out += fmt::format(
        "<runstats><finished time=\"{}\" timestr=\"{}\" elapsed=\"{}\" summary=\"drpf scan {} {}; {} addresses ({} up) in {} s\" "
        "exit=\"{}\"/>"
        "<hosts up=\"{}\" down=\"{}\" total=\"{}\"/>\n</runstats>\n</nmaprun>\n",
        seconds_of(tail.finished), utc_text(tail.finished), elapsed, tail.tally.interrupted ? "interrupted" : "done",
        utc_text(tail.finished), head_.targets, tail.hosts_up, elapsed, tail.tally.interrupted ? "interrupted" : "success", tail.hosts_up,
        tail.hosts_down, head_.targets);
    return out;
  }

 private:
  // A comment must not hold two dashes in a row (XML 1.0, section 2.5).
  static std::string comment(std::string_view text) {
    std::string out = escaped(text);
    for (std::size_t at = out.find("--"); at != std::string::npos; at = out.find("--", at)) out.replace(at, 2, "- -");
    return "<!-- " + out + " -->\n";
  }

  static std::string sums_of(const std::vector<PortGroup>& groups, Kind kind) {
    std::vector<State> states;
    for (const auto& group : groups)
      if (std::find(states.begin(), states.end(), group.state) == states.end()) states.push_back(group.state);
    std::string out;
    for (const auto state : states) {
      std::size_t count = 0;
      std::string reasons;
      for (const auto& group : groups) {
        if (group.state != state) continue;
        count += group.numbers.size();
        reasons += fmt::format("<extrareasons reason=\"{}\" count=\"{}\" proto=\"{}\" ports=\"{}\"/>\n", escaped(group.reason),
                               group.numbers.size(), transport_name(kind), as_ranges(group.numbers));
      }
      out += fmt::format("<extraports state=\"{}\" count=\"{}\">\n{}</extraports>\n", to_string(state), count, reasons);
    }
    return out;
  }

  static std::string port_element(const HostReport& host, const PortReport& port, Kind kind) {
    const auto& verdict = port.verdict;
    std::string out =
        fmt::format("<port protocol=\"{}\" portid=\"{}\"><state state=\"{}\" reason=\"{}\" reason_ttl=\"{}\"", transport_name(kind),
                    port.number, to_string(verdict.state), to_string(verdict.cause), verdict.ttl.value_or(0));
    if (verdict.sender && *verdict.sender != host.address) out += fmt::format(" reason_ip=\"{}\"", to_string(*verdict.sender));
    out += "/>";
    if (!port.guess.empty())
      out += fmt::format("<service name=\"{}\" method=\"probed\" conf=\"7\"/>", escaped(port.guess));
    else if (!port.service.empty())
      out += fmt::format("<service name=\"{}\" method=\"table\" conf=\"3\"/>", escaped(port.service));
    if (port.banner && !port.banner->empty()) out += fmt::format("<script id=\"banner\" output=\"{}\"/>", escaped(*port.banner));
    if (!verdict.note.empty()) out += fmt::format("<script id=\"note\" output=\"{}\"/>", escaped(verdict.note));
    return out + "</port>\n";
  }

  ReportOptions options_;
  ReportHead head_;
};

}  // namespace

std::unique_ptr<Report> make_xml_report(const ReportOptions& options) { return std::make_unique<XmlReport>(options); }

}  // namespace drpf::scan
