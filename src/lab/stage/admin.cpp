#include "lab/stage/admin.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include "lab/stage/limits.h"
#include "lab/stage/programs.h"
#include "system/process.h"

namespace drpf::lab {
namespace {

std::string text_of(const boost::json::object& row, const char* key) {
  const boost::json::value* value = row.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::uint16_t port_of(const boost::json::object& row, const char* key) {
  const boost::json::value* value = row.if_contains(key);
  if (value == nullptr) return 0;
  boost::system::error_code error;
  const auto port = value->to_number<std::uint16_t>(error);
  return error ? std::uint16_t{0} : port;
}

}  // namespace

std::vector<LeaseRow> rows_of(const std::vector<LeaseRow>& rows, std::string_view device) {
  std::vector<LeaseRow> selected;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(selected), [&](const LeaseRow& row) { return row.device == device; });
  return selected;
}

std::set<std::uint16_t> ports_of(const std::vector<LeaseRow>& rows) {
  std::set<std::uint16_t> ports;
  for (const LeaseRow& row : rows) ports.insert(row.public_port);
  return ports;
}

Result<std::vector<LeaseRow>> parse_leases(const std::string& json) {
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(json, error);
  if (error || !parsed.is_array())
    return fail(failure("json", fmt::format("`drpf lease list --json` did not print an array: {}", json.substr(0, 200))));
  std::vector<LeaseRow> rows;
  for (const boost::json::value& value : parsed.get_array()) {
    if (!value.is_object()) return fail(failure("json", "a row of `drpf lease list --json` is no object"));
    const boost::json::object& row = value.get_object();
    rows.push_back({text_of(row, "device"), text_of(row, "protocol"), text_of(row, "public_address"), port_of(row, "public_port"),
                    text_of(row, "local_address"), port_of(row, "local_port"), text_of(row, "kind"), text_of(row, "state")});
  }
  return rows;
}

Result<std::string> Admin::call(std::vector<std::string> arguments, int expected) const {
  arguments.insert(arguments.begin(), "drpf");
  system::Command command = gateway_->command(arguments);
  command.executable = executable_;
  command.environment = {{"DRPF_SOCKET", gateway_socket}};
  Result<system::Output> output = system::run(command, limits::command);
  if (!output) return fail(output.error());
  if (output->exit_code != expected) {
    return fail(failure("command", fmt::format("`{}` ended with {}: {}", fmt::join(arguments, " "), output->exit_code, output->err)));
  }
  return std::move(output->out);
}

Result<std::vector<LeaseRow>> Admin::leases() const {
  const Result<std::string> json = call({"lease", "list", "--json"});
  if (!json) return fail(json.error());
  return parse_leases(*json);
}

}  // namespace drpf::lab
