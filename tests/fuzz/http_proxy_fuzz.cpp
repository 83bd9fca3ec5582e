// Any bytes as a request that is forwarded, and as the answer to one. First byte: how many bytes at a time the body comes in. What goes on
// is read again by the same rules and has to be the same: one message, with one border.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/http/body_flow.h"
#include "proxy/forwarding.h"
#include "proxy/target.h"

namespace {

using namespace drpf;
using namespace drpf::protocol::http;

void must(bool good) {
  if (!good) std::abort();
}

// The body as it goes on, and as it is read at once from what went on.
void flow(Framing from, bool chunked, std::string_view text, std::size_t at_once) {
  BodyFlow body(from, chunked);
  std::string out;
  std::size_t position = 0;
  while (position < text.size() && !body.finished() && !body.failed()) {
    const auto taken = body.feed(text.substr(position, at_once), out);
    if (taken == 0) break;
    position += taken;
  }
  must(position <= text.size());
  if (!body.finished()) body.end(out);
  if (!body.finished()) return;
  const Framing again{chunked ? Framing::Kind::chunked : Framing::Kind::length, out.size()};
  BodyFlow second(again, false);
  std::string plain;
  must(second.feed(out, plain) == out.size());
  must(second.finished() && second.payload() == body.payload());
}

void read_answer(std::string_view text, const proxy::ForwardedRequest& request, std::string_view method, std::size_t at_once) {
  const auto size = head_length(text);
  if (!size) return;
  const auto head = parse_response_head(text.substr(0, *size));
  if (!head) return;
  const auto response = proxy::forward_response(*head, method, request);
  if (!response) return;
  const auto again = parse_response_head(response->head);
  must(again && again->status == head->status && head_length(response->head) == response->head.size());
  if (response->interim || response->switches) return;
  flow(response->body, response->chunked, text.substr(*size), at_once);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t at_once = std::size_t{data[0]} + 1;
  const std::string text(data + 1, data + size);
  proxy::ForwardedRequest any;
  read_answer(text, any, "GET", at_once);
  const auto length = head_length(text);
  if (!length) return 0;
  const auto head = parse_request_head(std::string_view(text).substr(0, *length));
  if (!head) return 0;
  const auto target = proxy::target_of(*head);
  if (!target || target->scheme != proxy::Scheme::http) return 0;
  const auto request = proxy::forward_request(*head, *target);
  if (!request) return 0;
  must(head_length(request->head) == request->head.size());
  const auto again = parse_request_head(request->head);
  must(again && again->method == head->method && count(again->fields, "Host") == 1);
  const auto framing = framing_of(*again);
  must(framing && framing->kind == request->body.kind);
  flow(request->body, request->body.kind == Framing::Kind::chunked, std::string_view(text).substr(*length), at_once);
  return 0;
}
