// What a visitor of a lease meets: asked of the port doctor, answered when it knows.
#include <boost/json/array.hpp>

#include "api/json_body.h"
#include "api/json_values.h"
#include "api/resources.h"

namespace drpf::api {

Result<Reply> test_lease(Call& call) {
  const auto on = public_port(call.arguments);
  if (!on) return fail(on.error());
  auto body = JsonBody::parse(call.request.body);
  if (!body) return fail(body.error());
  LeaseTest test;
  test.on = *on;
  test.asker = call.caller;
  test.passive = body->boolean("passive").value_or(false);
  constexpr std::int64_t wait_ms_min = 100;
  constexpr auto wait_ms_max = std::chrono::duration_cast<std::chrono::milliseconds>(LeaseTest::wait_max).count();
  if (const auto wait = body->integer("wait_ms", wait_ms_min, wait_ms_max)) test.wait = std::chrono::milliseconds(*wait);
  if (const auto whole = body->finish(); !whole) return fail(whole.error());
  return Reply::later([&service = call.service, test](net::Respond respond) {
    service.test_lease(test, [respond = std::move(respond)](const Result<std::vector<TestedLease>>& tested) {
      if (!tested) return respond(error_response(tested.error()));
      boost::json::array out;
      for (const auto& one : *tested) out.push_back(to_json(one));
      respond(json_response(200, out));
    });
  });
}

}  // namespace drpf::api
