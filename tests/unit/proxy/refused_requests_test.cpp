#include <gtest/gtest.h>

#include "protocol/http/body_flow.h"
#include "proxy/forwarding.h"
#include "proxy/policy.h"
#include "proxy/target.h"
#include "unit/proxy/golden_table.h"

namespace drpf::proxy {
namespace {

using namespace protocol::http;

// What the conversation answers before it connects anybody; 200 where it would connect.
unsigned answer_to(const std::string& text) {
  const auto size = head_length(text);
  if (!size) return 0;
  const auto head = parse_request_head(std::string_view(text).substr(0, *size));
  if (!head) return head.error().status;
  const auto target = target_of(*head);
  if (!target) return target.error().status;
  if (target->scheme == Scheme::own) return 200;
  const bool tunnel = target->scheme == Scheme::tunnel;
  const auto framing = framing_of(*head);
  if (!framing) return framing.error().status;
  if (tunnel && framing->kind != Framing::Kind::none) return 400;
  if (!tunnel) {
    const auto request = forward_request(*head, *target);
    if (!request) return request.error().status;
  }
  if (Policy().refuses_port(tunnel ? Way::tunnel : Way::http, target->port)) return 403;
  BodyFlow body(*framing, framing->kind == Framing::Kind::chunked);
  std::string out;
  body.feed(std::string_view(text).substr(*size), out);
  return body.failed() ? 400 : 200;
}

TEST(RefusedRequests, EachHasItsAnswer) {
  const auto rows = rows_of_golden("refused_requests.tsv");
  ASSERT_GE(rows.size(), 100U);
  for (const auto& row : rows) {
    ASSERT_EQ(row.size(), 3U) << row[0];
    auto request = unescaped(row[2]);
    for (auto at = request.find("{o}"); at != std::string::npos; at = request.find("{o}")) request.replace(at, 3, "o.example:8080");
    EXPECT_EQ(answer_to(request), std::stoul(row[0])) << row[1];
  }
}

// The same requests without their fault go through, so that it is the fault that is refused.
TEST(RefusedRequests, WhatIsPlainIsNot) {
  for (const std::string good :
       {"GET http://o.example:8080/ HTTP/1.1\r\nHost: o.example:8080\r\n\r\n",
        "GET http://O.example./ HTTP/1.1\r\nHost: o.EXAMPLE:80\r\n\r\n", "GET http://o.example HTTP/1.0\r\n\r\n",
        "POST http://o.example/ HTTP/1.1\r\nHost: o.example\r\nContent-Length: 5\r\n\r\nhello",
        "POST http://o.example/ HTTP/1.1\r\nHost: o.example\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "CONNECT o.example:443 HTTP/1.1\r\nHost: o.example:443\r\n\r\n", "CONNECT o.example:443 HTTP/1.1\r\nHost: o.example\r\n\r\n",
        "CONNECT [2001:db8::1]:443 HTTP/1.0\r\n\r\n", "OPTIONS http://o.example HTTP/1.1\r\nHost: o.example\r\nMax-Forwards: 2\r\n\r\n",
        "GET /proxy.pac HTTP/1.1\r\nHost: 192.168.7.1:3128\r\n\r\n"})
    EXPECT_EQ(answer_to(good), 200U) << good;
}

}  // namespace
}  // namespace drpf::proxy
