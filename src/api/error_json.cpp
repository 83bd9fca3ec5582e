#include "api/error_json.h"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "api/json_text.h"
#include "api/json_view.h"

namespace drpf::api {

namespace json = boost::json;

namespace {

std::string_view word(Finding::Level level) {
  switch (level) {
    case Finding::Level::good:
      return "good";
    case Finding::Level::note:
      return "note";
    case Finding::Level::warning:
      return "warning";
    case Finding::Level::problem:
      return "problem";
  }
  return "";
}

std::string text_member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(view(name));
  return value && value->is_string() ? std::string(value->get_string().data(), value->get_string().size()) : std::string();
}

}  // namespace

json::object to_json(const Error& error) {
  // What a caller sent may be quoted in a message, and need not be UTF-8.
  json::object object{{"code", error.code}, {"message", printable(error.message)}, {"cure", printable(error.cure)}};
  return {{"error", std::move(object)}};
}

json::object to_json(const Finding& finding) {
  return {{"level", view(word(finding.level))}, {"subject", finding.subject}, {"message", finding.message}, {"cure", finding.cure}};
}

Error error_from_json(unsigned status, std::string_view body) {
  Error error;
  error.kind = status == 409   ? Error::Kind::refusal
               : status == 404 ? Error::Kind::not_found
               : status == 403 ? Error::Kind::not_permitted
               : status == 422 ? Error::Kind::configuration
               : status == 503 ? Error::Kind::unavailable
               : status < 500  ? Error::Kind::invalid
                               : Error::Kind::failure;
  error.code = "http_" + std::to_string(status);
  error.message = "the gateway answered with the HTTP status " + std::to_string(status);
  json::error_code parse_error;
  const auto value = json::parse(view(body), parse_error);
  if (parse_error || !value.is_object()) return error;
  const auto* details = value.get_object().if_contains("error");
  if (!details || !details->is_object()) return error;
  error.code = text_member(details->get_object(), "code");
  error.message = text_member(details->get_object(), "message");
  error.cure = text_member(details->get_object(), "cure");
  return error;
}

}  // namespace drpf::api
