// One request and its answer between a client and an upstream: both bodies at the same time, interim answers, a change of the protocol.
// Connects nobody and writes no pages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/http/body_flow.h"
#include "proxy/conversation.h"
#include "proxy/forwarding.h"

namespace drpf::proxy {

struct Upstream {
  Stream stream;
  Host host;
  Port port;
  Endpoint peer;

  bool leads_to(const HttpTarget& target) const { return host == target.host && port == target.port; }
  // It has not ended, and has not said anything that nobody asked for.
  bool is_alive();
};

struct ExchangeOutcome {
  enum class What : std::uint8_t {
    done,
    failed,  // nothing of an answer has gone to the client: a page with `status` and `why` can
    stale,   // the same: the connection had ended before it answered anything
    cut,     // in the middle of an answer
    closed,  // the client has gone, or another protocol has come to its end
  };
  What what = What::done;
  unsigned status = 0;
  std::string_view why;  // for ever
  std::uint64_t bytes = 0;
  bool keep_client = false;
  bool keep_upstream = false;
};

class HttpExchange {
 public:
  HttpExchange(Parts& parts, Client& client, Upstream& upstream, std::string_view method, const ForwardedRequest& request);
  Task<ExchangeOutcome> run();

 private:
  using What = ExchangeOutcome::What;
  // Each: what ends the exchange, or nothing.
  std::optional<ExchangeOutcome> upload();
  std::optional<ExchangeOutcome> download();
  std::optional<ExchangeOutcome> take_answer();
  std::optional<ExchangeOutcome> take_head();
  std::optional<ExchangeOutcome> upstream_ended();
  ExchangeOutcome end(What what, unsigned status, std::string_view why);
  ExchangeOutcome late();
  ExchangeOutcome done();
  Wish client_wish() const;
  Wish upstream_wish() const;

  Parts& parts_;
  Client& client_;
  Upstream& upstream_;
  std::string_view method_;
  const ForwardedRequest& request_;
  protocol::http::BodyFlow up_;
  protocol::http::BodyFlow down_;
  std::optional<ForwardedResponse> response_;
  unsigned status_ = 0;
  bool answered_ = false;  // with at least one byte
  bool ended_ = false;     // upstream has nothing more to say
  bool broken_ = false;    // by an error
  bool deaf_ = false;      // upstream takes nothing more
  bool moved_ = false;
  Deadline last_moved_;
};

}  // namespace drpf::proxy
