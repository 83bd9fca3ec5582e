#include "client/connect/status_file.h"

#include <boost/json.hpp>

#include "core/utc_text.h"

namespace drpf::client {

std::string_view to_string(ConnectionState state) {
  switch (state) {
    case ConnectionState::connecting:
      return "connecting";
    case ConnectionState::connected:
      return "connected";
    case ConnectionState::disconnected:
      return "disconnected";
    case ConnectionState::stopped:
      break;
  }
  return "stopped";
}

std::string status_file_text(const StatusFile& status, WallTime now) {
  const auto numbers = public_numbers(status.ports);
  boost::json::object object;
  object["interface"] = status.interface;
  object["state"] = to_string(status.state);
  object["time"] = utc_text(now);
  object["account"] = status.account;
  object["device"] = status.device;
  object["public_address"] = first_public_address(status.ports);
  object["port"] = nullptr;
  if (!numbers.empty()) object["port"] = numbers.front().value();
  boost::json::array all;
  for (const auto number : numbers) all.push_back(number.value());
  object["ports"] = std::move(all);
  object["leases"] = to_json(status.ports);
  return boost::json::serialize(object) + "\n";
}

}  // namespace drpf::client
