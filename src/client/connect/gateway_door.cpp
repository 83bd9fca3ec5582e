#include "client/connect/gateway_door.h"

#include <sys/socket.h>

#include <fmt/format.h>

#include "client/ports/published_ports.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::client {

net::HttpClient gateway_client(const GatewayDoor& door, Duration timeout) {
  net::HttpClient::Options options;
  options.timeout = timeout;
  options.silence_max = gateway_silence_max;
  options.body_bytes_max = report_size_max;
  options.route.device = door.interface;
  options.route.source = door.own;
  return net::HttpClient::over_tcp(Endpoint{door.gateway, Port{gateway_api_port}}, options);
}

void send_sign_of_life(const GatewayDoor& door) {
  const auto from = system::to_socket_address(Endpoint{door.own, Port{}});
  const auto to = system::to_socket_address(Endpoint{door.gateway, Port{gateway_api_port}});
  const system::Fd socket(::socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // Each step may fail while the network is changing; there is another one in a moment.
  if (!socket.valid() || ::bind(socket.get(), from.get(), from.size) != 0) return;
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, door.interface.data(), static_cast<socklen_t>(door.interface.size())) != 0)
    return;
  (void)::sendto(socket.get(), nullptr, 0, MSG_NOSIGNAL, to.get(), to.size);
}

Status say_goodbye(const GatewayDoor& door) {
  const auto response = gateway_client(door, gateway_goodbye_time_max).request("POST", "/v1/self/disconnect", "{}");
  if (!response) return fail(response.error());
  if (response->status >= 300)
    return fail(failure("gateway_refused", fmt::format("the gateway answered {} to the good-bye", response->status)));
  return {};
}

}  // namespace drpf::client
