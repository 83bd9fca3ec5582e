// CSV (RFC 4180): a row for each probed port.
#include <iterator>

#include <fmt/format.h>

#include "scan/tell/report_forms.h"

namespace drpf::scan {
namespace {

std::string csv_field(std::string_view text) {
  if (text.empty()) return {};
  auto safe = printable_ascii(text);
  // A spreadsheet takes what begins so for a formula.
  if (!safe.empty() && std::string_view("=+-@").find(safe.front()) != std::string_view::npos) safe.insert(0, "'");
  if (safe.find_first_of(",\"") == std::string::npos) return safe;
  std::string out = "\"";
  for (const auto c : safe) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

class CsvReport : public Report {
 public:
  std::string begin(const ReportHead& head) override {
    forced_ = head.forced;
    return "address,name,protocol,port,state,reason,service,sender,ttl,rtt_ms,probes,forced,banner,service_guess,note,hardware_address\r\n";
  }

  std::string host(const HostReport& host) override {
    std::string out;
    const auto who = fmt::format("{},{}", host.where(), csv_field(host.name));
    if (host.passes.empty())
      out += fmt::format("{},,,{},{},,,,,,,,,,{}\r\n", who, to_string(host.status), csv_field(host.status_reason), host.hardware);
    for (const auto& pass : host.passes) {
      for (const auto& port : pass.ports) {
        const auto& verdict = port.verdict;
        fmt::format_to(std::back_inserter(out), "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\r\n", who, transport_name(pass.kind),
                       port.number, to_string(verdict.state), to_string(verdict.cause), csv_field(port.service),
                       verdict.sender ? to_string(*verdict.sender) : "", verdict.ttl ? fmt::to_string(*verdict.ttl) : "",
                       verdict.rtt ? milliseconds_text(*verdict.rtt) : "", verdict.probes, forced_ ? "yes" : "",
                       csv_field(port.banner.value_or("")), csv_field(port.guess), csv_field(verdict.note), host.hardware);
      }
    }
    return out;
  }

  std::string end(const ReportTail&) override { return {}; }

 private:
  bool forced_ = false;
};

}  // namespace

std::unique_ptr<Report> make_csv_report() { return std::make_unique<CsvReport>(); }

}  // namespace drpf::scan
