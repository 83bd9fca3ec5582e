#include "net/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <future>
#include <thread>

#include "net/http_client.h"
#include "support/line_reader.h"
#include "support/loop_thread.h"
#include "support/temporary_folder.h"
#include "system/fd.h"
#include "system/socket_address.h"

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

class HttpOverUnix : public testing::Test {
 protected:
  void start(HttpHandler handler, HttpLimits limits = {}) {
    auto server = HttpServer::listen_unix(loop_, path_, std::move(handler), limits);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    thread_.emplace(loop_);
  }
  void TearDown() override {
    if (thread_) thread_->call([this] { server_.reset(); });
    thread_.reset();
  }
  HttpClient client() const { return HttpClient::over_unix(path_); }
  // Sends bytes as they are and reads until the server closes.
  std::string raw(const std::string& text, bool say_end = false) const {
    const auto fd = connected();
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    if (say_end) ::shutdown(fd.get(), SHUT_WR);
    std::string answer;
    std::array<char, 4096> chunk;
    for (ssize_t size; (size = ::recv(fd.get(), chunk.data(), chunk.size(), 0)) > 0;)
      answer.append(chunk.data(), static_cast<std::size_t>(size));
    return answer;
  }
  system::Fd connected() const {
    system::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = system::to_socket_address(path_);
    EXPECT_EQ(::connect(fd.get(), address->get(), address->size), 0);
    const timeval patience{20, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_ / "drpf.sock";
  EventLoop loop_;
  std::unique_ptr<HttpServer> server_;
  std::optional<test::LoopThread> thread_;
};

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

TEST_F(HttpOverUnix, StreamsLinesAndHeartbeatsAndLetsGoOfTheSubscription) {
  HttpLimits limits;
  limits.heartbeat = 10ms;
  std::shared_ptr<LineSink> sink;
  std::promise<void> released;
  start(
      [&](const Request&) {
        Response response;
        response.stream = [&](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
          sink = to;
          to->write("first");
          return {new int(0), [&](void* keeper) {
                    delete static_cast<int*>(keeper);
                    released.set_value();
                  }};
        };
        return response;
      },
      limits);
  {
    test::LineReader stream(client(), "/v1/events");
    EXPECT_EQ(stream.status(), 200U);
    EXPECT_EQ(*stream.next(), "first");
    thread_->call([&] {
      sink->write("second");
      sink->write("third");
    });
    EXPECT_EQ(*stream.next(), "second");
    EXPECT_EQ(*stream.next(), "third");
  }
  EXPECT_EQ(released.get_future().wait_for(10s), std::future_status::ready);
  thread_->call([&] { sink = nullptr; });
}

TEST_F(HttpOverUnix, AStreamEndsWhenItsWriterClosesIt) {
  start([&](const Request&) {
    Response response;
    response.stream = [](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
      to->write("last");
      to->close();
      to->write("too late");
      return nullptr;
    };
    return response;
  });
  test::LineReader stream(client(), "/");
  ASSERT_EQ(stream.status(), 200U);
  EXPECT_EQ(*stream.next(), "last");
  EXPECT_EQ(*stream.next(), std::nullopt);
}

TEST_F(HttpOverUnix, CutsOffAReaderThatDoesNotRead) {
  HttpLimits limits;
  limits.stream_bytes = 4096;
  std::promise<std::shared_ptr<LineSink>> opened;
  std::promise<void> released;
  start(
      [&](const Request&) {
        Response response;
        response.stream = [&](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
          opened.set_value(std::move(to));
          return {new int(0), [&](void* keeper) {
                    delete static_cast<int*>(keeper);
                    released.set_value();
                  }};
        };
        return response;
      },
      limits);
  test::LineReader stream(client(), "/");
  ASSERT_EQ(stream.status(), 200U);
  auto sink = opened.get_future().get();
  const std::string line(1000, 'x');
  thread_->call([&] {
    for (int i = 0; i < 10; ++i) sink->write(line);
  });
  EXPECT_EQ(released.get_future().wait_for(10s), std::future_status::ready);
  thread_->call([&] { sink = nullptr; });
}

// What waits behind it is limited, not a line itself: of all ports of a device it is some megabytes.
TEST_F(HttpOverUnix, OneLineMayBeLongerThanWhatMayWait) {
  HttpLimits limits;
  limits.stream_bytes = 4096;
  const std::string longest(300'000, 'x');
  start(
      [&](const Request&) {
        Response response;
        response.stream = [&](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
          to->write(longest);
          to->close();
          return nullptr;
        };
        return response;
      },
      limits);
  test::LineReader stream(client(), "/");
  EXPECT_EQ(*stream.next(), longest);
  EXPECT_EQ(*stream.next(), std::nullopt);
}

TEST_F(HttpOverUnix, StatesAreMadeWhenTheReaderIsReadyAndTheLastOneCounts) {
  std::shared_ptr<LineSink> sink;
  int made = 0;
  start([&](const Request&) {
    Response response;
    response.stream = [&](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
      sink = to;
      to->state([&] { return ++made, std::string("first"); });
      return nullptr;
    };
    return response;
  });
  test::LineReader stream(client(), "/");
  EXPECT_EQ(*stream.next(), "first");
  thread_->call([&] {
    for (int i = 1; i <= 1000; ++i) sink->state([&made, i] { return ++made, "state " + std::to_string(i); });
  });
  EXPECT_EQ(*stream.next(), "state 1000");
  EXPECT_EQ(made, 2);
  thread_->call([&] {
    sink->state([] { return std::string(); });  // there is nothing to say any more
    sink->state([] { return std::string("last"); });
    sink->close();
    sink = nullptr;
  });
  EXPECT_EQ(*stream.next(), "last");
  EXPECT_EQ(*stream.next(), std::nullopt);
}

TEST_F(HttpOverUnix, AStreamsReaderCanBeCalledAwayFromAnotherThread) {
  start([&](const Request&) {
    Response response;
    response.stream = [](std::shared_ptr<LineSink>) -> std::shared_ptr<void> { return nullptr; };
    return response;
  });
  test::LineReader stream(client(), "/");
  ASSERT_EQ(stream.status(), 200U);
  std::thread other([&] { stream.cancel(); });
  EXPECT_EQ(*stream.next(), std::nullopt);
  other.join();
}

TEST_F(HttpOverUnix, AStreamThatIsSilentTooLongIsAnError) {
  start([&](const Request&) {
    Response response;
    response.stream = [](std::shared_ptr<LineSink>) -> std::shared_ptr<void> { return nullptr; };
    return response;
  });
  HttpClient::Options options;
  options.silence_max = 20ms;
  test::LineReader stream(HttpClient::over_unix(path_, options), "/");
  ASSERT_EQ(stream.status(), 200U);
  const auto line = stream.next();
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code, "stream_silent");
}

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
