// What a device may ask and do for itself. The address that a mapping points to is always the caller's own.
#include <algorithm>

#include <boost/json/serialize.hpp>

#include "api/json_body.h"
#include "api/json_values.h"
#include "api/resources.h"
#include "lease/types.h"

namespace drpf::api {
namespace {

constexpr std::int64_t lifetime_s_min = std::chrono::floor<std::chrono::seconds>(lease::Policy::requested_lifetime_min).count();
constexpr std::int64_t lifetime_s_max = std::chrono::floor<std::chrono::seconds>(lease::Policy::lease_lifetime_max).count();

// The device that calls: DeviceApi has found it in the book, and nobody else leads here.
const lease::Device& own_device(const Call& call) { return *call.service.book().device(std::get<CallingDevice>(call.caller).id); }

Result<Reply> show_self(Call& call) { return json_response(200, self_json(call.service, own_device(call))); }

// First what is, then, after changes that concern the device, a line with the same members. Ends when the device is removed.
Result<Reply> stream_self(Call& call) {
  net::Response response;
  response.stream = [&service = call.service, id = own_device(call).id](std::shared_ptr<net::LineSink> sink) -> std::shared_ptr<void> {
    const auto tell = [&service, id, sink] {
      if (!service.book().device(id)) return sink->close();
      sink->state([&service, id]() -> std::string {
        const auto* device = service.book().device(id);
        if (!device) return {};
        auto line = self_json(service, *device);
        line["event"] = "leases";
        return boost::json::serialize(line);
      });
    };
    tell();
    return service.subscribe([id, tell](const Change& change) {
      if (!change.device || *change.device == id) tell();
    });
  };
  return response;
}

Result<Reply> disconnect_self(Call& call) {
  auto body = JsonBody::parse(call.request.body);
  if (!body) return fail(body.error());
  if (const auto whole = body->finish(); !whole) return fail(whole.error());
  const auto disconnected = call.service.disconnect_device(own_device(call).id);
  if (!disconnected) return fail(disconnected.error());
  return Reply(no_content(), *disconnected);
}

// "20000,20003"
Result<std::vector<Port>> read_ports(std::string_view text) {
  std::vector<Port> ports;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto port = parse_port(text.substr(0, comma));
    if (!port) return fail(port.error());
    ports.push_back(*port);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return ports;
}

Result<Reply> add_own_lease(Call& call) {
  auto body = JsonBody::parse(call.request.body);
  if (!body) return fail(body.error());
  const auto wish = lease_request(*body);
  const auto suggested = body->port("suggested_port");
  const auto avoid = read_ports(body->text("avoid").value_or(""));
  const auto lifetime = body->integer("lifetime_s", lifetime_s_min, lifetime_s_max);
  if (const auto whole = body->finish(); !whole) return fail(whole.error());
  if (!avoid) return fail(avoid.error());
  const auto& device = own_device(call);
  const auto* account = call.service.book().account(device.account);
  const auto* plan = account ? call.service.book().plan(account->plan) : nullptr;
  lease::MappingRequest request;
  request.device = device.id;
  request.protocol = wish.tcp ? Protocol::tcp : Protocol::udp;
  request.both = wish.tcp && wish.udp;
  request.internal_port = wish.local_port.value_or(Port{});
  request.to_public_number = !wish.local_port;
  request.suggested_port = wish.port ? wish.port : suggested;
  request.only_suggested = wish.port.has_value();
  request.host = wish.host;
  request.count = wish.count;
  request.avoid = *avoid;
  request.whole = true;
  request.lifetime = lifetime ? std::chrono::seconds(*lifetime) : plan ? plan->lease_lifetime : Duration::zero();
  request.door = lease::Door::api;
  const auto leases = call.service.map(request);
  if (!leases) return fail(leases.error());
  boost::json::array added;
  for (const auto& lease : leases->value) append_lease_json(call.service, lease, added);
  return Reply(json_response(201, added), leases->settling);
}

Result<Reply> remove_own_lease(Call& call) {
  const auto on = public_port(call.arguments);
  if (!on) return fail(on.error());
  const auto* lease = call.service.book().lease(*on);
  if (!lease || lease->device != own_device(call).id)  // of others' leases nothing is said, not even that they are
    return fail(not_found("lease_unknown",
                          "this device has no lease on " + to_string(on->port) + "/" + std::string(to_string(on->protocol)),
                          "ask GET /v1/self for its leases"));
  if (!lease->mapping) {
    if (lease->kind != lease::LeaseKind::requested)
      return fail(refusal("lease_not_requested", "this lease was not asked for by the device", "the administrator can remove it"));
    const auto removed = call.service.remove_lease(*on, call.caller);
    if (!removed) return fail(removed.error());
    return Reply(no_content(), *removed);
  }
  lease::MappingEnd end;
  end.device = own_device(call).id;
  end.protocol = on->protocol;
  end.public_ports = PortRange(on->port);
  end.host = on->host;
  const auto ended = call.service.end_mappings(end);
  if (!ended) return fail(ended.error());
  return Reply(no_content(), ended->settling);
}

}  // namespace

std::span<const Route> self_routes() {
  static constexpr Route routes[] = {{"GET", "/v1/self", show_self},
                                     {"GET", "/v1/self/events", stream_self},
                                     {"POST", "/v1/self/disconnect", disconnect_self, "disconnect"},
                                     {"POST", "/v1/self/leases", add_own_lease, "lease add"},
                                     {"DELETE", "/v1/self/leases/{host}/{protocol}/{port}", remove_own_lease, "lease remove"},
                                     {"POST", "/v1/self/leases/{host}/{protocol}/{port}/test", test_lease, "lease test"}};
  return routes;
}

}  // namespace drpf::api
