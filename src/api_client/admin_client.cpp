#include "api_client/admin_client.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "api/error_json.h"
#include "api/json_text.h"

namespace drpf::api_client {

namespace json = boost::json;

namespace {

const json::value* member(const json::value& object, std::string_view name) {
  return object.is_object() ? object.get_object().if_contains(json::string_view(name.data(), name.size())) : nullptr;
}

}  // namespace

AdminClient::AdminClient(const std::string& socket_path) : client_(net::HttpClient::over_unix(socket_path)) {}

Result<json::value> AdminClient::call(std::string_view method, std::string_view target, const json::value* body) const {
  const auto response = client_.request(method, target, body ? json::serialize(*body) : std::string());
  if (!response) return fail(response.error());
  if (response->status >= 400) return fail(api::error_from_json(response->status, response->body));
  if (response->body.empty()) return json::value(nullptr);
  json::error_code error;
  auto value = json::parse(json::string_view(response->body.data(), response->body.size()), error);
  if (error || response->status >= 300)
    return fail(unavailable("gateway_confused", "the gateway's answer could not be read", "check that a drpf gateway is asked"));
  return value;
}

Result<std::string> AdminClient::download(std::string_view target) const {
  auto response = client_.request("GET", target);
  if (!response) return fail(response.error());
  if (response->status >= 400) return fail(api::error_from_json(response->status, response->body));
  return std::move(response->body);
}

std::string text_of(const json::value& object, std::string_view name) {
  const auto* value = member(object, name);
  if (!value || value->is_null()) return {};
  if (value->is_string()) return api::printable({value->get_string().data(), value->get_string().size()});
  return json::serialize(*value);
}

std::string lines_of(const json::value& object, std::string_view name) {
  const auto* value = member(object, name);
  return value && value->is_string() ? api::printable_lines({value->get_string().data(), value->get_string().size()}) : std::string();
}

bool flag_of(const json::value& object, std::string_view name) {
  const auto* value = member(object, name);
  return value && value->is_bool() && value->get_bool();
}

std::uint64_t number_of(const json::value& object, std::string_view name) {
  const auto* value = member(object, name);
  if (!value) return 0;
  if (value->is_uint64()) return value->get_uint64();
  return value->is_int64() && value->get_int64() >= 0 ? static_cast<std::uint64_t>(value->get_int64()) : 0;
}

const json::array& list_of(const json::value& object, std::string_view name) {
  static const json::array nothing;
  const auto* value = member(object, name);
  return value && value->is_array() ? value->get_array() : nothing;
}

}  // namespace drpf::api_client
