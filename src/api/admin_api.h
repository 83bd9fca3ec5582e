// The administrator's side of the API. Whoever can open the unix socket may do everything: access is by the socket's mode and owner.
#pragma once

#include <vector>

#include "api/route_table.h"
#include "api/service.h"
#include "net/http_message.h"

namespace drpf::api {

class AdminApi {
 public:
  explicit AdminApi(Service& service);
  net::Response handle(const net::Request& request) const;

 private:
  Service& service_;
  std::vector<Route> routes_;
};

}  // namespace drpf::api
