#include "proxy/target.h"

#include <gtest/gtest.h>

namespace drpf::proxy {
namespace {

using protocol::http::parse_request_head;

std::string said(const std::string& text) {
  const auto target = target_of(*parse_request_head(text));
  if (!target) return std::string(target.error().why);
  return authority_of(target->host, target->port.value()) + " " + target->path +
         (target->credentials.empty() ? "" : " as " + target->credentials);
}

TEST(Target, AbsoluteForm) {
  EXPECT_EQ(said("GET http://A.example/x HTTP/1.0\r\n\r\n"), "a.example:80 /x");
  EXPECT_EQ(said("GET HTTP://a.example?y HTTP/1.0\r\n\r\n"), "a.example:80 /?y");
  EXPECT_EQ(said("GET http://[2001:DB8::1]:81/ HTTP/1.0\r\n\r\n"), "[2001:db8::1]:81 /");
  EXPECT_EQ(said("GET http://192.0.2.1/ HTTP/1.0\r\n\r\n"), "192.0.2.1:80 /");
  EXPECT_EQ(said("GET ftp://me:pw@a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n"), "a.example:21 /x as me:pw");
}

TEST(Target, AuthorityForm) {
  EXPECT_EQ(said("CONNECT a.example:443 HTTP/1.0\r\n\r\n"), "a.example:443 /");
  EXPECT_EQ(said("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]\r\n\r\n"), "[::1]:443 /");
}

TEST(Target, PagesOfTheProxyItself) {
  const auto target = target_of(*parse_request_head("GET /proxy.pac HTTP/1.1\r\nHost: 10.0.0.1:3128\r\n\r\n"));
  ASSERT_TRUE(target);
  EXPECT_EQ(target->scheme, Scheme::own);
  EXPECT_EQ(target->path, "/proxy.pac");
}

TEST(Host, PlainFormsOnly) {
  EXPECT_EQ(to_string(*parse_host("A.Example.")), "a.example");
  EXPECT_EQ(to_string(*parse_host("192.0.2.1.")), "192.0.2.1");
  EXPECT_EQ(to_string(*parse_host("2001:db8::1", true)), "2001:db8::1");
  EXPECT_TRUE(std::holds_alternative<std::string>(*parse_host("1.example")));
  EXPECT_TRUE(std::holds_alternative<std::string>(*parse_host("a_b.example")));
  for (const auto* const bad :
       {"",    ".",   "a..b", ".a",   "127.1", "0x7f.1",    "1.2.3.4.5",    "1.2.3.08",         "256.1.1.1", "a b",
        "a%b", "a/b", "a@b",  "[::1", "::1",   "[1.2.3.4]", "[fe80::1%lo]", "\xc3\xa4.example", "a\\b",      "99999999999"})
    EXPECT_FALSE(parse_host(bad)) << bad;
  EXPECT_FALSE(parse_host(std::string(64, 'a') + ".example"));
  EXPECT_FALSE(parse_host(std::string(254, 'a')));
}

}  // namespace
}  // namespace drpf::proxy
