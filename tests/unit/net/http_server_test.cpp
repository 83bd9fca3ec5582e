#include "net/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <future>
#include <thread>

#include "support/line_reader.h"
#include "unit/net/http_over_unix.h"

namespace drpf::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

// Answers with what it was asked.
Response echo(const Request& request) {
  Response response;
  response.content_type = "text/plain";
  response.body = request.method;
  for (const auto& part : request.path) response.body += " " + part;
  response.body += "|" + request.content_type + "|" + request.body;
  if (request.peer) response.body += "|" + to_string(request.peer->address);
  return response;
}

TEST_F(HttpOverUnix, CarriesRequestsAndAnswers) {
  start(echo);
  const auto answer = client().request("POST", "/v1/accounts", R"({"name":"ann"})");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 200U);
  EXPECT_EQ(answer->content_type, "text/plain");
  EXPECT_EQ(answer->body, R"(POST v1 accounts|application/json|{"name":"ann"})");
}

TEST_F(HttpOverUnix, CarriesAnAnswerOfManyMegabytes) {
  start([](const Request&) {
    Response response;
    response.body.assign(20'000'000, 'x');
    return response;
  });
  EXPECT_EQ(client().request("GET", "/")->body.size(), 20'000'000U);
}

TEST_F(HttpOverUnix, TheSocketIsForItsOwnerAndGroupOnlyAndGoesAway) {
  start(echo);
  struct stat file{};
  ASSERT_EQ(::stat(path_.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0660U);
  thread_->call([this] { server_.reset(); });
  EXPECT_NE(::stat(path_.c_str(), &file), 0);
}

TEST_F(HttpOverUnix, ReplacesAStaleSocketButNeverALiveOne) {
  {
    const system::Fd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
    const auto address = system::to_socket_address(path_);
    ASSERT_EQ(::bind(dead.get(), address->get(), address->size), 0);
  }
  start(echo);
  const auto second = HttpServer::listen_unix(loop_, path_, echo);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, "already_running");
  EXPECT_TRUE(client().request("GET", "/"));
}

TEST_F(HttpOverUnix, LeavesAFileThatIsNoSocketAlone) {
  std::ofstream(path_) << "precious";
  const auto server = HttpServer::listen_unix(loop_, path_, echo);
  ASSERT_FALSE(server);
  EXPECT_THAT(server.error().message, HasSubstr("no socket"));
  std::string text;
  std::ifstream(path_) >> text;
  EXPECT_EQ(text, "precious");
}

TEST_F(HttpOverUnix, KnowsWhoIsAtTheOtherEnd) {
  std::optional<LocalPeer> peer;
  start([&](const Request& request) {
    peer = request.local_peer;
    return Response{};
  });
  ASSERT_TRUE(client().request("GET", "/"));
  EXPECT_EQ(peer, (LocalPeer{::getuid(), ::getpid()}));
}

