#include "net/http_head.h"

#include <gtest/gtest.h>

#include <string>

namespace drpf::net {
namespace {

unsigned status(const std::string& fields, const std::string& version = "1.1", std::optional<Port> port = Port{5351}) {
  const auto fault = fault_in_head("POST /v1/self HTTP/" + version + "\r\n" + fields, port);
  return fault ? fault->status : 200;
}

TEST(HttpHead, WhatEverybodySendsIsFine) {
  EXPECT_EQ(status("Host: 10.77.0.1:5351\r\nContent-Length: 5\r\n"), 200U);
  EXPECT_EQ(status("host:[fd77::1]:5351 \r\ntransfer-encoding: Chunked\r\nAccept: a\r\nAccept: b\r\n"), 200U);
  EXPECT_EQ(status("", "1.0"), 200U);
}

TEST(HttpHead, AFieldGoesOnInNoOtherLine) {
  EXPECT_EQ(status("Host: a\r\nX: one\r\n two\r\n"), 400U);
  EXPECT_EQ(status("Host: a\r\nX: one\r\n\tTransfer-Encoding: chunked\r\n"), 400U);
  EXPECT_EQ(status(" Host: a\r\n"), 400U);
}

TEST(HttpHead, WhatIsDecidedByIsThereOnce) {
  for (const std::string name :
       {"Host", "Content-Length", "Transfer-Encoding", "Content-Type", "Origin", "SOAPAction", "Expect", "User-Agent"}) {
    const auto value = name == "Transfer-Encoding" ? "chunked" : "5";
    const auto line = name + ": " + value + "\r\n";
    const auto host = name == "Host" ? std::string() : std::string("Host: a\r\n");
    EXPECT_EQ(status(host + line), 200U) << name;
    EXPECT_EQ(status(host + line + line), 400U) << name;
  }
  EXPECT_EQ(status("X: 1\r\n"), 400U) << "HTTP/1.1 has a Host";
}

TEST(HttpHead, OneWayToSayHowLongTheBodyIs) {
  EXPECT_EQ(status("Host: a\r\nTransfer-Encoding: gzip\r\n"), 501U);
  EXPECT_EQ(status("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n"), 501U);
  EXPECT_EQ(status("Host: a\r\nTransfer-Encoding: xchunked\r\n"), 501U);
  EXPECT_EQ(status("Host: a\r\nTransfer-Encoding:\r\n"), 501U);
  EXPECT_EQ(status("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400U);
  EXPECT_EQ(status("Transfer-Encoding: chunked\r\n", "1.0"), 400U);
}

TEST(HttpHead, TheHostNamesThisPortOrNone) {
  for (const auto* host : {"localhost", "localhost:5351", "10.77.0.1", "[fd77::1]", "[fd77::1]:5351", "fd77::1"})
    EXPECT_EQ(status("Host: " + std::string(host) + "\r\n"), 200U) << host;
  for (const auto* host : {"localhost:anything", "localhost:", "localhost:80", "10.77.0.1:53510", "10.77.0.1:05351", "[fd77::1]:1"})
    EXPECT_EQ(status("Host: " + std::string(host) + "\r\n"), 421U) << host;
  EXPECT_EQ(status("Host: localhost:80\r\n", "1.1", std::nullopt), 200U) << "a unix socket has no port";
}

TEST(HttpHead, OtherVersionsAreNotSpoken) {
  for (const auto* version : {"2.0", "1.2", "0.9", "1.1 "}) EXPECT_EQ(status("Host: a\r\n", version), 400U) << version;
}

}  // namespace
}  // namespace drpf::net
