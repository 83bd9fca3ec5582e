#include "net/http_message.h"

#include <algorithm>

#include "core/encoding.h"

namespace drpf::net {
namespace {

tl::unexpected<Error> bad_target(std::string why) {
  return fail(invalid("target_invalid", "the request's path " + std::move(why), "write it like /v1/leases?name=value"));
}

Result<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char character = text[i];
    if (character == '%') {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return bad_target("has a percent sign without two hexadecimal digits");
      character = static_cast<char>(high << 4 | low);
      i += 2;
    }
    if (character == '\0') return bad_target("has a zero byte in it");
    out.push_back(character);
  }
  return out;
}

template <class Function>
Status for_each_part(std::string_view text, char separator, Function function) {
  while (true) {
    const auto end = text.find(separator);
    if (auto done = function(text.substr(0, end)); !done) return done;
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Result<Target> parse_target(std::string_view target) {
  if (target.empty() || target.front() != '/') return bad_target("does not begin with a slash");
  Target out;
  const auto question = target.find('?');
  const auto path = target.substr(1, question == std::string_view::npos ? question : question - 1);
  const auto split = for_each_part(path, '/', [&](std::string_view part) -> Status {
    if (out.path.size() == path_segments_max) return bad_target("has more than " + std::to_string(path_segments_max) + " parts");
    auto decoded = percent_decode(part);
    if (!decoded) return fail(decoded.error());
    out.path.push_back(std::move(*decoded));
    return {};
  });
  if (!split) return fail(split.error());
  if (out.path.size() > 1 && out.path.back().empty()) out.path.pop_back();  // a slash at the end means nothing
  if (question == std::string_view::npos || question + 1 == target.size()) return out;
  const auto parameters = for_each_part(target.substr(question + 1), '&', [&](std::string_view part) -> Status {
    if (out.query.size() == query_parameters_max)
      return bad_target("has more than " + std::to_string(query_parameters_max) + " parameters");
    const auto equals = part.find('=');
    auto name = percent_decode(part.substr(0, equals));
    if (!name) return fail(name.error());
    auto value = equals == std::string_view::npos ? Result<std::string>("") : percent_decode(part.substr(equals + 1));
    if (!value) return fail(value.error());
    out.query.insert_or_assign(std::move(*name), std::move(*value));
    return {};
  });
  if (!parameters) return fail(parameters.error());
  return out;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char character : text) {
    const auto byte = static_cast<unsigned char>(character);
    const bool unreserved = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                            std::string_view("-._~").find(character) != std::string_view::npos;
    if (unreserved) {
      out.push_back(character);
      continue;
    }
    out.push_back('%');
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
  }
  return out;
}

}  // namespace drpf::net
