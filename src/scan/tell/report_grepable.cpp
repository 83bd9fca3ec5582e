// One line per host, for grep and cut; the form that scripts of this field have read for long.
#include <fmt/format.h>

#include "core/utc_text.h"
#include "scan/port_list.h"
#include "scan/tell/report_forms.h"

namespace drpf::scan {
namespace {

// A field must hold neither the slash nor the comma that divide fields and ports.
std::string grepable_field(std::string_view text) {
  auto out = printable_ascii(text);
  for (auto& c : out)
    if (c == '/' || c == ',') c = c == '/' ? '|' : ';';
  return out;
}

class GrepableReport : public Report {
 public:
  explicit GrepableReport(const ReportOptions& options) : options_(options) {}

  std::string begin(const ReportHead& head) override {
    head_ = head;
    return fmt::format("# drpf {} scan begun {} as: {}\n", head.version, utc_text(head.started), printable_ascii(head.command));
  }

  std::string host(const HostReport& host) override {
    const auto who = fmt::format("Host: {} ({})", host.where(), grepable_field(host.name));
    std::string out = fmt::format("{}\tStatus: {}", who,
                                  host.status == HostStatus::up     ? "Up"
                                  : host.status == HostStatus::down ? "Down"
                                                                    : "Unknown");
    if (!host.status_reason.empty()) out += "\tReason: " + grepable_field(host.status_reason);
    if (!host.hardware.empty()) out += "\tHardware: " + host.hardware;
    out += "\n";
    if (host.passes.empty()) return out;
    std::string ports;
    std::string ignored;
    for (const auto& pass : host.passes) {
      const auto summed = sum_up(pass, options_);
      for (const auto* port : summed.shown) {
        if (!ports.empty()) ports += ", ";
        ports += fmt::format("{}/{}/{}//{}//{}/", port->number, to_string(port->verdict.state), transport_name(pass.kind),
                             grepable_field(port->service), grepable_field(port->banner.value_or("")));
      }
      for (const auto& group : summed.groups) {
        if (!ignored.empty()) ignored += ", ";
        ignored += fmt::format("{} ({})", to_string(group.state), group.numbers.size());
      }
    }
    out += who;
    if (!ports.empty()) out += "\tPorts: " + ports;
    if (!ignored.empty()) out += "\tIgnored State: " + ignored;
    if (host.interrupted) out += "\tInterrupted: yes";
    return out + "\n";
  }

  std::string end(const ReportTail& tail) override {
    std::string out;
    for (const auto& warning : tail.warnings) out += "# warning: " + printable_ascii(warning) + "\n";
    for (const auto& sentence : tally_sentences(head_, tail)) out += "# " + printable_ascii(sentence) + "\n";
    for (const auto& ports : tail.undecided) out += "# undecided: " + printable_ascii(ports) + "\n";
    return out + fmt::format("# drpf scan {} {}: {} addresses ({} up) in {} s\n", tail.tally.interrupted ? "interrupted" : "done",
                             utc_text(tail.finished), head_.targets, tail.hosts_up, seconds_text(tail.elapsed));
  }

 private:
  ReportOptions options_;
  ReportHead head_;
};

}  // namespace

std::unique_ptr<Report> make_grepable_report(const ReportOptions& options) { return std::make_unique<GrepableReport>(options); }

}  // namespace drpf::scan