TEST_F(HttpOverUnix, KeepsTheConnectionForSeveralRequestsAlsoWhenTheyComeAtOnce) {
  start(echo);
  const auto answer = raw("GET /one HTTP/1.1\r\nHost: localhost\r\n\r\nGET /two HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("GET one|"));
  EXPECT_THAT(answer, HasSubstr("GET two|"));
}

TEST_F(HttpOverUnix, RefusesWhatIsTooLargeOrNoHttp) {
  start(echo);
  const auto head = [](const std::string& text) { return text.substr(0, 12); };
  EXPECT_EQ(head(raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n")), "HTTP/1.1 413");
  EXPECT_EQ(head(raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n" + std::string(65537, 'x'))), "HTTP/1.1 413");
  EXPECT_EQ(
      head(raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n" + std::string(65537, 'x') + "\r\n0\r\n\r\n")),
      "HTTP/1.1 413");
  EXPECT_EQ(head(raw("GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n")), "HTTP/1.1 431");
  EXPECT_EQ(head(raw("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")), "HTTP/1.1 400");
  EXPECT_EQ(head(raw("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n")), "HTTP/1.1 400");
  EXPECT_EQ(head(raw("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n")), "HTTP/1.1 501");
  EXPECT_EQ(head(raw("EHLO mail.example.org\r\n\r\n")), "HTTP/1.1 400");
  EXPECT_EQ(head(raw(std::string(100, '\0'))), "HTTP/1.1 400");
  EXPECT_EQ(head(raw("GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")), "HTTP/1.1 400");
  EXPECT_THAT(raw("GET * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), HasSubstr(R"({"error":{"code":"target_invalid")"));
}

TEST_F(HttpOverUnix, TellsAClientThatAsksToGoOn) {
  start(echo);
  const auto fd = connected();
  const auto exchange = [&](const std::string& text) {
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    std::array<char, 1024> answer;
    const auto size = ::recv(fd.get(), answer.data(), answer.size(), 0);
    return std::string(answer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  };
  EXPECT_EQ(exchange("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(exchange("ok"), testing::AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("|ok")));
}

TEST_F(HttpOverUnix, AnswersAHandlersExceptionWith500) {
  start([](const Request&) -> Response { throw std::runtime_error("a bug"); });
  EXPECT_EQ(client().request("GET", "/")->status, 500U);
}

TEST_F(HttpOverUnix, CutsOffAClientThatTrickles) {
  HttpLimits limits;
  limits.read_timeout = 100ms;
  start(echo, limits);
  const auto fd = connected();
  const auto began = std::chrono::steady_clock::now();
  std::string head = "GET / HTTP/1.1\r\nX: ";
  bool cut = false;
  // A byte every 20 ms renews nothing: the limit is for the whole request.
  for (int i = 0; i < 500 && !cut; ++i) {
    const char byte = i < static_cast<int>(head.size()) ? head[static_cast<std::size_t>(i)] : 'x';
    cut = ::send(fd.get(), &byte, 1, MSG_NOSIGNAL) != 1;
    std::this_thread::sleep_until(began + 20ms * (i + 1));
  }
  EXPECT_TRUE(cut);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

TEST_F(HttpOverUnix, CutsOffAClientThatSaysNothing) {
  HttpLimits limits;
  limits.read_timeout = 50ms;
  start(echo, limits);
  EXPECT_EQ(raw(""), "");
}

TEST_F(HttpOverUnix, LeavesDescriptorsForTheRestOfTheProcess) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  HttpLimits limits;
  limits.descriptors_reserved = 2 * limit.rlim_cur;
  start(echo, limits);
  EXPECT_THAT(raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 503"));
}

TEST_F(HttpOverUnix, AnswersBusyBeyondItsConnections) {
  HttpLimits limits;
  limits.connections = 2;
  start(echo, limits);
  const auto ask = [](const system::Fd& fd) {
    const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    std::array<char, 1024> answer;
    const auto size = ::recv(fd.get(), answer.data(), answer.size(), 0);
    return std::string(answer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  };
  const auto first = connected();
  EXPECT_THAT(ask(first), StartsWith("HTTP/1.1 200"));
  {
    const auto second = connected();
    EXPECT_THAT(ask(second), StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(raw(""), StartsWith("HTTP/1.1 503"));
  }
  std::string answer;
  while (!answer.starts_with("HTTP/1.1 200"))
    answer = raw("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");  // the place is free again
}

class HttpOverTcp : public testing::TestWithParam<const char*> {};

TEST_P(HttpOverTcp, KnowsThePeersAddress) {
  EventLoop loop;
  auto server = HttpServer::listen_tcp(loop, Endpoint{*parse_address(GetParam()), Port{0}}, echo);
  ASSERT_TRUE(server) << server.error().message;
  const auto endpoint = (*server)->endpoint();
  EXPECT_FALSE(endpoint.port.is_zero());
  {
    test::LoopThread thread(loop);
    const auto answer = HttpClient::over_tcp(endpoint).request("GET", "/v1/self");
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->body, std::string("GET v1 self|||") + GetParam());
  }
}

TEST_P(HttpOverTcp, LimitsTheConnectionsOfOnePeer) {
  EventLoop loop;
  HttpLimits limits;
  limits.connections_per_peer = 0;
  auto server = HttpServer::listen_tcp(loop, Endpoint{*parse_address(GetParam()), Port{0}}, echo, limits);
  ASSERT_TRUE(server);
  {
    test::LoopThread thread(loop);
    const auto answer = HttpClient::over_tcp((*server)->endpoint()).request("GET", "/");
    // 503, or the close comes so early that nothing is read.
    if (answer) {
      EXPECT_EQ(answer->status, 503U);
    } else {
      EXPECT_EQ(answer.error().code, "gateway_confused");
    }
  }
}

TEST_P(HttpOverTcp, OnePeersRequestsWaitForTheirTurnAfterABurst) {
  EventLoop loop;
  HttpLimits limits;
  limits.requests_per_peer_per_s = 20;
  limits.requests_burst = 5;
  auto server = HttpServer::listen_tcp(loop, Endpoint{*parse_address(GetParam()), Port{0}}, echo, limits);
  ASSERT_TRUE(server);
  const auto endpoint = (*server)->endpoint();
  test::LoopThread thread(loop);
  const auto begin = std::chrono::steady_clock::now();
  constexpr int asked = 15;  // each by a connection of its own
  for (int i = 0; i < asked; ++i) ASSERT_EQ(HttpClient::over_tcp(endpoint).request("GET", "/")->status, 200U) << "none is refused";
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 50ms * (asked - 5));
  thread.call([&] { server->reset(); });
}

TEST_P(HttpOverTcp, OnePeerReadsFewStreamsAtATime) {
  EventLoop loop;
  HttpLimits limits;
  limits.streams_per_peer = 2;
  auto server = HttpServer::listen_tcp(
      loop, Endpoint{*parse_address(GetParam()), Port{0}},
      [](const Request&) {
        Response response;
        response.stream = [](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
          to->write("first");
          return to;
        };
        return response;
      },
      limits);
  ASSERT_TRUE(server);
  const auto client = HttpClient::over_tcp((*server)->endpoint());
  test::LoopThread thread(loop);
  std::optional<test::LineReader> one(std::in_place, client, "/");
  test::LineReader two(client, "/");
  EXPECT_EQ(*one->next(), "first");
  EXPECT_EQ(*two.next(), "first");
  const auto third = client.request("GET", "/");
  ASSERT_TRUE(third);
  EXPECT_EQ(third->status, 503U);
  EXPECT_THAT(third->body, HasSubstr("too_many_streams"));
  one.reset();
  while (true) {  // until the server has seen that the first is gone
    test::LineReader again(client, "/");
    if (again.status() == 200U) break;
  }
  thread.call([&] { server->reset(); });
}

TEST_P(HttpOverTcp, AnswersLaterWhileOthersAreServed) {
  EventLoop loop;
  Respond waiting;
  auto server = HttpServer::listen_tcp(loop, Endpoint{*parse_address(GetParam()), Port{0}}, [&](const Request& request, Respond respond) {
    if (request.path == std::vector<std::string>{"later"})
      waiting = std::move(respond);
    else
      respond(echo(request));
  });
  ASSERT_TRUE(server) << server.error().message;
  const auto endpoint = (*server)->endpoint();
  test::LoopThread thread(loop);
  auto later = std::async(std::launch::async, [&] { return HttpClient::over_tcp(endpoint).request("GET", "/later"); });
  for (bool asked = false; !asked;) thread.call([&] { asked = waiting != nullptr; });
  EXPECT_EQ(HttpClient::over_tcp(endpoint).request("GET", "/now")->status, 200U);
  thread.call([&] {
    Response response;
    response.body = "at last";
    waiting(response);
    response.body = "twice";
    waiting(response);
  });
  EXPECT_EQ(later.get()->body, "at last");
  thread.call([&] { server->reset(); });
}

TEST_P(HttpOverTcp, EndsWithAnswersThatNeverCame) {
  EventLoop loop;
  Respond waiting;
  auto server = HttpServer::listen_tcp(loop, Endpoint{*parse_address(GetParam()), Port{0}},
                                       [&](const Request&, Respond respond) { waiting = std::move(respond); });
  ASSERT_TRUE(server);
  const auto endpoint = (*server)->endpoint();
  test::LoopThread thread(loop);
  auto never = std::async(std::launch::async, [&] { return HttpClient::over_tcp(endpoint).request("GET", "/"); });
  for (bool asked = false; !asked;) thread.call([&] { asked = waiting != nullptr; });
  thread.call([&] { server->reset(); });
  EXPECT_FALSE(never.get());
  thread.call([&] { waiting(Response{}); });  // nobody is there any more
}

TEST_P(HttpOverTcp, KnowsTheHeadersThatHandlersNeed) {
  EventLoop loop;
  Request seen;
  auto server = HttpServer::listen_tcp(loop, Endpoint{*parse_address(GetParam()), Port{0}}, [&](const Request& request) {
    seen = request;
    return echo(request);
  });
  ASSERT_TRUE(server);
  test::LoopThread thread(loop);
  const auto address = system::to_socket_address((*server)->endpoint());
  const system::Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(fd.get(), address.get(), address.size), 0);
  const std::string text =
      "POST /upnp HTTP/1.1\r\nHost: 10.0.0.1\r\nsoapaction: \"a#b\"\r\nORIGIN: http://x\r\nUser-Agent: y\r\nConnection: close\r\n"
      "Content-Length: 0\r\n\r\n";
  ASSERT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  std::array<char, 4096> chunk;
  while (::recv(fd.get(), chunk.data(), chunk.size(), 0) > 0) {}
  thread.call([&] {
    EXPECT_EQ(seen.soap_action, "\"a#b\"");
    EXPECT_EQ(seen.origin, "http://x");
    EXPECT_EQ(seen.user_agent, "y");
    EXPECT_EQ(seen.host, "10.0.0.1");
  });
}

INSTANTIATE_TEST_SUITE_P(BothFamilies, HttpOverTcp, testing::Values("127.0.0.1", "::1"));

TEST(HttpOverTcpRefusal, NamesAPortThatIsTaken) {
  EventLoop loop;
  const auto first = HttpServer::listen_tcp(loop, Endpoint{Address::v4(0x7f000001), Port{0}}, echo);
  ASSERT_TRUE(first);
  const auto second = HttpServer::listen_tcp(loop, (*first)->endpoint(), echo);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr(to_string((*first)->endpoint())));
  EXPECT_THAT(second.error().cure, HasSubstr("another program has this port"));
}

TEST(HttpServerEnd, DropsSubscriptionsAtOnceAndNeverCallsTheHandlerAgain) {
  const test::TemporaryFolder folder;
  EventLoop loop;
  bool released = false;
  std::unique_ptr<HttpServer> server;
  server = *HttpServer::listen_unix(loop, folder / "drpf.sock", [&](const Request&) {
    Response response;
    response.stream = [&](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
      to->write("open");
      return {new int(0), [&](void* keeper) {
                delete static_cast<int*>(keeper);
                released = true;
              }};
    };
    return response;
  });
  std::optional<test::LineReader> stream;
  {
    test::LoopThread thread(loop);
    stream.emplace(HttpClient::over_unix(folder / "drpf.sock"), "/");
    EXPECT_EQ(*stream->next(), "open");
  }
  EXPECT_FALSE(released);
  server.reset();
  EXPECT_TRUE(released);
}

}  // namespace
}  // namespace drpf::net
