#include "protocol/http/message_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::protocol::http {
namespace {

using testing::ElementsAre;

TEST(HttpMessageHead, EndsWithItsEmptyLine) {
  EXPECT_EQ(head_length("GET / HTTP/1.1\r\n\r\nbody"), 18U);
  EXPECT_EQ(head_length("GET / HTTP/1.1\r\n"), std::nullopt);
  EXPECT_EQ(head_length("GET / HTTP/1.1\r\n\r"), std::nullopt);
  EXPECT_EQ(head_length(""), std::nullopt);
  EXPECT_EQ(head_length("a\n\nb"), 3U);  // so that it is refused and not waited for
}

TEST(HttpMessageHead, ARequestIsTakenApart) {
  const auto head = parse_request_head("POST http://a.example/x?y HTTP/1.0\r\nHost: a.example\r\nX:\t y z \r\nempty:\r\n\r\n");
  ASSERT_TRUE(head) << head.error().why;
  EXPECT_EQ(head->method, "POST");
  EXPECT_EQ(head->target, "http://a.example/x?y");
  EXPECT_EQ(head->minor, 0U);
  ASSERT_EQ(head->fields.size(), 3U);
  EXPECT_EQ(*single(head->fields, "x"), "y z");
  EXPECT_EQ(*single(head->fields, "EMPTY"), "");
  EXPECT_EQ(single(head->fields, "nothing"), nullptr);
}

TEST(HttpMessageHead, ListsAreOfAllFieldsOfTheName) {
  const auto fields = parse_fields("Connection: Close, X-a\r\nOther: b\r\nconnection: , TE ,\r\n");
  ASSERT_TRUE(fields);
  EXPECT_THAT(list_of(*fields, "Connection"), ElementsAre("close", "x-a", "te"));
  EXPECT_EQ(single(*fields, "Connection"), nullptr);
  EXPECT_EQ(count(*fields, "Connection"), 2U);
}

TEST(HttpMessageHead, AResponseIsTakenApart) {
  const auto head = parse_response_head("HTTP/1.1 404 Not \xc3\xa4 Found\r\nA: b\r\n\r\n");
  ASSERT_TRUE(head) << head.error().why;
  EXPECT_EQ(head->status, 404U);
  EXPECT_EQ(head->reason, "Not \xc3\xa4 Found");
  EXPECT_EQ(parse_response_head("HTTP/1.0 200\r\n\r\n")->reason, "");
  for (const auto* const bad : {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n",
                                "HTTP/1.1  200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 O\x01K\r\n\r\n",
                                "HTTP/1.1\r\n\r\n", "\r\n\r\n"})
    EXPECT_FALSE(parse_response_head(bad)) << bad;
}

Framing framing(std::string fields, std::string_view method = "GET", unsigned status = 200) {
  const auto head = parse_response_head("HTTP/1.1 " + std::to_string(status) + " x\r\n" + fields + "\r\n");
  return framing_of(*head, method).value_or(Framing{Framing::Kind::length, 999});
}

TEST(HttpMessageHead, HowLongTheBodyOfAnAnswerIs) {
  using Kind = Framing::Kind;
  EXPECT_EQ(framing(""), (Framing{Kind::until_close, 0}));
  EXPECT_EQ(framing("Content-Length: 7\r\n"), (Framing{Kind::length, 7}));
  EXPECT_EQ(framing("Transfer-Encoding: Chunked\r\n"), (Framing{Kind::chunked, 0}));
  EXPECT_EQ(framing("Content-Length: 7\r\n", "HEAD"), Framing{});
  EXPECT_EQ(framing("Content-Length: 7\r\n", "GET", 304), Framing{});
  EXPECT_EQ(framing("", "GET", 204), Framing{});
  for (const auto* const bad : {"Content-Length: 7\r\nContent-Length: 7\r\n", "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n",
                                "Transfer-Encoding: gzip\r\n", "Content-Length: 9999999999999999999\r\n"})
    EXPECT_EQ(framing(bad).length, 999U) << bad;
}

}  // namespace
}  // namespace drpf::protocol::http
