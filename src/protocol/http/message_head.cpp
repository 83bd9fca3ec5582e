#include "protocol/http/message_head.h"

#include <algorithm>
#include <array>

#include "core/text.h"

namespace drpf::protocol::http {
namespace {

constexpr std::size_t method_bytes_max = 32;
constexpr std::size_t length_digits_max = 18;

bool is_token_character(char c) { return is_letter_or_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// RFC 9110 section 5.5: no control character but the tab.
bool is_value_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Some readers take the underscore for a hyphen.
bool is_disguised_framing(std::string_view name) {
  if (name.find('_') == std::string_view::npos) return false;
  std::string plain = lower(name);
  std::replace(plain.begin(), plain.end(), '_', '-');
  return plain == "content-length" || plain == "transfer-encoding" || plain == "host" || plain == "connection";
}

Parsed<Field> parse_field(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') return refuse(400, "a field is folded over two lines");
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return refuse(400, "a field has no colon");
  const auto name = line.substr(0, colon);
  if (!is_token(name)) return refuse(400, "the name of a field is empty, or has a blank or another character that no name has");
  if (is_disguised_framing(name)) return refuse(400, "a field's name is that of another with an underscore");
  const auto value = without_blanks(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), is_value_character)) return refuse(400, "the value of a field has a control character");
  return Field{std::string(name), std::string(value)};
}

// Takes one line off, and refuses what some readers take for the end of a line and others do not.
Parsed<std::string_view> take_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  if (end == std::string_view::npos || end == 0 || rest[end - 1] != '\r') return refuse(400, "a line ends without CR LF");
  const auto line = rest.substr(0, end - 1);
  rest.remove_prefix(end + 1);
  if (line.find('\r') != std::string_view::npos) return refuse(400, "there is a CR without LF");
  return line;
}

struct Version {
  unsigned minor = 1;
};

Parsed<Version> parse_version(std::string_view text) {
  if (text == "HTTP/1.1") return Version{1};
  if (text == "HTTP/1.0") return Version{0};
  if (text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' && is_digit(text[7]))
    return refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  return refuse(400, "the first line does not end with a version of HTTP");
}

struct FramingFields {
  std::size_t lengths = 0;
  std::size_t encodings = 0;
};

Parsed<Framing> declared_framing(const Fields& fields, unsigned minor, Framing otherwise) {
  const FramingFields found{count(fields, "Content-Length"), count(fields, "Transfer-Encoding")};
  if (found.lengths > 0 && found.encodings > 0) return refuse(400, "there is a Content-Length beside a Transfer-Encoding");
  if (found.lengths > 1) return refuse(400, "there is more than one Content-Length");
  if (found.encodings > 1) return refuse(400, "there is more than one Transfer-Encoding");
  if (found.encodings == 1) {
    if (minor == 0) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
    if (!is_same_word(*single(fields, "Transfer-Encoding"), "chunked")) return refuse(400, "the Transfer-Encoding is not exactly chunked");
    return Framing{Framing::Kind::chunked, 0};
  }
  if (found.lengths == 0) return otherwise;
  const auto& text = *single(fields, "Content-Length");
  if (text.empty() || text.size() > length_digits_max || !std::all_of(text.begin(), text.end(), is_digit))
    return refuse(400, "the Content-Length is not one number");
  std::uint64_t length = 0;
  for (const char digit : text) length = length * 10 + static_cast<std::uint64_t>(digit - '0');
  return Framing{Framing::Kind::length, length};
}

}  // namespace

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character); }

std::size_t count(const Fields& fields, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(fields.begin(), fields.end(), [&](const Field& field) { return is_same_word(field.name, name); }));
}

const std::string* single(const Fields& fields, std::string_view name) {
  const std::string* found = nullptr;
  for (const auto& field : fields) {
    if (!is_same_word(field.name, name)) continue;
    if (found != nullptr) return nullptr;
    found = &field.value;
  }
  return found;
}

std::vector<std::string> list_of(const Fields& fields, std::string_view name) {
  std::vector<std::string> words;
  for (const auto& field : fields) {
    if (!is_same_word(field.name, name)) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const auto comma = std::min(rest.find(','), rest.size());
      if (const auto word = without_blanks(rest.substr(0, comma)); !word.empty()) words.push_back(lower(word));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return words;
}

std::optional<std::size_t> head_length(std::string_view bytes) {
  for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n', end + 1)) {
    if (end + 1 < bytes.size() && bytes[end + 1] == '\n') return end + 2;
    if (end + 2 < bytes.size() && bytes[end + 1] == '\r' && bytes[end + 2] == '\n') return end + 3;
  }
  return std::nullopt;
}

