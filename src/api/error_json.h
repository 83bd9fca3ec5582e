// What is wrong, as JSON, in both directions: errors and findings. Decides nothing.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

#include "api/service.h"
#include "core/result.h"

namespace drpf::api {

boost::json::object to_json(const Error& error);  // {"error":{"code","message","cure"}}
boost::json::object to_json(const Finding& finding);

// For clients of the API: the error in a body, or a general one for the status.
Error error_from_json(unsigned status, std::string_view body);

}  // namespace drpf::api
