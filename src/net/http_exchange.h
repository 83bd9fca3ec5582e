// The client's side of one HTTP/1.1 exchange as a machine: bytes of the server go in, an answer or lines come out. Opens no socket, waits
// for nothing, knows no clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"

namespace drpf::net {

struct ClientRequest {
  std::string method = "GET";
  std::string target = "/";
  std::string body = {};
  std::string content_type = "application/json";                       // of a body
  std::vector<std::pair<std::string, std::string>> more_headers = {};  // values without control characters: others are refused
};

struct ClientResponse {
  unsigned status = 0;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // all, as they came

  // The first of this name, in whatever case; empty without one.
  std::string_view header(std::string_view name) const;
};

class HttpExchange {
 public:
  static constexpr std::uint32_t head_bytes_max = 16 * 1024;
  static constexpr std::size_t line_bytes_max = 32 * 1024 * 1024;  // of a stream; all ports of a pool fit

  // `server`: how errors call it. No limit of the body: it is read as lines.
  HttpExchange(std::string server, std::optional<std::uint64_t> body_bytes_max);
  HttpExchange(HttpExchange&&) noexcept;
  ~HttpExchange();

  // What is to be sent; `host` as the header has it.
  Result<std::string> encode(const ClientRequest& request, std::string_view host) const;
  // What came. Errors: gateway_confused.
  Status take(std::string_view bytes);
  // The server has closed its side.
  Status take_end();

  bool head_is_complete() const;
  unsigned status() const;  // once the head is complete
  bool is_complete() const;
  // Once complete.
  ClientResponse take_response();
  // The next line without its newline; heartbeats are not shown. The last one needs no newline, once the exchange is complete.
  std::optional<std::string> next_line();
  // Fails when what waits for its newline is longer than any line may be.
  Status check_line() const;

 private:
  Status confused(std::string_view how) const;

  struct Parser;
  std::string server_;
  std::unique_ptr<Parser> parser_;
  std::string received_;  // and not yet parsed
  std::string lines_;     // parsed and not yet given out
};

}  // namespace drpf::net
