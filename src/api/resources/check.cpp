#include <boost/json/array.hpp>

#include "api/error_json.h"
#include "api/resources.h"

namespace drpf::api {
namespace {

Result<Reply> show_check(Call& call) {
  boost::json::array findings;
  for (const auto& finding : call.service.check()) findings.push_back(to_json(finding));
  return json_response(200, findings);
}

}  // namespace

std::span<const Route> check_routes() {
  static constexpr Route routes[] = {{"GET", "/v1/check", show_check}};
  return routes;
}

}  // namespace drpf::api