Parsed<Fields> parse_fields(std::string_view lines) {
  Fields fields;
  while (!lines.empty()) {
    const auto line = take_line(lines);
    if (!line) return tl::unexpected<Fault>(line.error());
    if (line->empty()) return refuse(400, "there is an empty line among the fields");
    if (fields.size() == fields_max) return refuse(431, "there are more than 128 fields");
    auto field = parse_field(*line);
    if (!field) return tl::unexpected<Fault>(field.error());
    fields.push_back(std::move(*field));
  }
  return fields;
}

namespace {

// What stands between the first line, which is taken off, and the empty one.
Parsed<std::string_view> lines_of(std::string_view& head) {
  if (head.find('\0') != std::string_view::npos) return refuse(400, "there is a NUL in the head");
  if (!head.ends_with("\r\n\r\n")) return refuse(400, "a line ends without CR LF");
  auto rest = head.substr(0, head.size() - 2);
  const auto first = take_line(rest);
  if (!first) return tl::unexpected<Fault>(first.error());
  head = *first;
  return rest;
}

}  // namespace

Parsed<RequestHead> parse_request_head(std::string_view head) {
  const auto lines = lines_of(head);
  if (!lines) return tl::unexpected<Fault>(lines.error());
  const auto first = head.find(' ');
  const auto last = head.rfind(' ');
  if (first == std::string_view::npos || first == last) return refuse(400, "the first line is not method, target and version");
  RequestHead request;
  request.method = head.substr(0, first);
  request.target = head.substr(first + 1, last - first - 1);
  if (!is_token(request.method) || request.method.size() > method_bytes_max) return refuse(400, "this is no method");
  if (request.target.size() > target_bytes_max) return refuse(414, "the address is longer than 16 KiB");
  const auto version = parse_version(head.substr(last + 1));
  if (!version) return tl::unexpected<Fault>(version.error());
  request.minor = version->minor;
  if (request.target.empty() || !std::all_of(request.target.begin(), request.target.end(), [](char c) { return c > ' ' && c < 0x7f; }))
    return refuse(400, "the address has a blank, a control character or one beyond ASCII");
  auto fields = parse_fields(*lines);
  if (!fields) return tl::unexpected<Fault>(fields.error());
  request.fields = std::move(*fields);
  return request;
}

Parsed<ResponseHead> parse_response_head(std::string_view head) {
  const auto lines = lines_of(head);
  if (!lines) return tl::unexpected<Fault>(lines.error());
  const auto version = parse_version(head.substr(0, std::min<std::size_t>(head.size(), 8)));
  if (!version) return tl::unexpected<Fault>(version.error());
  ResponseHead response;
  response.minor = version->minor;
  if (head.size() < 12 || head[8] != ' ' || !std::all_of(head.begin() + 9, head.begin() + 12, is_digit))
    return refuse(502, "the first line of the answer has no status of three digits");
  for (const char digit : head.substr(9, 3)) response.status = response.status * 10 + static_cast<unsigned>(digit - '0');
  if (response.status < 100 || response.status > 599) return refuse(502, "the status of the answer is none of HTTP's");
  if (head.size() > 12) {
    if (head[12] != ' ') return refuse(502, "the first line of the answer has no status of three digits");
    response.reason = head.substr(13);
  }
  if (!std::all_of(response.reason.begin(), response.reason.end(), is_value_character))
    return refuse(502, "the first line of the answer has a control character");
  auto fields = parse_fields(*lines);
  if (!fields) return tl::unexpected<Fault>(fields.error());
  response.fields = std::move(*fields);
  return response;
}

Parsed<Framing> framing_of(const RequestHead& head) { return declared_framing(head.fields, head.minor, Framing{}); }

Parsed<Framing> framing_of(const ResponseHead& head, std::string_view request_method) {
  auto framing = declared_framing(head.fields, head.minor, Framing{Framing::Kind::until_close, 0});
  if (!framing) return framing;
  if (request_method == "HEAD" || head.status / 100 == 1 || head.status == 204 || head.status == 304) return Framing{};
  return framing;
}

}  // namespace drpf::protocol::http
