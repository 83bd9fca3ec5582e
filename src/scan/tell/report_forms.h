// The forms of a report, chosen by make_report() or one by one. Write nothing anywhere.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "scan/tell/report.h"

namespace drpf::scan {

std::unique_ptr<Report> make_report(Format format, const ReportOptions& options);

std::unique_ptr<Report> make_table_report(const ReportOptions& options);
std::unique_ptr<Report> make_json_report();
std::unique_ptr<Report> make_json_lines_report();
std::unique_ptr<Report> make_xml_report(const ReportOptions& options);
std::unique_ptr<Report> make_grepable_report(const ReportOptions& options);
std::unique_ptr<Report> make_csv_report();

// What came from outside, with everything but printable ASCII as \xNN: a banner cannot move the cursor.
std::string printable_ascii(std::string_view text);

}  // namespace drpf::scan
