// The running gateway as the commands see it: JSON in and out over its unix socket, every refusal an Error.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "core/result.h"
#include "net/http_client.h"

namespace drpf::api_client {

inline constexpr const char* socket_path_default = "/run/drpf/drpf.sock";

class AdminClient {
 public:
  explicit AdminClient(const std::string& socket_path);
  explicit AdminClient(net::HttpClient client) : client_(std::move(client)) {}
  Result<boost::json::value> get(std::string_view target) const { return call("GET", target); }
  Result<boost::json::value> post(std::string_view target, const boost::json::value& body) const { return call("POST", target, &body); }
  Result<boost::json::value> patch(std::string_view target, const boost::json::value& body) const { return call("PATCH", target, &body); }
  Result<boost::json::value> remove(std::string_view target) const { return call("DELETE", target); }
  // What is no JSON, as it comes.
  Result<std::string> download(std::string_view target) const;

 private:
  Result<boost::json::value> call(std::string_view method, std::string_view target, const boost::json::value* body = nullptr) const;
  net::HttpClient client_;
};

// Members of an answer; an absent one, or one of another kind, reads as empty.
// Numbers and booleans as they are written; of strings what a terminal can be shown, whoever wrote them.
std::string text_of(const boost::json::value& object, std::string_view name);
std::string lines_of(const boost::json::value& object, std::string_view name);  // a string of several lines
bool flag_of(const boost::json::value& object, std::string_view name);
std::uint64_t number_of(const boost::json::value& object, std::string_view name);
const boost::json::array& list_of(const boost::json::value& object, std::string_view name);

}  // namespace drpf::api_client
