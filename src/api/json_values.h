// The API's objects as JSON. Decides nothing.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/service.h"

namespace drpf::api {

boost::json::object to_json(const StatusReport& report);
boost::json::object account_json(const Service& service, const lease::Account& account);
boost::json::object device_json(const Service& service, const lease::Device& device);
// One object per public address: a lease on a host with IPv4 and IPv6 gives two.
void append_lease_json(const Service& service, const lease::Lease& lease, boost::json::array& to);
boost::json::object to_json(const TestedLease& tested);
// What a device is told of itself: GET /v1/self.
boost::json::object self_json(const Service& service, const lease::Device& device);

}  // namespace drpf::api
