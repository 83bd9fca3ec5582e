#include "api/json_values.h"
#include "api/resources.h"

namespace drpf::api {
namespace {

Result<Reply> show_status(Call& call) { return json_response(200, to_json(call.service.status())); }

}  // namespace

std::span<const Route> status_routes() {
  static constexpr Route routes[] = {{"GET", "/v1/status", show_status}};
  return routes;
}

}  // namespace drpf::api
