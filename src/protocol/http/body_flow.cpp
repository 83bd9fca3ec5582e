#include "protocol/http/body_flow.h"

#include <algorithm>
#include <array>

#include "core/text.h"

namespace drpf::protocol::http {

bool may_trail(std::string_view name) {
  static constexpr std::array<std::string_view, 22> never{"content-length",
                                                          "transfer-encoding",
                                                          "host",
                                                          "connection",
                                                          "keep-alive",
                                                          "upgrade",
                                                          "te",
                                                          "trailer",
                                                          "cache-control",
                                                          "max-forwards",
                                                          "authorization",
                                                          "cookie",
                                                          "set-cookie",
                                                          "expect",
                                                          "www-authenticate",
                                                          "proxy-authenticate",
                                                          "content-type",
                                                          "content-encoding",
                                                          "content-range",
                                                          "proxy-authorization",
                                                          "via",
                                                          "range"};
  return std::none_of(never.begin(), never.end(), [&](std::string_view one) { return is_same_word(one, name); });
}

void BodyFlow::put(std::string_view payload, std::string& out) {
  if (payload.empty()) return;
  payload_ += payload.size();
  if (chunked_) out += chunk_size_line(payload.size());
  out += payload;
  if (chunked_) out += "\r\n";
}

std::size_t BodyFlow::feed(std::string_view bytes, std::string& out) {
  if (finished_) return 0;
  if (from_.kind == Framing::Kind::until_close) {
    put(bytes, out);
    return bytes.size();
  }
  if (from_.kind == Framing::Kind::length) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    put(bytes.substr(0, size), out);
    left_ -= size;
    if (left_ > 0) return size;
    if (chunked_) out += "0\r\n\r\n";
    finish();
    return size;
  }
  std::size_t consumed = 0;
  while (!decoder_.done() && !decoder_.failed()) {
    const auto step = decoder_.step(bytes.substr(consumed));
    if (step.consumed == 0) return consumed;
    put(step.payload, out);
    consumed += step.consumed;
  }
  if (decoder_.failed()) return consumed;
  if (chunked_) {
    out += "0\r\n";
    for (const auto& trailer : decoder_.trailers())
      if (may_trail(trailer.name)) out += trailer.name + ": " + trailer.value + "\r\n";
    out += "\r\n";
  }
  finish();
  return consumed;
}

bool BodyFlow::end(std::string& out) {
  if (finished_) return true;
  if (from_.kind != Framing::Kind::until_close) return false;
  if (chunked_) out += "0\r\n\r\n";
  finish();
  return true;
}

}  // namespace drpf::protocol::http
