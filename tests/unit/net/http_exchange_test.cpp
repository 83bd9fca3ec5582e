#include "net/http_exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::net {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

HttpExchange whole(std::uint64_t body_bytes_max = 100) { return {"the server at a:1", body_bytes_max}; }
HttpExchange stream() { return {"the server at a:1", std::nullopt}; }

std::string chunk(const std::string& text) {
  char size[16];
  std::snprintf(size, sizeof size, "%zx\r\n", text.size());
  return size + text + "\r\n";
}
const std::string stream_head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST(HttpExchange, SaysWhatIsAskedAndNoMore) {
  const auto text = whole().encode({}, "a:1").value();
  EXPECT_THAT(text, StartsWith("GET / HTTP/1.1\r\nHost: a:1\r\n"));
  EXPECT_THAT(text, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(text, Not(HasSubstr("Content-Length")));
  EXPECT_TRUE(text.ends_with("\r\n\r\n"));
}

TEST(HttpExchange, ABodyHasItsLengthAlsoWhereItIsEmpty) {
  for (const auto* method : {"POST", "PATCH"}) {
    ClientRequest request;
    request.method = method;
    EXPECT_THAT(whole().encode(request, "a").value(), HasSubstr("Content-Type: application/json\r\nContent-Length: 0\r\n")) << method;
  }
  ClientRequest request;
  request.method = "DELETE";
  EXPECT_THAT(whole().encode(request, "a").value(), Not(HasSubstr("Content-Length")));
  request.body = "hello";
  request.content_type = "text/plain";
  const auto text = whole().encode(request, "a").value();
  EXPECT_THAT(text, HasSubstr("Content-Type: text/plain\r\nContent-Length: 5\r\n"));
  EXPECT_TRUE(text.ends_with("\r\n\r\nhello"));
}

TEST(HttpExchange, HeadersAreOfOneLine) {
  ClientRequest request;
  request.more_headers = {{"X-One", "a b~"}};
  EXPECT_THAT(whole().encode(request, "a").value(), HasSubstr("\r\nX-One: a b~\r\n"));
  for (const auto& bad : {std::pair<std::string, std::string>{"X", "a\r\nY: b"}, {"X\n", "a"}, {"X", "\x1f"}, {"X", "\x7f"}}) {
    request.more_headers = {bad};
    EXPECT_EQ(whole().encode(request, "a").error().code, "bad_header");
  }
}

TEST(HttpExchange, AnAnswerMayComeByteByByte) {
  auto exchange = whole();
  const std::string answer = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nX-More: 1\r\nContent-Length: 5\r\n\r\nhello";
  for (std::size_t i = 0; i < answer.size(); ++i) {
    EXPECT_FALSE(exchange.is_complete()) << i;
    EXPECT_EQ(exchange.head_is_complete(), i >= answer.size() - 5) << i;
    ASSERT_TRUE(exchange.take(answer.substr(i, 1)));
  }
  ASSERT_TRUE(exchange.is_complete());
  EXPECT_EQ(exchange.status(), 404U);
  const auto response = exchange.take_response();
  EXPECT_EQ(response.status, 404U);
  EXPECT_EQ(response.body, "hello");
  EXPECT_EQ(response.content_type, "text/plain");
  EXPECT_EQ(response.header("x-more"), "1");
  EXPECT_EQ(response.header("absent"), "");
}

TEST(HttpExchange, AnAnswerWithoutALengthGoesToTheEnd) {
  auto exchange = whole();
  ASSERT_TRUE(exchange.take("HTTP/1.1 200 OK\r\n\r\nhel"));
  ASSERT_TRUE(exchange.take("lo"));
  EXPECT_FALSE(exchange.is_complete());
  ASSERT_TRUE(exchange.take_end());
  ASSERT_TRUE(exchange.is_complete());
  EXPECT_EQ(exchange.take_response().body, "hello");
}

TEST(HttpExchange, WhoEndsInTheMiddleOrAtOnceIsConfused) {
  for (const std::string text : {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"}) {
    auto exchange = whole();
    ASSERT_TRUE(exchange.take(text));
    const auto ended = exchange.take_end();
    ASSERT_FALSE(ended) << text;
    EXPECT_EQ(ended.error().code, "gateway_confused");
    EXPECT_THAT(ended.error().message, HasSubstr("the server at a:1"));
  }
}

TEST(HttpExchange, WhatIsNoHttpOrTooLargeIsRefused) {
  EXPECT_EQ(whole().take("SSH-2.0-OpenSSH\r\n").error().code, "gateway_confused");
  EXPECT_TRUE(whole(5).take("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
  EXPECT_FALSE(whole(4).take("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"));
  EXPECT_FALSE(whole().take("HTTP/1.1 200 OK\r\nX: " + std::string(HttpExchange::head_bytes_max, 'x')));
}

TEST(HttpExchange, AStreamIsLinesWithoutHeartbeats) {
  auto exchange = stream();
  ASSERT_TRUE(exchange.take(stream_head + chunk("one\ntw")));
  EXPECT_EQ(exchange.next_line(), "one");
  EXPECT_EQ(exchange.next_line(), std::nullopt) << "the rest of it is still to come";
  ASSERT_TRUE(exchange.take(chunk("o\n" + std::string(heartbeat_line) + "\n\nthree\nfour")));
  EXPECT_EQ(exchange.next_line(), "two");
  EXPECT_EQ(exchange.next_line(), "three");
  EXPECT_EQ(exchange.next_line(), std::nullopt);
  EXPECT_FALSE(exchange.is_complete());
  ASSERT_TRUE(exchange.take("0\r\n\r\n"));
  EXPECT_TRUE(exchange.is_complete());
  EXPECT_EQ(exchange.next_line(), "four") << "the last one needs no end";
  EXPECT_EQ(exchange.next_line(), std::nullopt);
}

TEST(HttpExchange, ALineHasAnEnd) {
  auto exchange = stream();
  ASSERT_TRUE(exchange.take(stream_head));
  ASSERT_TRUE(exchange.take(chunk(std::string(HttpExchange::line_bytes_max, 'x'))));
  EXPECT_EQ(exchange.next_line(), std::nullopt);
  EXPECT_TRUE(exchange.check_line()) << "as long as one may be";
  ASSERT_TRUE(exchange.take(chunk("x")));
  EXPECT_EQ(exchange.next_line(), std::nullopt);
  EXPECT_EQ(exchange.check_line().error().code, "gateway_confused");
}

}  // namespace
}  // namespace drpf::net
