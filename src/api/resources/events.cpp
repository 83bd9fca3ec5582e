#include <boost/json/serialize.hpp>

#include "api/json_values.h"
#include "api/resources.h"

namespace drpf::api {
namespace {

// One line per change: {"event":"change","what":"leases","device":"nas"}; what changed is asked for by the other resources.
Result<Reply> stream_changes(Call& call) {
  net::Response response;
  response.stream = [&service = call.service](std::shared_ptr<net::LineSink> sink) -> std::shared_ptr<void> {
    sink->write(R"({"event":"open"})");
    return service.subscribe([&service, sink](const Change& change) {
      const auto* device = change.device ? service.book().device(*change.device) : nullptr;
      boost::json::object line{{"event", "change"}, {"what", change.what}, {"device", nullptr}};
      if (device) line["device"] = device->name;
      sink->write(boost::json::serialize(line));
    });
  };
  return response;
}

}  // namespace

std::span<const Route> event_routes() {
  static constexpr Route routes[] = {{"GET", "/v1/events", stream_changes}};
  return routes;
}

}  // namespace drpf::api
