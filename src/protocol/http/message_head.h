// Heads of HTTP/1 messages as a proxy reads them (RFC 9110, RFC 9112): whatever two readers could understand differently is refused. Reads
// no bodies and knows no address. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

namespace drpf::protocol::http {

inline constexpr std::size_t head_bytes_max = 64 * 1024;
inline constexpr std::size_t fields_max = 128;
inline constexpr std::size_t target_bytes_max = 16 * 1024;

struct Fault {
  unsigned status = 400;  // what a client that sent it is answered; of an upstream's message: 502
  std::string_view why;
};
template <class T>
using Parsed = tl::expected<T, Fault>;
inline tl::unexpected<Fault> refuse(unsigned status, std::string_view why) { return tl::unexpected<Fault>(Fault{status, why}); }

struct Field {
  std::string name;  // as it came
  std::string value;
};
using Fields = std::vector<Field>;

std::size_t count(const Fields& fields, std::string_view name);
// The only one of this name; nothing where there is none or several.
const std::string* single(const Fields& fields, std::string_view name);
// The words of all comma-separated lists under this name, in lower case.
std::vector<std::string> list_of(const Fields& fields, std::string_view name);
bool is_token(std::string_view text);  // RFC 9110 section 5.6.2

struct RequestHead {
  std::string method;
  std::string target;  // visible ASCII
  unsigned minor = 1;  // HTTP/1.minor
  Fields fields;
};

struct ResponseHead {
  unsigned status = 0;
  std::string reason;
  unsigned minor = 1;
  Fields fields;
};

// The length of the head that `bytes` begin with, its empty line included; nothing while that has not come. A line that ends with a bare
// LF counts here, so that the head is refused and not waited for.
std::optional<std::size_t> head_length(std::string_view bytes);

// `head`: with its empty line.
Parsed<RequestHead> parse_request_head(std::string_view head);
Parsed<ResponseHead> parse_response_head(std::string_view head);
// Trailers: field lines, each with its CRLF.
Parsed<Fields> parse_fields(std::string_view lines);

// How long a body is.
struct Framing {
  enum class Kind : std::uint8_t { none, length, chunked, until_close };
  Kind kind = Kind::none;
  std::uint64_t length = 0;
  bool operator==(const Framing&) const = default;
};
// RFC 9112 section 6.3, without the choices that it leaves.
Parsed<Framing> framing_of(const RequestHead& head);
Parsed<Framing> framing_of(const ResponseHead& head, std::string_view request_method);

}  // namespace drpf::protocol::http
