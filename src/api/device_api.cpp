#include "api/device_api.h"

#include "api/resources.h"

namespace drpf::api {
namespace {

// A web page of another site can let its own name point here (DNS rebinding); then the name stands in the Host header.
bool names_an_address(std::string_view host) {
  if (host == "localhost" || host.starts_with("localhost:")) return true;
  return parse_address(host).has_value() || parse_endpoint(host).has_value() ||
         (host.starts_with('[') && host.ends_with(']') && parse_address(host.substr(1, host.size() - 2)).has_value());
}

}  // namespace

void DeviceApi::handle(const net::Request& request, const net::Respond& respond) const { give(reply(request), hold_, respond); }

Reply DeviceApi::reply(const net::Request& request) const {
  if (!names_an_address(request.host))
    return error_response(403, refusal("host_not_allowed", "the gateway is asked by a name that is not its own", "ask it by its address"));
  const auto* device = request.peer ? service_.book().device_at(request.peer->address) : nullptr;
  if (!device)
    return error_response(403, refusal("not_a_device", "this address belongs to no device of this gateway", "ask through the tunnel"));
  Call call{service_, request, CallingDevice{device->id}};
  auto reply = dispatch(self_routes(), call);
  return audited(std::move(reply), call, audit_);
}

}  // namespace drpf::api
