// The devices' side of the API, on the gateway's tunnel addresses. Who asks is told by the packet's source address, which the tunnel has
// authenticated; there is no other identity and no way to speak for another device.
#pragma once

#include "api/audit.h"
#include "api/route_table.h"
#include "api/service.h"
#include "net/http_message.h"

namespace drpf::api {

class DeviceApi {
 public:
  explicit DeviceApi(Service& service, Hold hold = {}, Audit audit = {})
      : service_(service), hold_(std::move(hold)), audit_(std::move(audit)) {}
  void handle(const net::Request& request, const net::Respond& respond) const;

 private:
  Reply reply(const net::Request& request) const;

  Service& service_;
  Hold hold_;
  Audit audit_;
};

}  // namespace drpf::api
