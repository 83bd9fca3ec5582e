// A request's JSON body: one flat object, read member by member. What is not asked for is refused by name.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/port.h"
#include "core/result.h"

namespace drpf::api {

inline constexpr std::size_t body_depth_max = 16;
inline constexpr std::size_t body_text_max = 1024;  // bytes of one string member

class JsonBody {
 public:
  // An empty text is an empty object.
  static Result<JsonBody> parse(std::string_view text);

  // Each: absent or null = none. The first member of a wrong kind or size is remembered for finish().
  std::optional<std::string> text(std::string_view name);
  std::optional<bool> boolean(std::string_view name);
  std::optional<std::int64_t> integer(std::string_view name, std::int64_t smallest, std::int64_t largest);
  std::optional<Port> port(std::string_view name);
  // One of the words.
  std::optional<std::string> word(std::string_view name, std::initializer_list<std::string_view> words);
  // Absent is an error too.
  std::string required_text(std::string_view name);

  // After all members were asked for: what was wrong first, or a member that nobody asked for.
  Status finish() const;

 private:
  explicit JsonBody(boost::json::object object) : object_(std::move(object)) {}
  const boost::json::value* find(std::string_view name);
  void wrong(std::string_view name, std::string_view expected);

  boost::json::object object_;
  std::set<std::string, std::less<>> asked_for_;
  std::optional<Error> first_error_;
};

}  // namespace drpf::api
