#include "api/route_table.h"

#include <boost/json/serialize.hpp>
#include <memory>

#include "api/error_json.h"
#include "api/json_text.h"

namespace drpf::api {

namespace json = boost::json;

namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// The arguments of the places, or none when the path is another one.
std::optional<std::vector<std::string>> match(std::string_view pattern, const std::vector<std::string>& path) {
  const auto parts = split(pattern.substr(1), '/');
  if (parts.size() != path.size()) return std::nullopt;
  std::vector<std::string> arguments;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].starts_with('{'))
      arguments.push_back(path[i]);
    else if (parts[i] != path[i])
      return std::nullopt;
  }
  return arguments;
}

bool takes_a_body(std::string_view method) { return method == "POST" || method == "PATCH" || method == "PUT"; }

// A form of a foreign web page cannot send this type without asking first, so a browser cannot be made to change anything here.
bool is_json(std::string_view content_type) {
  constexpr std::string_view wanted = "application/json";
  const auto type = content_type.substr(0, content_type.find(';'));
  const auto end = type.find_last_not_of(" \t");
  return type.substr(0, end == std::string_view::npos ? 0 : end + 1) == wanted;
}

Status check_query(const Route& route, const net::Request& request) {
  for (const auto& [name, value] : request.query) {
    bool known = false;
    for (const auto allowed : split(route.query, ' ')) known = known || (!allowed.empty() && allowed == name);
    if (!known)
      return fail(invalid("parameter_unknown", "there is no parameter '" + printable(name.substr(0, 64)) + "' here",
                          route.query.empty() ? "leave it out" : "these are known: " + std::string(route.query)));
  }
  return {};
}

unsigned status_of(const Error& error) {
  switch (error.kind) {
    case Error::Kind::refusal:
      return 409;
    case Error::Kind::invalid:
    case Error::Kind::usage:
      return 400;
    case Error::Kind::not_found:
      return 404;
    case Error::Kind::unavailable:
      return 503;
    case Error::Kind::not_permitted:
      return 403;
    case Error::Kind::configuration:
      return 422;
    case Error::Kind::failure:
      return 500;
  }
  return 500;
}

}  // namespace

net::Response json_response(unsigned status, const json::value& value) {
  net::Response response;
  response.status = status;
  response.body = json::serialize(value) + "\n";
  return response;
}

net::Response no_content() {
  net::Response response;
  response.status = 204;
  return response;
}

void give(Reply reply, const Hold& hold, const net::Respond& respond) {
  if (reply.ask) return reply.ask(respond);
  if (reply.settling == 0 || !hold) return respond(std::move(reply.response));
  hold(reply.settling, [respond, kept = std::make_shared<net::Response>(std::move(reply.response))] { respond(std::move(*kept)); });
}

net::Response error_response(unsigned status, const Error& error) { return json_response(status, to_json(error)); }
net::Response error_response(const Error& error) { return error_response(status_of(error), error); }

Reply dispatch(std::span<const Route> routes, Call& call) {
  const auto& request = call.request;
  std::string methods;
  for (const auto& route : routes) {
    auto arguments = match(route.pattern, request.path);
    if (!arguments) continue;
    if (route.method != request.method) {
      methods.append(methods.empty() ? "" : ", ").append(route.method);
      continue;
    }
    call.route = &route;
    call.arguments = std::move(*arguments);
    if ((takes_a_body(request.method) || !request.body.empty()) && !is_json(request.content_type))
      return error_response(415, invalid("content_type_unsupported", "this request must have the content type application/json",
                                         "send the header 'Content-Type: application/json'"));
    if (const auto query = check_query(route, request); !query) return error_response(query.error());
    auto reply = route.resource(call);
    return reply ? std::move(*reply) : error_response(reply.error());
  }
  if (!methods.empty())
    return error_response(405, invalid("method_not_allowed", "this path does not take this method", "these are possible: " + methods));
  std::string path;
  for (const auto& part : request.path) path += "/" + part;
  return error_response(
      not_found("path_unknown", "there is nothing at " + printable(path.substr(0, 200)), "see docs/api.md for the paths"));
}

}  // namespace drpf::api
