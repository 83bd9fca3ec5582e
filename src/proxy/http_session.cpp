#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "protocol/http/message_head.h"
#include "proxy/conversation.h"
#include "proxy/forwarding.h"
#include "proxy/ftp_fetch.h"
#include "proxy/http_exchange.h"
#include "proxy/pages.h"
#include "proxy/target.h"
#include "proxy/tunnel.h"

// Whoever waits for one of these coroutines owns what it refers to, and ends it before that.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace drpf::proxy {
namespace {

using protocol::http::RequestHead;

unsigned status_of(DialTrouble trouble) {
  if (trouble == DialTrouble::not_allowed) return 403;
  if (trouble == DialTrouble::late) return 504;
  if (trouble == DialTrouble::no_room) return 503;
  return 502;
}

class HttpSession {
 public:
  HttpSession(Parts& parts, Client& client) : parts_(parts), client_(client) {}

  Task<void> run() {
    bool go_on = true;
    while (go_on) {
      auto head = co_await read_head();
      if (!head) co_return;
      go_on = co_await answer(std::move(*head));
    }
  }

 private:
  // Nothing: the client has gone, or what it sent was answered.
  Task<std::optional<RequestHead>> read_head() {
    auto& stream = client_.stream;
    auto& poller = parts_.poller;
    if (stream.in.empty()) {
      const bool anything = co_await read_more(poller, stream, poller.now() + parts_.limits.idle);
      if (!anything) co_return std::nullopt;
    }
    begun_ = poller.now();
    head_only_ = false;
    const auto deadline = begun_ + parts_.limits.head;
    bool late = false;
    std::optional<std::size_t> size;
    while (true) {
      if (stream.in.starts_with("\r\n")) stream.take(2);  // RFC 9112 section 2.2: some clients end a body with it
      size = protocol::http::head_length(stream.in);
      if (size || stream.in.size() > protocol::http::head_bytes_max) break;
      const bool more = co_await read_more(poller, stream, deadline);
      late = !more && poller.now() >= deadline;
      if (!more) break;
    }
    access_ = Access{begun_, client_.source.address, "NONE", 0, 0, {}, {}, std::nullopt};
    if (late) {
      co_await fail(408, "the head of the request did not come within ten seconds");
      co_return std::nullopt;
    }
    if (!size && stream.in.size() <= protocol::http::head_bytes_max) co_return std::nullopt;
    if (!size || *size > protocol::http::head_bytes_max) {
      co_await fail(431, "the head of the request is longer than 64 KiB");
      co_return std::nullopt;
    }
    auto head = protocol::http::parse_request_head(std::string_view(stream.in).substr(0, *size));
    if (!head) {
      co_await fail(head.error().status, head.error().why);
      co_return std::nullopt;
    }
    stream.take(*size);
    co_return std::move(*head);
  }

  // False: the connection ends.
  Task<bool> answer(RequestHead head) {
    access_.method = head.method;
    head_only_ = head.method == "HEAD";
    auto target = target_of(head);
    if (!target) co_return co_await fail(target.error().status, target.error().why);
    access_.url = head.target;
    if (target->scheme == Scheme::own) co_return co_await own(std::move(head), std::move(*target));
    if (target->scheme == Scheme::tunnel) co_return co_await tunnel(std::move(head), std::move(*target));
    if (target->scheme == Scheme::ftp) co_return co_await ftp(std::move(head), std::move(*target));
    co_return co_await forward(std::move(head), std::move(*target));
  }

  Task<bool> own(RequestHead head, HttpTarget target) {
    const auto framing = protocol::http::framing_of(head);
    if (!framing) co_return co_await fail(framing.error().status, framing.error().why);
    if (framing->kind != protocol::http::Framing::Kind::none) co_return co_await fail(400, "a page of the proxy takes no body");
    if (head.method != "GET" && !head_only_)
      co_return co_await fail(target.path == "*" ? 501U : 405U, "the proxy's own pages can be read only");
    const auto path = target.path.substr(0, target.path.find('?'));
    auto& out = client_.stream.out;
    if (path == "/proxy.pac" || path == "/wpad.dat")
      out = own_page("application/x-ns-proxy-autoconfig", proxy_configuration_file(parts_.policy, client_.local), head_only_, false);
    else if (path == "/")
      out = own_page("text/html; charset=utf-8", welcome_page(client_.local), head_only_, false);
    else
      co_return co_await fail(404, "the proxy has no such page; a request for another server names it: http://example.org/");
    access_.status = 200;
    co_return co_await end();
  }

