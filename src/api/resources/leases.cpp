#include "api/json_body.h"
#include "api/json_values.h"
#include "api/resources.h"

namespace drpf::api {
namespace {

Result<Reply> list_leases(Call& call) {
  boost::json::array leases;
  for (const auto* lease : call.service.book().leases()) append_lease_json(call.service, *lease, leases);
  return json_response(200, leases);
}

Result<Reply> add_lease(Call& call) {
  auto body = JsonBody::parse(call.request.body);
  if (!body) return fail(body.error());
  const auto name = body->required_text("device");
  auto request = lease_request(*body);
  if (const auto whole = body->finish(); !whole) return fail(whole.error());
  const auto* device = call.service.book().device(std::string_view(name));
  if (!device) return fail(not_found("device_unknown", "there is no device '" + name + "'", "see `drpf device list` for the names"));
  request.device = device->id;
  request.kind = lease::LeaseKind::fixed;
  request.by_administrator = true;
  const auto leases = call.service.add_lease(std::move(request));
  if (!leases) return fail(leases.error());
  boost::json::array added;
  for (const auto& lease : leases->value) append_lease_json(call.service, lease, added);
  return Reply(json_response(201, added), leases->settling);
}

Result<Reply> set_lease(Call& call) {
  const auto on = public_port(call.arguments);
  if (!on) return fail(on.error());
  auto body = JsonBody::parse(call.request.body);
  if (!body) return fail(body.error());
  const auto local_port = body->port("local_port");
  if (const auto whole = body->finish(); !whole) return fail(whole.error());
  if (!local_port) return fail(invalid("member_missing", "the member 'local_port' is missing", "add 'local_port'"));
  const auto set = call.service.set_lease(*on, *local_port);
  if (!set) return fail(set.error());
  boost::json::array changed;
  if (const auto* lease = call.service.book().lease(*on)) append_lease_json(call.service, *lease, changed);
  return Reply(json_response(200, changed), *set);
}

Result<Reply> remove_lease(Call& call) {
  const auto on = public_port(call.arguments);
  if (!on) return fail(on.error());
  const auto removed = call.service.remove_lease(*on, call.caller);
  if (!removed) return fail(removed.error());
  return Reply(no_content(), *removed);
}

}  // namespace

std::span<const Route> lease_routes() {
  static constexpr Route routes[] = {{"GET", "/v1/leases", list_leases},
                                     {"POST", "/v1/leases", add_lease, "lease add"},
                                     {"PATCH", "/v1/leases/{host}/{protocol}/{port}", set_lease, "lease set"},
                                     {"DELETE", "/v1/leases/{host}/{protocol}/{port}", remove_lease, "lease remove"},
                                     {"POST", "/v1/leases/{host}/{protocol}/{port}/test", test_lease, "lease test"}};
  return routes;
}

lease::LeaseRequest lease_request(JsonBody& body) {
  lease::LeaseRequest request;
  request.port = body.port("port");
  request.local_port = body.port("local_port");
  request.host = body.text("host");
  request.count = static_cast<std::uint16_t>(body.integer("count", 1, 65535).value_or(1));
  if (const auto protocol = body.word("protocol", {"tcp", "udp", "both"})) {
    request.tcp = *protocol != "udp";
    request.udp = *protocol != "tcp";
  }
  return request;
}

Result<lease::PublicPort> public_port(std::span<const std::string> host_protocol_port) {
  const auto protocol = parse_protocol(host_protocol_port[1]);
  if (!protocol) return fail(protocol.error());
  const auto port = parse_port(host_protocol_port[2]);
  if (!port) return fail(port.error());
  return lease::PublicPort{host_protocol_port[0], *protocol, *port};
}

}  // namespace drpf::api
