#include "proxy/http_exchange.h"

#include <array>

#include "proxy/tunnel.h"

namespace drpf::proxy {
namespace {

using protocol::http::Framing;

constexpr int exchange_rounds_max = 16;  // before others have their turn

}  // namespace

bool Upstream::is_alive() {
  if (!stream.channel.is_open() || stream.channel.broken()) return false;
  return stream.read_some() == Progress::blocked && stream.in.empty();
}

HttpExchange::HttpExchange(Parts& parts, Client& client, Upstream& upstream, std::string_view method, const ForwardedRequest& request)
    : parts_(parts),
      client_(client),
      upstream_(upstream),
      method_(method),
      request_(request),
      up_(request.body, request.body.kind == Framing::Kind::chunked),
      last_moved_(parts.poller.now()) {
  upstream_.stream.out = request.head;
}

ExchangeOutcome HttpExchange::end(What what, unsigned status, std::string_view why) {
  if (what != What::done) upstream_.stream.abort();
  // What has gone to the client cannot be followed by a page.
  if (what == What::failed && response_) what = What::cut;
  return {what, response_ ? status_ : status, why, down_.payload(), false, false};
}

std::optional<ExchangeOutcome> HttpExchange::upload() {
  auto& from = client_.stream;
  auto& to = upstream_.stream;
  if (!up_.finished() && !deaf_ && to.out.size() < waiting_bytes_max) {
    if (from.in.empty() && from.channel.readable()) {
      const auto progress = from.read_some();
      if (progress == Progress::ended || progress == Progress::failed)
        return end(What::closed, 0, "the client has gone in the middle of its body");
    }
    if (!from.in.empty()) {
      from.take(up_.feed(from.in, to.out));
      moved_ = true;
      if (up_.failed()) return end(What::failed, 400, up_.why());
    }
  }
  if (to.out.empty() || deaf_) return std::nullopt;
  const auto before = to.out.size();
  // Who has answered already need not read all of it.
  if (to.write_some() == Progress::failed) {
    deaf_ = true;
    to.out.clear();
  }
  moved_ = moved_ || to.out.size() != before;
  return std::nullopt;
}

std::optional<ExchangeOutcome> HttpExchange::take_head() {
  auto& in = upstream_.stream.in;
  const auto size = protocol::http::head_length(in);
  if (!size && in.size() <= protocol::http::head_bytes_max) return std::nullopt;
  if (!size || *size > protocol::http::head_bytes_max) return end(What::failed, 502, "the head of the answer is longer than 64 KiB");
  const auto head = protocol::http::parse_response_head(std::string_view(in).substr(0, *size));
  if (!head) return end(What::failed, 502, head.error().why);
  auto response = forward_response(*head, method_, request_);
  if (!response) return end(What::failed, 502, response.error().why);
  upstream_.stream.take(*size);
  moved_ = true;
  if (response->interim) {
    if (request_.client_minor >= 1) client_.stream.out += response->head;  // HTTP/1.0 knows none
    return std::nullopt;
  }
  status_ = head->status;
  client_.stream.out += response->head;
  down_ = protocol::http::BodyFlow(response->body, response->chunked);
  response_ = std::move(*response);
  return std::nullopt;
}

std::optional<ExchangeOutcome> HttpExchange::take_answer() {
  auto& in = upstream_.stream.in;
  while (!in.empty() && client_.stream.out.size() < waiting_bytes_max) {
    answered_ = true;
    const auto before = in.size();
    if (!response_) {
      if (auto ended = take_head()) return ended;
      if (response_ && response_->switches) return std::nullopt;
    } else {
      upstream_.stream.take(down_.feed(in, client_.stream.out));
      if (down_.failed()) return end(What::cut, status_, down_.why());
    }
    if (in.size() == before) break;
    moved_ = true;
  }
  return std::nullopt;
}

// All that it has said is in the buffers.
std::optional<ExchangeOutcome> HttpExchange::upstream_ended() {
  if (!response_) {
    if (!answered_) return end(What::stale, 502, "the server closed the connection and answered nothing");
    return end(What::failed, 502, "the server closed the connection in the middle of its answer's head");
  }
  if (down_.finished()) return std::nullopt;
  if (broken_ || !down_.end(client_.stream.out)) return end(What::cut, status_, "the answer is cut off");
  return std::nullopt;
}

std::optional<ExchangeOutcome> HttpExchange::download() {
  auto& from = upstream_.stream;
  auto& to = client_.stream;
  if (!ended_ && to.out.size() < waiting_bytes_max && from.channel.readable() && !(response_ && down_.finished())) {
    const auto progress = from.read_some();
    ended_ = progress == Progress::ended || progress == Progress::failed;
    broken_ = progress == Progress::failed;
    moved_ = moved_ || progress != Progress::blocked;
  }
  if (auto ended = take_answer()) return ended;
  if (ended_ && to.out.size() < waiting_bytes_max)
    if (auto ended = upstream_ended()) return ended;
  if (to.out.empty()) return std::nullopt;
  const auto before = to.out.size();
  if (to.write_some() == Progress::failed) return end(What::closed, status_, "the client has gone");
  moved_ = moved_ || to.out.size() != before;
  return std::nullopt;
}

ExchangeOutcome HttpExchange::late() {
  if (response_) return end(What::cut, status_, "nothing has moved for too long");
  if (!up_.finished() && upstream_.stream.out.empty()) return end(What::failed, 408, "the body of the request does not come");
  return end(What::failed, 504, "the server does not answer");
}

ExchangeOutcome HttpExchange::done() {
  auto outcome = end(What::done, status_, {});
  outcome.keep_client = response_->keep_client && up_.finished();
  outcome.keep_upstream = response_->keep_upstream && up_.finished() && !ended_ && !deaf_ && upstream_.stream.in.empty();
  return outcome;
}

Wish HttpExchange::client_wish() const {
  const bool room = upstream_.stream.out.size() < waiting_bytes_max;
  return {&client_.stream.channel, !up_.finished() && !deaf_ && room, !client_.stream.out.empty()};
}

Wish HttpExchange::upstream_wish() const {
  const bool room = client_.stream.out.size() < waiting_bytes_max;
  return {&upstream_.stream.channel, !ended_ && room && !(response_ && down_.finished()), !deaf_ && !upstream_.stream.out.empty()};
}

Task<ExchangeOutcome> HttpExchange::run() {
  auto& poller = parts_.poller;
  for (int round = 1;; ++round) {
    moved_ = false;
    if (auto ended = upload()) co_return *ended;
    if (auto ended = download()) co_return *ended;
    if (response_ && response_->switches) {
      const TunnelTimes times{parts_.limits.tunnel, parts_.limits.half_closed};
      const auto carried = co_await carry(poller, client_.stream, upstream_.stream, times);
      co_return ExchangeOutcome{What::closed, status_, {}, carried.down, false, false};
    }
    if (response_ && down_.finished() && client_.stream.out.empty()) co_return done();
    if (moved_) {
      last_moved_ = poller.now();
      if (round % exchange_rounds_max != 0) continue;
      Poller::Turn turn(poller);
      co_await turn;
      continue;
    }
    if (client_.stream.channel.broken()) co_return end(What::closed, status_, "the client has gone");
    std::array<Wish, 2> wishes{client_wish(), upstream_wish()};
    // A channel that has broken says so for ever: it is listed only if something is wanted of it.
    const std::size_t count = wishes[1].read || wishes[1].write ? 2 : 1;
    Wait news(poller, wishes.data(), count, last_moved_ + (response_ ? parts_.limits.body : parts_.limits.answer));
    const bool in_time = co_await news;
    if (!in_time) co_return late();
  }
}

}  // namespace drpf::proxy
