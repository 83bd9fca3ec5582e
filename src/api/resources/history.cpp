#include <boost/json/array.hpp>
#include <charconv>

#include "api/json_text.h"
#include "api/resources.h"
#include "api/time_text.h"

namespace drpf::api {
namespace {

constexpr unsigned within_s_max = 31 * 24 * 3600;

Error parameter_missing(std::string_view name, std::string_view example) {
  return invalid("parameter_missing", "the parameter '" + std::string(name) + "' is missing", "add " + std::string(example));
}

boost::json::object to_json(const store::PastLease& past) {
  return {{"public_address", to_string(past.public_address)},
          {"public_port", past.public_port.value()},
          {"protocol", to_string(past.protocol)},
          {"account", past.account},
          {"device", past.device},
          {"from", rfc3339_utc(past.from)},
          {"until", past.until ? boost::json::value(rfc3339_utc(*past.until)) : boost::json::value(nullptr)}};
}

Result<Reply> find_history(Call& call) {
  std::optional<Address> address;
  std::optional<Port> port;
  std::optional<Protocol> protocol;
  auto at = call.service.wall(call.service.now());
  unsigned within_s = 0;
  for (const auto& [name, value] : call.request.query) {
    if (name == "address") {
      const auto parsed = parse_address(value);
      if (!parsed) return fail(parsed.error());
      address = *parsed;
    } else if (name == "port") {
      const auto parsed = parse_port(value);
      if (!parsed) return fail(parsed.error());
      port = *parsed;
    } else if (name == "protocol") {
      const auto parsed = parse_protocol(value);
      if (!parsed) return fail(parsed.error());
      protocol = *parsed;
    } else if (name == "at") {
      const auto parsed = parse_rfc3339(value);
      if (!parsed) return fail(parsed.error());
      at = *parsed;
    } else {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), within_s);
      if (error != std::errc() || end != value.data() + value.size() || within_s > within_s_max)
        return fail(
            invalid("parameter_invalid", "the parameter 'within_s' must be a number of seconds up to 31 days", "write within_s=60"));
    }
  }
  if (!address) return fail(parameter_missing("address", "address=198.51.100.1"));
  if (!port) return fail(parameter_missing("port", "port=24550"));
  const auto found =
      call.service.history({*address, *port, protocol, at - std::chrono::seconds(within_s), at + std::chrono::seconds(within_s)});
  if (!found) return fail(found.error());
  boost::json::array out;
  for (const auto& past : *found) out.push_back(to_json(past));
  return json_response(200, out);
}

}  // namespace

std::span<const Route> history_routes() {
  static constexpr Route routes[] = {{"GET", "/v1/history", find_history, {}, "address port protocol at within_s"}};
  return routes;
}

}  // namespace drpf::api
