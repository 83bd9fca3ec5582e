// The table that people know: PORT, STATE, SERVICE, REASON.
#include <algorithm>

#include <fmt/format.h>

#include "scan/port_list.h"
#include "scan/tell/report_forms.h"

namespace drpf::scan {

std::string printable_ascii(std::string_view text) {
  std::string out;
  for (const auto c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f)
      out += c;
    else if (c == '\r')
      out += "\\r";
    else if (c == '\n')
      out += "\\n";
    else
      out += fmt::format("\\x{:02x}", byte);
  }
  return out;
}

namespace {

using Row = std::vector<std::string>;

std::string aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}", row[i], widths[i] + 2);
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

class TableReport : public Report {
 public:
  explicit TableReport(const ReportOptions& options) : options_(options) {}

  std::string begin(const ReportHead& head) override {
    head_ = head;
    return {};
  }

  std::string host(const HostReport& host) override {
    if (host.status == HostStatus::down && !options_.all) return {};  // counted at the end
    std::string out = "Scan of " + (host.name.empty() ? host.where() : fmt::format("{} ({})", host.name, host.where())) + "\n";
    if (host.status == HostStatus::down) return out + fmt::format("Host seems down: {}\n\n", host.status_reason);
    if (host.passes.empty())
      out += host.status == HostStatus::up ? fmt::format("Host is up: {}\n", host.status_reason)
                                           : fmt::format("Nothing is known of it: {}\n", host.status_reason);
    if (!host.hardware.empty()) out += fmt::format("Hardware address: {}\n", host.hardware);
    for (const auto& pass : host.passes) out += table_of(pass);
    for (const auto& note : host.notes) out += "Note: " + printable_ascii(note) + ".\n";
    if (host.interrupted) out += "Interrupted: not all of this host was asked.\n";
    return out + "\n";
  }

  std::string end(const ReportTail& tail) override {
    std::string out;
    for (const auto& warning : tail.warnings) out += "Warning: " + printable_ascii(warning) + ".\n";
    if (tail.hosts_down > 0)
      out += fmt::format("{} {} down: nothing answered. --no-discovery asks all the same.\n", tail.hosts_down,
                         tail.hosts_down == 1 ? "host seems" : "hosts seem");
    if (tail.hosts_not_begun > 0)
      out += fmt::format("{} {} not begun.\n", tail.hosts_not_begun, tail.hosts_not_begun == 1 ? "host was" : "hosts were");
    for (const auto& sentence : tally_sentences(head_, tail)) out += sentence + ".\n";
    for (const auto& ports : tail.undecided) out += "Undecided: " + ports + "\n";
    if (tail.tally.interrupted) out += "The scan was interrupted: what is above is what was found until then.\n";
    return out;
  }

 private:
  std::string table_of(const PassReport& pass) const {
    const auto summed = sum_up(pass, options_);
    std::string out;
    if (!summed.groups.empty() && !options_.open_only) {
      out += "Not shown: ";
      for (const auto& group : summed.groups) {
        if (&group != &summed.groups.front()) out += ", ";
        out += fmt::format("{} {} ({})", group.numbers.size(), to_string(group.state), group.reason);
      }
      out += "\n";
    }
    if (summed.shown.empty()) return out + (summed.groups.empty() || options_.open_only ? "No open ports.\n" : "");
    const auto transport = transport_name(pass.kind);
    const bool banners =
        std::any_of(summed.shown.begin(), summed.shown.end(), [](const auto* port) { return port->banner && !port->banner->empty(); });
    const bool notes = std::any_of(summed.shown.begin(), summed.shown.end(), [](const auto* port) { return !port->verdict.note.empty(); });
    std::vector<Row> rows;
    Row headings{pass.kind == Kind::ip_protocol ? "PROTOCOL" : "PORT", "STATE", "SERVICE", "REASON"};
    if (options_.facts) headings.insert(headings.end(), {"SENDER", "TTL", "RTT", "PROBES"});
    if (notes) headings.emplace_back("NOTE");
    if (banners) headings.emplace_back("SAYS");
    rows.push_back(std::move(headings));
    for (const auto* port : summed.shown) {
      const auto& verdict = port->verdict;
      Row row{pass.kind == Kind::ip_protocol ? fmt::format("{}", port->number) : fmt::format("{}/{}", port->number, transport),
              std::string(to_string(verdict.state)), port->guess.empty() ? port->service : port->guess, reason_text(verdict)};
      if (options_.facts) {
        row.push_back(verdict.sender ? to_string(*verdict.sender) : "-");
        row.push_back(verdict.ttl ? fmt::format("{}", *verdict.ttl) : "-");
        row.push_back(verdict.rtt ? milliseconds_text(*verdict.rtt) + " ms" : "-");
        row.push_back(fmt::format("{}", verdict.probes));
      }
      if (notes) row.push_back(printable_ascii(verdict.note));
      if (banners) row.push_back(port->banner ? printable_ascii(*port->banner) : "");
      rows.push_back(std::move(row));
    }
    return out + aligned(rows);
  }

  ReportOptions options_;
  ReportHead head_;
};

}  // namespace

std::unique_ptr<Report> make_table_report(const ReportOptions& options) { return std::make_unique<TableReport>(options); }

}  // namespace drpf::scan
