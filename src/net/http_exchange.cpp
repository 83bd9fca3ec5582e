#include "net/http_exchange.h"

#include <algorithm>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "net/http_message.h"

namespace drpf::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;

namespace {

bool is_one_line(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

}  // namespace

std::string_view ClientResponse::header(std::string_view name) const {
  const auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& one) { return beast::iequals(one.first, name); });
  return found == headers.end() ? std::string_view{} : std::string_view(found->second);
}

struct HttpExchange::Parser : http::response_parser<http::string_body> {};

HttpExchange::HttpExchange(std::string server, std::optional<std::uint64_t> body_bytes_max)
    : server_(std::move(server)), parser_(std::make_unique<Parser>()) {
  parser_->header_limit(head_bytes_max);
  parser_->eager(true);
  if (body_bytes_max)
    parser_->body_limit(*body_bytes_max);
  else
    parser_->body_limit(boost::none);
}
HttpExchange::HttpExchange(HttpExchange&&) noexcept = default;
HttpExchange::~HttpExchange() = default;

Status HttpExchange::confused(std::string_view how) const {
  return fail(unavailable("gateway_confused", "what answers as " + server_ + " does not speak as it does: " + std::string(how),
                          "check that this is the right address or socket"));
}

Result<std::string> HttpExchange::encode(const ClientRequest& request, std::string_view host) const {
  std::string text;
  text.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\nHost: ").append(host);
  text.append("\r\nUser-Agent: drpf\r\nAccept: application/json\r\nConnection: close\r\n");
  if (!request.body.empty() || request.method == "POST" || request.method == "PATCH")
    text.append("Content-Type: ")
        .append(request.content_type)
        .append("\r\nContent-Length: ")
        .append(std::to_string(request.body.size()))
        .append("\r\n");
  for (const auto& [name, value] : request.more_headers) {
    if (!is_one_line(name) || !is_one_line(value))
      return fail(invalid("bad_header", "a header for " + server_ + " holds a line break or another control character"));
    text.append(name).append(": ").append(value).append("\r\n");
  }
  text.append("\r\n").append(request.body);
  return text;
}

Status HttpExchange::take(std::string_view bytes) {
  received_.append(bytes);
  boost::system::error_code error;
  while (!received_.empty() && !parser_->is_done()) {
    const auto used = parser_->put(boost::asio::buffer(received_), error);
    received_.erase(0, used);
    if (error == http::error::need_more) break;
    if (error) return confused(error.message());
    if (used == 0) break;
  }
  return {};
}

Status HttpExchange::take_end() {
  boost::system::error_code error;
  if (!parser_->is_done() && parser_->got_some()) parser_->put_eof(error);  // it may have said nothing at all
  if (error || !parser_->is_done()) return confused("it closed the connection in the middle");
  return {};
}

bool HttpExchange::head_is_complete() const { return parser_->is_header_done(); }
unsigned HttpExchange::status() const { return parser_->get().result_int(); }
bool HttpExchange::is_complete() const { return parser_->is_done(); }

ClientResponse HttpExchange::take_response() {
  auto message = parser_->release();
  ClientResponse response;
  response.status = message.result_int();
  response.content_type = std::string(message[http::field::content_type]);
  for (const auto& field : message) response.headers.emplace_back(field.name_string(), field.value());
  response.body = std::move(message.body());
  return response;
}

std::optional<std::string> HttpExchange::next_line() {
  lines_ += std::exchange(parser_->get().body(), {});
  while (true) {
    const auto end = lines_.find('\n');
    if (end == std::string::npos) break;
    auto line = lines_.substr(0, end);
    lines_.erase(0, end + 1);
    if (!line.empty() && line != heartbeat_line) return line;
  }
  if (!is_complete() || lines_.empty()) return std::nullopt;
  return std::exchange(lines_, {});
}

Status HttpExchange::check_line() const {
  if (lines_.size() <= line_bytes_max) return {};
  return confused("it sends a line without an end");
}

}  // namespace drpf::net
