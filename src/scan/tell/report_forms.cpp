#include "scan/tell/report_forms.h"

namespace drpf::scan {

std::unique_ptr<Report> make_report(Format format, const ReportOptions& options) {
  switch (format) {
    case Format::table:
      return make_table_report(options);
    case Format::json:
      return make_json_report();
    case Format::json_lines:
      return make_json_lines_report();
    case Format::xml:
      return make_xml_report(options);
    case Format::grepable:
      return make_grepable_report(options);
    case Format::csv:
      break;
  }
  return make_csv_report();
}

}  // namespace drpf::scan
