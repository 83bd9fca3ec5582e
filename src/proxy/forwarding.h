// What a proxy makes of a message before it sends it on (RFC 9110 section 7.6): written anew, without what concerns one connection only.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/http/message_head.h"
#include "proxy/target.h"

namespace drpf::proxy {

inline constexpr std::string_view own_name = "drpf";  // in Via

struct ForwardedRequest {
  std::string head;
  protocol::http::Framing body;
  bool keep_alive = true;   // the client's connection goes on after the answer
  bool upgrade = false;     // 101 is an answer to it
  bool may_repeat = false;  // to be sent again on another connection when the first one had ended (RFC 9110 section 9.2.2)
  unsigned client_minor = 1;
};

// Of a request for a web server. A fault also where the request asks for what is not done here.
protocol::http::Parsed<ForwardedRequest> forward_request(const protocol::http::RequestHead& head, const HttpTarget& target);

struct ForwardedResponse {
  std::string head;
  protocol::http::Framing body;
  bool chunked = false;        // how the body is written
  bool keep_client = false;    // after it
  bool keep_upstream = false;  // after it
  bool switches = false;       // 101: what follows is another protocol
  bool interim = false;        // another answer follows
};

protocol::http::Parsed<ForwardedResponse> forward_response(const protocol::http::ResponseHead& head, std::string_view method,
                                                           const ForwardedRequest& request);

}  // namespace drpf::proxy
