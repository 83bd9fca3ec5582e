// Which of the addresses that a gateway's name leads to can be a gateway's. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/connect/route_plan.h"
#include "core/address.h"
#include "core/result.h"
#include "protocol/wireguard/wg_quick_file.h"

namespace drpf::client {

inline constexpr std::size_t endpoints_max = 16;  // of one name; more are passed over

// Nothing where it can be. `own`: the addresses of this machine's interfaces. `literal`: the file names the address itself, which may be a
// program on this machine that carries the tunnel further.
std::optional<std::string> why_no_endpoint(const Address& address, const RoutePlan& plan, const std::vector<Address>& own, bool literal);

// In the same order, or the error "endpoint_impossible" with the reason of the first.
Result<std::vector<Endpoint>> usable_endpoints(const protocol::wireguard::PeerHost& host, const std::vector<Endpoint>& found,
                                               const RoutePlan& plan, const std::vector<Address>& own);

}  // namespace drpf::client
