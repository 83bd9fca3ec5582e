// Where leases are listed and tested: the gateway's unix socket for its administrator, or its address inside the tunnel for a device that
// asks about its own.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "api_client/admin_client.h"
#include "core/port.h"
#include "core/result.h"

namespace drpf::api_client {

class LeaseDoor {
 public:
  // `gateway` is ADDRESS or ADDRESS:PORT; empty: the socket.
  static Result<LeaseDoor> open(const std::string& gateway, const std::string& socket);

  Result<boost::json::array> leases() const;
  // The public host of a port that nobody holds.
  Result<std::string> any_host() const;
  // `lease` is a path_of(). One answer for each of its public addresses.
  Result<boost::json::array> test(const std::string& lease, const boost::json::object& how) const;
  static std::string path_of(std::string_view host, std::string_view protocol, std::string_view port);

 private:
  LeaseDoor(AdminClient client, bool of_device) : client_(std::move(client)), of_device_(of_device) {}
  // Who asks the socket of a gateway that is not there may be on a device.
  Error with_hint(Error error) const;

  AdminClient client_;
  bool of_device_;
};

}  // namespace drpf::api_client
