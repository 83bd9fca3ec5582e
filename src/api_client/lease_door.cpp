#include "api_client/lease_door.h"

#include "core/address.h"
#include "net/http_message.h"

namespace drpf::api_client {

namespace json = boost::json;

namespace {

constexpr std::uint16_t device_api_port = 5351;

}  // namespace

Result<LeaseDoor> LeaseDoor::open(const std::string& gateway, const std::string& socket) {
  if (gateway.empty()) return LeaseDoor(AdminClient(socket), false);
  auto endpoint = parse_endpoint(gateway);
  if (!endpoint) {
    const auto address = parse_address(gateway);
    if (!address)
      return fail(wrong_usage("'" + gateway + "' is not an address of a gateway", "for example 10.77.0.1, its address inside the tunnel"));
    endpoint = Endpoint{*address, Port(device_api_port)};
  }
  return LeaseDoor(AdminClient(net::HttpClient::over_tcp(*endpoint)), true);
}

Result<json::array> LeaseDoor::leases() const {
  const auto answer = client_.get(of_device_ ? "/v1/self" : "/v1/leases");
  if (!answer) return fail(with_hint(answer.error()));
  if (of_device_) return list_of(*answer, "leases");
  return answer->is_array() ? answer->get_array() : json::array{};
}

Result<std::string> LeaseDoor::any_host() const {
  if (of_device_) return std::string("main");
  const auto status = client_.get("/v1/status");
  if (!status) return fail(with_hint(status.error()));
  const auto& hosts = list_of(*status, "hosts");
  return hosts.empty() ? std::string("main") : text_of(hosts.front(), "name");
}

Result<json::array> LeaseDoor::test(const std::string& lease, const json::object& how) const {
  const auto answer = client_.post((of_device_ ? "/v1/self/leases" : "/v1/leases") + lease + "/test", how);
  if (!answer) return fail(with_hint(answer.error()));
  return answer->is_array() ? answer->get_array() : json::array{};
}

std::string LeaseDoor::path_of(std::string_view host, std::string_view protocol, std::string_view port) {
  return "/" + net::percent_encode(host) + "/" + std::string(protocol) + "/" + std::string(port);
}

Error LeaseDoor::with_hint(Error error) const {
  if (error.code == "gateway_unreachable" && !of_device_)
    error.cure +=
        std::string(error.cure.empty() ? "" : "; ") + "on a device name the gateway's address inside the tunnel: --gateway 10.77.0.1";
  return error;
}

}  // namespace drpf::api_client
