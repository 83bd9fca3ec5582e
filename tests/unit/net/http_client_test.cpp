#include "net/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "support/line_reader.h"
#include "unit/net/http_over_unix.h"

namespace drpf::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

TEST(HttpClient, SaysWhatToDoWhenNobodyListens) {
  const test::TemporaryFolder folder;
  const auto answer = HttpClient::over_unix(folder / "drpf.sock").request("GET", "/v1/status");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "gateway_unreachable");
  EXPECT_THAT(answer.error().cure, HasSubstr("start it with `drpf gateway`, or give --socket PATH"));
}

TEST(HttpClient, GivesUpOnAServerThatNeverAnswers) {
  const test::TemporaryFolder folder;
  const auto path = folder / "mute.sock";
  const auto address = system::to_socket_address(path);
  const system::Fd mute(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(mute.get(), address->get(), address->size), 0);
  ASSERT_EQ(::listen(mute.get(), 1), 0);
  HttpClient::Options options;
  options.timeout = 30ms;
  const auto answer = HttpClient::over_unix(path, options).request("GET", "/");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "gateway_timeout");
}

TEST(HttpClient, SaysWhenTheOtherSideSpeaksNoHttp) {
  const test::TemporaryFolder folder;
  const auto path = folder / "smtp.sock";
  const auto address = system::to_socket_address(path);
  const system::Fd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(listener.get(), address->get(), address->size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  std::thread smtp([&] {
    const system::Fd peer(::accept(listener.get(), nullptr, nullptr));
    const std::string greeting = "220 mail.example.org ESMTP\r\n";
    EXPECT_EQ(::send(peer.get(), greeting.data(), greeting.size(), MSG_NOSIGNAL), static_cast<ssize_t>(greeting.size()));
  });
  const auto answer = HttpClient::over_unix(path).request("GET", "/");
  smtp.join();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "gateway_confused");
}

TEST(HttpClient, SendsHeadersAndABodyOfAnotherTypeAndReadsHeaders) {
  const test::TemporaryFolder folder;
  const auto path = folder / "other.sock";
  const auto address = system::to_socket_address(path);
  const system::Fd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(listener.get(), address->get(), address->size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  std::string asked;
  std::thread other([&] {
    const system::Fd peer(::accept(listener.get(), nullptr, nullptr));
    std::array<char, 1024> buffer;
    while (!asked.ends_with("a=b")) {
      const auto size = ::recv(peer.get(), buffer.data(), buffer.size(), 0);
      if (size <= 0) break;
      asked.append(buffer.data(), static_cast<std::size_t>(size));
    }
    const std::string answer = "HTTP/1.1 409 Conflict\r\nX-Session: 17\r\nx-session: 18\r\nContent-Length: 2\r\n\r\nno";
    EXPECT_EQ(::send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL), static_cast<ssize_t>(answer.size()));
  });
  ClientRequest request;
  request.method = "POST";
  request.target = "/login";
  request.body = "a=b";
  request.content_type = "application/x-www-form-urlencoded";
  request.more_headers.emplace_back("Cookie", "SID=1");
  HttpClient::Options options;
  options.who = "the other";
  const auto answer = HttpClient::over_unix(path, options).request(request);
  other.join();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 409U);
  EXPECT_EQ(answer->header("X-SESSION"), "17");
  EXPECT_EQ(answer->header("absent"), "");
  EXPECT_THAT(asked, StartsWith("POST /login HTTP/1.1\r\n"));
  EXPECT_THAT(asked, HasSubstr("\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n"));
  EXPECT_THAT(asked, HasSubstr("\r\nCookie: SID=1\r\n"));
}

TEST(HttpClient, AHeaderCannotSmuggleAnother) {
  ClientRequest request;
  request.more_headers.emplace_back("Cookie", "a\r\nHost: elsewhere");
  HttpClient::Options options;
  options.who = "the other";
  const auto answer = HttpClient::over_unix("/nowhere", options).request(request);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "bad_header");
  const auto nobody = HttpClient::over_tcp({*parse_address("127.0.0.1"), Port{1}}, options).request("GET", "/");
  ASSERT_FALSE(nobody);
  EXPECT_THAT(nobody.error().message, HasSubstr("cannot reach the other at 127.0.0.1:1: "));
}

}  // namespace
}  // namespace drpf::net
