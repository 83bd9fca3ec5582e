// From method and path to the function that answers. Knows HTTP's rules (404, 405, 415, errors as JSON), no resource.
#pragma once

#include <boost/json/value.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/reply.h"
#include "api/service.h"
#include "net/http_message.h"

namespace drpf::api {

struct Route;

// One request on its way to a resource.
struct Call {
  Service& service;
  const net::Request& request;
  Principal caller;
  std::vector<std::string> arguments{};  // what stood in the pattern's {places}
  const Route* route = nullptr;          // that dispatch() has found for it
};

using Resource = Result<Reply> (*)(Call& call);

struct Route {
  std::string_view method;
  std::string_view pattern;  // "/v1/accounts/{name}"
  Resource resource;
  std::string_view act = {};    // in the words of the command line; empty = it only reads
  std::string_view query = {};  // the parameters that it takes, divided by blanks; others are refused
};

Reply dispatch(std::span<const Route> routes, Call& call);

net::Response json_response(unsigned status, const boost::json::value& value);
net::Response no_content();
net::Response error_response(const Error& error);                   // the status comes from the kind
net::Response error_response(unsigned status, const Error& error);  // for what HTTP has a status of its own

}  // namespace drpf::api
