// What each resource offers; one file per resource in resources/.
#pragma once

#include <span>

#include "api/route_table.h"

namespace drpf::api {

std::span<const Route> status_routes();
std::span<const Route> reload_routes();
std::span<const Route> check_routes();
std::span<const Route> backup_routes();
std::span<const Route> account_routes();
std::span<const Route> device_routes();
std::span<const Route> lease_routes();
std::span<const Route> history_routes();
std::span<const Route> event_routes();
std::span<const Route> self_routes();  // the device's side

// The body of POST /v1/leases and POST /v1/self/leases: port, protocol, local_port, count, host. Members that the caller has asked for
// before are known too.
class JsonBody;
lease::LeaseRequest lease_request(JsonBody& body);
// The body of a test of a lease: passive, wait_ms. Answered when it is over, with one object per public address.
Result<Reply> test_lease(Call& call);
// {host}/{protocol}/{port} of a path.
Result<lease::PublicPort> public_port(std::span<const std::string> host_protocol_port);

}  // namespace drpf::api
