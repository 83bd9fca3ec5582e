#include "api/admin_api.h"

#include "api/resources.h"

namespace drpf::api {

AdminApi::AdminApi(Service& service) : service_(service) {
  for (const auto routes : {status_routes(), check_routes(), backup_routes(), account_routes(), device_routes(), lease_routes(),
                            history_routes(), event_routes()})
    routes_.insert(routes_.end(), routes.begin(), routes.end());
}

net::Response AdminApi::handle(const net::Request& request) const {
  Call call{service_, request};
  return dispatch(routes_, call);
}

}  // namespace drpf::api
