#include "api_client/lease_metrics.h"

#include <fmt/format.h>

#include "api_client/admin_client.h"
#include "system/whole_file.h"

namespace drpf::api_client {
namespace {

namespace json = boost::json;

// A label's value: backslash, quote and newline escaped.
std::string label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::string labels_of(const json::value& tested) {
  return fmt::format(R"({{address="{}",port="{}",protocol="{}",device="{}"}})", label(text_of(tested, "public_address")),
                     text_of(tested, "public_port"), label(text_of(tested, "protocol")), label(lines_of(tested, "device")));
}

}  // namespace

std::string lease_metrics(const json::array& tested, int (*code_of)(std::string_view finding), std::chrono::seconds since_1970) {
  std::string answers =
      "# HELP drpf_lease_answers Whether the leased port answered when it was tested last.\n# TYPE drpf_lease_answers gauge\n";
  std::string finding =
      "# HELP drpf_lease_finding What was found, as the exit code of drpf lease test: 0 = it answers.\n# TYPE drpf_lease_finding gauge\n";
  std::string round_trip =
      "# HELP drpf_lease_round_trip_seconds From the visit to its answer, where there was one.\n"
      "# TYPE drpf_lease_round_trip_seconds gauge\n";
  for (const auto& one : tested) {
    const auto labels = labels_of(one);
    const int code = code_of(text_of(one, "finding"));
    answers += fmt::format("drpf_lease_answers{} {}\n", labels, code == 0 ? 1 : 0);
    finding += fmt::format("drpf_lease_finding{} {}\n", labels, code);
    const auto* visit = one.is_object() ? one.get_object().if_contains("visit") : nullptr;
    const auto* took = visit != nullptr && visit->is_object() ? visit->get_object().if_contains("round_trip_ms") : nullptr;
    if (took != nullptr && took->is_number())
      round_trip += fmt::format("drpf_lease_round_trip_seconds{} {:.6f}\n", labels, took->to_number<double>() / 1000);
  }
  return answers + finding + round_trip +
         fmt::format(
             "# HELP drpf_lease_tested_timestamp_seconds When these leases were tested.\n# TYPE drpf_lease_tested_timestamp_seconds gauge\n"
             "drpf_lease_tested_timestamp_seconds {}\n",
             since_1970.count());
}

Status write_metrics(const std::string& path, const std::string& text) {
  if (const auto written = system::replace_file(path, text); !written)
    return fail(failure("metrics_not_written", fmt::format("the metrics could not be written: {}", written.error().message),
                        "name a file in a folder that this user may write to"));
  return {};
}

}  // namespace drpf::api_client
