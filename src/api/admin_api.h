// The administrator's side of the API. Whoever can open the unix socket may do everything: access is by the socket's mode and owner.
#pragma once

#include <vector>

#include "api/audit.h"
#include "api/route_table.h"
#include "api/service.h"
#include "net/http_message.h"

namespace drpf::api {

class AdminApi {
 public:
  explicit AdminApi(Service& service, Hold hold = {}, Audit audit = {});
  void handle(const net::Request& request, const net::Respond& respond) const;

 private:
  Service& service_;
  Hold hold_;
  Audit audit_;
  std::vector<Route> routes_;
};

}  // namespace drpf::api