  Task<bool> tunnel(RequestHead head, HttpTarget target) {
    const auto framing = protocol::http::framing_of(head);
    if (!framing) co_return co_await fail(framing.error().status, framing.error().why);
    if (framing->kind != protocol::http::Framing::Kind::none) co_return co_await fail(400, "CONNECT has no body");
    Stream upstream;
    auto dialled =
        co_await parts_.dialer.dial(Way::tunnel, target.host, target.port, parts_.poller.now() + parts_.limits.connect, upstream);
    if (!dialled.ok()) co_return co_await refuse(std::move(dialled));
    upstream_.reset();
    access_.peer = dialled.peer.address;
    client_.stream.out = "HTTP/1.1 200 Connection established\r\n\r\n";
    const TunnelTimes times{parts_.limits.tunnel, parts_.limits.half_closed};
    const auto carried = co_await carry(parts_.poller, client_.stream, upstream, times);
    access_.code = "TCP_TUNNEL";
    access_.status = 200;
    access_.bytes = carried.down;
    parts_.log.write(access_);
    co_return false;
  }

  Task<bool> ftp(RequestHead head, HttpTarget target) {
    // The credentials of the address are nobody's but the server's.
    access_.url = "ftp://" + authority_of(target.host, target.port.value()) + target.path;
    const auto outcome = co_await fetch_by_ftp(parts_, client_, head, target, access_);
    if (outcome.what == FtpOutcome::What::failed) co_return co_await fail(outcome.status, outcome.why);
    access_.code = "TCP_MISS";
    access_.bytes = outcome.bytes;
    parts_.log.write(access_);
    if (outcome.what == FtpOutcome::What::cut)
      client_.stream.abort();
    else
      co_await linger(parts_.poller, client_.stream, parts_.poller.now() + parts_.limits.lingering);
    co_return false;
  }

  Task<bool> forward(RequestHead head, HttpTarget target) {
    const auto request = forward_request(head, target);
    if (!request) co_return co_await fail(request.error().status, request.error().why);
    while (true) {
      const bool reused = upstream_ != nullptr && upstream_->leads_to(target) && upstream_->is_alive();
      if (!reused) {
        upstream_ = std::make_unique<Upstream>();
        auto dialled = co_await parts_.dialer.dial(Way::http, target.host, target.port, parts_.poller.now() + parts_.limits.connect,
                                                   upstream_->stream);
        if (!dialled.ok()) co_return co_await refuse(std::move(dialled));
        upstream_->host = target.host;
        upstream_->port = target.port;
        upstream_->peer = dialled.peer;
      }
      access_.peer = upstream_->peer.address;
      HttpExchange exchange(parts_, client_, *upstream_, head.method, *request);
      const auto outcome = co_await exchange.run();
      if (outcome.what == ExchangeOutcome::What::stale && reused && request->may_repeat) {
        upstream_.reset();
        continue;
      }
      access_.code = "TCP_MISS";
      access_.status = outcome.status;
      access_.bytes = outcome.bytes;
      if (!outcome.keep_upstream) upstream_.reset();
      if (outcome.what == ExchangeOutcome::What::stale)
        co_return co_await fail(502, "the server closed the connection and answered nothing");
      if (outcome.what == ExchangeOutcome::What::failed) co_return co_await fail(outcome.status, outcome.why);
      parts_.log.write(access_);
      if (outcome.what == ExchangeOutcome::What::cut) {
        client_.stream.abort();
        co_return false;
      }
      if (outcome.what == ExchangeOutcome::What::closed) co_return false;
      if (outcome.keep_client) co_return true;
      access_.begun = {};
      co_await linger(parts_.poller, client_.stream, parts_.poller.now() + parts_.limits.lingering);
      co_return false;
    }
  }

  Task<bool> refuse(Dialled dialled) {
    if (dialled.trouble == DialTrouble::not_allowed) access_.code = "TCP_DENIED";
    co_return co_await fail(status_of(dialled.trouble), dialled.why, dialled.cure);
  }

  // The texts belong to the caller, whose frame is there until this ends.
  Task<bool> fail(unsigned status, std::string_view why, std::string_view cure = {}) {
    access_.status = status;
    client_.stream.out += failure_page(status, why, cure, head_only_);
    co_return co_await end();
  }

  Task<bool> end() {
    access_.bytes = client_.stream.out.size();
    parts_.log.write(access_);
    const bool written = co_await write_out(parts_.poller, client_.stream, parts_.poller.now() + parts_.limits.head);
    if (written) co_await linger(parts_.poller, client_.stream, parts_.poller.now() + parts_.limits.lingering);
    co_return false;
  }

  Parts& parts_;
  Client& client_;
  std::unique_ptr<Upstream> upstream_;  // of this client alone: no other ever reads what is left in it
  Access access_;
  Deadline begun_;
  bool head_only_ = false;
};

}  // namespace

Task<void> serve_http(Parts& parts, Client& client) {
  HttpSession session(parts, client);
  co_await session.run();
}

}  // namespace drpf::proxy
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
