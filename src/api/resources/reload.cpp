#include <boost/json/array.hpp>

#include "api/json_body.h"
#include "api/json_values.h"
#include "api/resources.h"

namespace drpf::api {
namespace {

Result<Reply> reload(Call& call) {
  auto body = JsonBody::parse(call.request.body);
  if (!body) return fail(body.error());
  ReloadOptions options;
  options.end_leases = body->boolean("end_leases").value_or(false);
  if (const auto whole = body->finish(); !whole) return fail(whole.error());
  const auto reloaded = call.service.reload(options);
  if (!reloaded) return fail(reloaded.error());
  boost::json::array changed;
  for (const auto& sentence : reloaded->changed) changed.push_back(boost::json::value(sentence));
  return json_response(200, boost::json::object{{"changed", std::move(changed)}, {"leases_ended", reloaded->leases_ended}});
}

}  // namespace

std::span<const Route> reload_routes() {
  static constexpr Route routes[] = {{"POST", "/v1/reload", reload, "reload"}};
  return routes;
}

}  // namespace drpf::api
