#include "api/json_body.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "api/json_text.h"
#include "api/json_view.h"

namespace drpf::api {

namespace json = boost::json;

Result<JsonBody> JsonBody::parse(std::string_view text) {
  if (text.empty()) return JsonBody(json::object());
  json::parse_options options;
  options.max_depth = body_depth_max;
  json::error_code error;
  auto value = json::parse(view(text), error, json::storage_ptr(), options);
  if (error) return fail(invalid("body_malformed", "the body is not valid JSON: " + error.message(), "send one JSON object"));
  if (!value.is_object()) return fail(invalid("body_malformed", "the body is JSON, but no object", "send one JSON object"));
  return JsonBody(std::move(value.as_object()));
}

const json::value* JsonBody::find(std::string_view name) {
  asked_for_.emplace(name);
  const auto* value = object_.if_contains(view(name));
  return value && !value->is_null() ? value : nullptr;
}

void JsonBody::wrong(std::string_view name, std::string_view expected) {
  if (!first_error_)
    first_error_ = invalid("member_invalid", "the member '" + std::string(name) + "' must be " + std::string(expected),
                           "correct or leave out '" + std::string(name) + "'");
}

std::optional<std::string> JsonBody::text(std::string_view name) {
  const auto* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_string() || value->get_string().size() > body_text_max) {
    wrong(name, "a string of at most " + std::to_string(body_text_max) + " bytes");
    return std::nullopt;
  }
  return std::string(value->get_string().data(), value->get_string().size());
}

std::optional<bool> JsonBody::boolean(std::string_view name) {
  const auto* value = find(name);
  if (!value) return std::nullopt;
  if (!value->is_bool()) {
    wrong(name, "true or false");
    return std::nullopt;
  }
  return value->get_bool();
}

std::optional<std::int64_t> JsonBody::integer(std::string_view name, std::int64_t smallest, std::int64_t largest) {
  const auto* value = find(name);
  if (!value) return std::nullopt;
  const auto* number = value->if_int64();  // Boost.JSON gives int64 to every whole number that fits
  if (!number || *number < smallest || *number > largest) {
    wrong(name, "a whole number from " + std::to_string(smallest) + " to " + std::to_string(largest));
    return std::nullopt;
  }
  return *number;
}

std::optional<Port> JsonBody::port(std::string_view name) {
  const auto number = integer(name, 0, 65535);
  if (!number) return std::nullopt;
  return Port{static_cast<std::uint16_t>(*number)};
}

std::optional<std::string> JsonBody::word(std::string_view name, std::initializer_list<std::string_view> words) {
  auto given = text(name);
  if (!given || std::find(words.begin(), words.end(), *given) != words.end()) return given;
  std::string expected = "one of:";
  for (const auto word : words) expected.append(" ").append(word);
  wrong(name, expected);
  return std::nullopt;
}

std::string JsonBody::required_text(std::string_view name) {
  if (!object_.if_contains(view(name)) && !first_error_)
    first_error_ = invalid("member_missing", "the member '" + std::string(name) + "' is missing", "add '" + std::string(name) + "'");
  return text(name).value_or("");
}

Status JsonBody::finish() const {
  for (const auto& member : object_) {
    const std::string_view name(member.key().data(), member.key().size());
    if (!asked_for_.contains(name))
      return fail(invalid("member_unknown", "there is no member '" + printable(name.substr(0, 64)) + "' in this request",
                          "leave it out; check its spelling"));
  }
  if (first_error_) return fail(*first_error_);
  return {};
}

}  // namespace drpf::api
