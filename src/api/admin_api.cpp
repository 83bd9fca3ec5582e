#include "api/admin_api.h"

#include "api/resources.h"

namespace drpf::api {

AdminApi::AdminApi(Service& service, Hold hold, Audit audit) : service_(service), hold_(std::move(hold)), audit_(std::move(audit)) {
  for (const auto routes : {status_routes(), reload_routes(), check_routes(), backup_routes(), account_routes(), device_routes(),
                            lease_routes(), history_routes(), event_routes()})
    routes_.insert(routes_.end(), routes.begin(), routes.end());
}

void AdminApi::handle(const net::Request& request, const net::Respond& respond) const {
  Call call{service_, request, Administrator{request.local_peer}};
  auto reply = dispatch(routes_, call);
  give(audited(std::move(reply), call, audit_), hold_, respond);
}

}  // namespace drpf::api
