#include "proxy/forwarding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::proxy {
namespace {

using protocol::http::Framing;
using protocol::http::parse_request_head;
using protocol::http::parse_response_head;
using testing::HasSubstr;
using testing::Not;

ForwardedRequest forwarded(const std::string& text) {
  const auto head = parse_request_head(text);
  EXPECT_TRUE(head) << text;
  const auto target = target_of(*head);
  EXPECT_TRUE(target) << target.error().why;
  const auto request = forward_request(*head, *target);
  EXPECT_TRUE(request) << request.error().why;
  return *request;
}

ForwardedResponse answered(const std::string& text, const ForwardedRequest& request, std::string_view method = "GET") {
  const auto head = parse_response_head(text);
  EXPECT_TRUE(head) << text;
  const auto response = forward_response(*head, method, request);
  EXPECT_TRUE(response) << response.error().why;
  return *response;
}

const std::string host = "Host: a.example\r\n";

TEST(Forwarding, ARequestIsWrittenAnew) {
  const auto request = forwarded("GET http://A.example:80/x?y=1 HTTP/1.1\r\n" + host +
                                 "Proxy-Connection: keep-alive\r\nKeep-Alive: 5\r\nConnection: X-Own, close\r\nX-Own: 1\r\nTE: gzip\r\n"
                                 "Proxy-Authorization: Basic eA==\r\nAccept: */*\r\nCookie: a\r\nCookie: b\r\nUpgrade: h2c\r\n\r\n");
  EXPECT_EQ(request.head, "GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nCookie: a\r\nCookie: b\r\nVia: 1.1 drpf\r\n\r\n");
  EXPECT_FALSE(request.keep_alive);
  EXPECT_TRUE(request.may_repeat);
  EXPECT_FALSE(request.upgrade);
}

TEST(Forwarding, TheFramingIsOurOwn) {
  const auto post = "POST http://a.example:8080/ HTTP/1.1\r\nHost: a.example:8080\r\n";
  EXPECT_EQ(forwarded(std::string(post) + "Content-Length: 007\r\n\r\n").head,
            "POST / HTTP/1.1\r\nHost: a.example:8080\r\nVia: 1.1 drpf\r\nContent-Length: 7\r\n\r\n");
  const auto chunked = forwarded(std::string(post) + "Transfer-Encoding: CHUNKED\r\nTrailer: X\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
  EXPECT_EQ(chunked.head,
            "POST / HTTP/1.1\r\nHost: a.example:8080\r\nTrailer: X\r\nVia: 1.1 drpf\r\nTransfer-Encoding: chunked\r\nTE: "
            "trailers\r\nConnection: TE\r\n\r\n");
  EXPECT_FALSE(chunked.may_repeat);
}

TEST(Forwarding, WebSocketsMayBeAskedFor) {
  const auto request =
      forwarded("GET http://a.example/ws HTTP/1.1\r\n" + host + "Connection: keep-alive, Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n");
  EXPECT_TRUE(request.upgrade);
  EXPECT_THAT(request.head, HasSubstr("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"));
  EXPECT_TRUE(answered("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", request).switches);
  const auto plain = forwarded("GET http://a.example/ws HTTP/1.1\r\n" + host + "Upgrade: websocket\r\n\r\n");
  EXPECT_FALSE(plain.upgrade);
  EXPECT_FALSE(forward_response(*parse_response_head("HTTP/1.1 101 Switching\r\n\r\n"), "GET", plain));
}

TEST(Forwarding, OptionsOfAllAndOfAPath) {
  EXPECT_THAT(forwarded("OPTIONS http://a.example HTTP/1.1\r\n" + host + "Max-Forwards: 3\r\n\r\n").head,
              HasSubstr("OPTIONS * HTTP/1.1\r\n"));
  EXPECT_THAT(forwarded("OPTIONS http://a.example HTTP/1.1\r\n" + host + "Max-Forwards: 3\r\n\r\n").head,
              HasSubstr("\r\nMax-Forwards: 2\r\n"));
  EXPECT_THAT(forwarded("OPTIONS http://a.example/ HTTP/1.1\r\n" + host + "\r\n").head, HasSubstr("OPTIONS / HTTP/1.1\r\n"));
}

TEST(Forwarding, TheAnswersFramingIsOurOwnToo) {
  const auto request = forwarded("GET http://a.example/ HTTP/1.1\r\n" + host + "\r\n");
  const auto length =
      answered("HTTP/1.1 200 OK\r\nContent-Length: 05\r\nConnection: keep-alive\r\nKeep-Alive: 9\r\nSet-Cookie: a\r\n\r\n", request);
  EXPECT_EQ(length.head, "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nVia: 1.1 drpf\r\nContent-Length: 5\r\n\r\n");
  EXPECT_TRUE(length.keep_client && length.keep_upstream && !length.chunked);
  const auto until_close = answered("HTTP/1.0 200 OK\r\n\r\n", request);
  EXPECT_THAT(until_close.head, HasSubstr("Transfer-Encoding: chunked"));
  EXPECT_TRUE(until_close.keep_client && !until_close.keep_upstream);
  EXPECT_FALSE(answered("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", request).keep_upstream);
  EXPECT_FALSE(forward_response(*parse_response_head("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"), "GET", request));
}

TEST(Forwarding, AnOldClientGetsNoChunks) {
  const auto request = forwarded("GET http://a.example/ HTTP/1.0\r\nProxy-Connection: keep-alive\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_TRUE(request.keep_alive);
  EXPECT_THAT(request.head, Not(HasSubstr("Expect")));
  const auto chunked = answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", request);
  EXPECT_FALSE(chunked.chunked || chunked.keep_client);
  EXPECT_THAT(chunked.head, HasSubstr("Connection: close"));
  EXPECT_THAT(answered("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", request).head, HasSubstr("Connection: keep-alive"));
}

TEST(Forwarding, AnswersWithoutBodySayHowLongItWouldBe) {
  const auto request = forwarded("HEAD http://a.example/ HTTP/1.1\r\n" + host + "\r\n");
  const auto head = answered("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", request, "HEAD");
  EXPECT_EQ(head.body, Framing{});
  EXPECT_THAT(head.head, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_TRUE(head.keep_client);
}

TEST(Forwarding, InterimAnswersAreFollowedByOthers) {
  const auto request = forwarded("POST http://a.example/ HTTP/1.1\r\n" + host + "Content-Length: 1\r\nExpect: 100-Continue\r\n\r\n");
  EXPECT_THAT(request.head, HasSubstr("Expect: 100-Continue"));
  const auto interim = answered("HTTP/1.1 100 Continue\r\n\r\n", request, "POST");
  EXPECT_TRUE(interim.interim);
  EXPECT_EQ(interim.head, "HTTP/1.1 100 Continue\r\n\r\n");
}

}  // namespace
}  // namespace drpf::proxy
