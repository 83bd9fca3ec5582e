// JSON: an array of hosts with every probed port, written host by host; and the same as one object to a line.
#include <iterator>

#include <fmt/format.h>

#include "core/utc_text.h"
#include "scan/tell/report_forms.h"

namespace drpf::scan {
namespace {

// RFC 8259, section 7. Bytes beyond ASCII (a banner is any bytes) become the code points U+0080 to U+00FF, so that the text is always
// valid.
void add_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const auto c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out.append({'\\', c});
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte >= 0x7f)
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    else
      out += c;
  }
  out += '"';
}

std::string json_string(std::string_view text) {
  std::string out;
  add_json_string(out, text);
  return out;
}

// Appended in place: a host has up to 65,536 ports, and Ctrl-C must not wait for them.
void add_port(std::string& out, const PassReport& pass, const PortReport& port, bool forced) {
  const auto& verdict = port.verdict;
  const auto add = std::back_inserter(out);
  const auto member = [&](std::string_view name, std::string_view text) {
    fmt::format_to(add, ",\"{}\":", name);
    add_json_string(out, text);
  };
  fmt::format_to(add, R"({{"port":{},"protocol":"{}","state":"{}","reason":"{}")", port.number, transport_name(pass.kind),
                 to_string(verdict.state), to_string(verdict.cause));
  if (port.service.empty())
    out += R"(,"service":null)";
  else
    member("service", port.service);
  if (verdict.cause == Cause::other_unreach || verdict.cause == Cause::local_error) member("reason_detail", reason_text(verdict));
  if (verdict.sender) member("sender", to_string(*verdict.sender));
  if (verdict.ttl) fmt::format_to(add, R"(,"ttl":{})", *verdict.ttl);
  if (verdict.rtt) fmt::format_to(add, R"(,"rtt_ms":{})", milliseconds_text(*verdict.rtt));
  fmt::format_to(add, R"(,"probes":{})", verdict.probes);
  if (forced) out += R"(,"forced":true)";
  if (port.banner) member("banner", *port.banner);
  if (!port.guess.empty()) member("service_guess", port.guess);
  if (!verdict.note.empty()) member("note", verdict.note);
  out += '}';
}

std::string host_object(const HostReport& host, bool forced, std::string_view before_port) {
  std::string out = R"({"address":)" + json_string(host.where());
  if (!host.name.empty()) out += R"(,"name":)" + json_string(host.name);
  if (!host.hardware.empty()) out += R"(,"hardware_address":)" + json_string(host.hardware);
  out += fmt::format(R"(,"status":"{}","status_reason":{},"interrupted":{},"scans":[)", to_string(host.status),
                     json_string(host.status_reason), host.interrupted);
  for (const auto& pass : host.passes) out += fmt::format("{}\"{}\"", &pass == &host.passes.front() ? "" : ",", to_string(pass.kind));
  out += R"(],"notes":[)";
  for (const auto& note : host.notes) out += (&note == &host.notes.front() ? "" : ",") + json_string(note);
  out += R"(],"ports":[)";
  bool first = true;
  for (const auto& pass : host.passes) {
    for (const auto& port : pass.ports) {
      if (!first) out += ',';
      out += before_port;
      add_port(out, pass, port, forced);
      first = false;
    }
  }
  return out + "]}";
}

class JsonReport : public Report {
 public:
  std::string begin(const ReportHead& head) override {
    forced_ = head.forced;
    return "[";
  }
  std::string host(const HostReport& host) override {
    const std::string out = (any_ ? ",\n" : "\n") + host_object(host, forced_, "\n  ");
    any_ = true;
    return out;
  }
  std::string end(const ReportTail&) override { return any_ ? "\n]\n" : "]\n"; }

 private:
  bool any_ = false;
  bool forced_ = false;
};

// The last line is no host: it has "summary".
class JsonLinesReport : public Report {
 public:
  std::string begin(const ReportHead& head) override {
    head_ = head;
    return {};
  }
  std::string host(const HostReport& host) override { return host_object(host, head_.forced, "") + "\n"; }
  std::string end(const ReportTail& tail) override {
    const auto& tally = tail.tally;
    std::string out = fmt::format(
        R"({{"summary":{{"command":{},"started":"{}","finished":"{}","elapsed_s":{},"interrupted":{},"hosts_up":{},"hosts_down":{},"hosts_not_begun":{},)"
        R"("probes":{},"answers":{},"strays":{},"ring_drops":{},"send_errors":{},"decided":{},"undecided":{},"open":{},"rate":{:.1f})",
        json_string(head_.command), utc_text(head_.started), utc_text(tail.finished), seconds_text(tail.elapsed), tally.interrupted,
        tail.hosts_up, tail.hosts_down, tail.hosts_not_begun, tally.probes, tally.answers, tally.strays, tally.ring_drops,
        tally.send_errors, tally.decided, tally.undecided, tally.open, tally.rate);
    if (tally.answers_limited_to)
      out += fmt::format(R"(,"answers_limited_to":{:.3g},"limited_answers":{})", *tally.answers_limited_to,
                         json_string(tally.limited_answers));
    out += fmt::format(R"(,"loss":{},"loss_measured_by":{},"miss_probability":{},"undecided_ports":[)",
                       tally.loss ? fmt::format("{:.6f}", *tally.loss) : "null", json_string(tally.loss_measured_by),
                       tally.loss ? fmt::format("{:.3g}", tally.miss_probability) : "null");
    for (const auto& ports : tail.undecided) out += (&ports == &tail.undecided.front() ? "" : ",") + json_string(ports);
    out += R"(],"warnings":[)";
    for (const auto& warning : tail.warnings) out += (&warning == &tail.warnings.front() ? "" : ",") + json_string(warning);
    return out + "]}}\n";
  }

 private:
  ReportHead head_;
};

}  // namespace

std::unique_ptr<Report> make_json_report() { return std::make_unique<JsonReport>(); }
std::unique_ptr<Report> make_json_lines_report() { return std::make_unique<JsonLinesReport>(); }

}  // namespace drpf::scan
