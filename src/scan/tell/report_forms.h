// The forms of a report one by one; others take make_report().
#pragma once

#include "scan/tell/report.h"

namespace drpf::scan {

std::unique_ptr<Report> make_table_report(const ReportOptions& options);
std::unique_ptr<Report> make_json_report();
std::unique_ptr<Report> make_json_lines_report();
std::unique_ptr<Report> make_xml_report(const ReportOptions& options);
std::unique_ptr<Report> make_grepable_report(const ReportOptions& options);
std::unique_ptr<Report> make_csv_report();

// What came from outside, with everything but printable ASCII as \xNN: a banner cannot move the cursor.
std::string printable_ascii(std::string_view text);

}  // namespace drpf::scan
