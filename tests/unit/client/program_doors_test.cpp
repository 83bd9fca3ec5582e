// How programs are told their listening port: what goes over the wire, and what is made of what they answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <deque>
#include <list>

#include "client/follow/listening_port_door.h"
#include "core/encoding.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::client {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

// A program's own interface: one answer after the other, as it is written down.
class ScriptedProgram {
 public:
  explicit ScriptedProgram(net::EventLoop& loop) : loop_(loop) {
    const auto at = system::to_socket_address(*parse_endpoint("127.0.0.1:0"));
    EXPECT_EQ(::bind(listening_.get(), at.get(), at.size), 0);
    EXPECT_EQ(::listen(listening_.get(), 8), 0);
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    EXPECT_EQ(::getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
    endpoint = *system::from_socket_address(reinterpret_cast<const sockaddr*>(&own), size);
    watch_ = loop.watch_readable(listening_.get(), [this] { accept(); });
  }

  void answers(int status, const std::string& body, const std::string& header = {}) {
    answers_.push_back("HTTP/1.1 " + std::to_string(status) + " Said\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                       (header.empty() ? "" : header + "\r\n") + "Connection: close\r\n\r\n" + body);
  }

  Endpoint endpoint;
  std::vector<std::string> asked;  // whole requests

 private:
  struct Connection {
    system::Fd socket;
    std::string text;
    net::Watch watch;
  };
  void accept() {
    auto& one = connections_.emplace_back();
    one.socket = system::Fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    one.watch = loop_.watch_readable(one.socket.get(), [this, &one] { read(one); });
  }
  void read(Connection& one) {
    std::array<char, 4096> chunk{};
    const auto size = ::recv(one.socket.get(), chunk.data(), chunk.size(), 0);
    if (size > 0) one.text.append(chunk.data(), static_cast<std::size_t>(size));
    const auto head = one.text.find("\r\n\r\n");
    if (size > 0 && (head == std::string::npos || one.text.size() < head + 4 + length_of(one.text))) return;
    if (size > 0) {
      asked.push_back(one.text);
      const auto answer = answers_.empty() ? std::string("HTTP/1.1 500 No more\r\nContent-Length: 0\r\n\r\n") : answers_.front();
      if (!answers_.empty()) answers_.pop_front();
      ::send(one.socket.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    one.watch.cancel();
    one.socket = system::Fd();
  }
  static std::size_t length_of(const std::string& head) {
    const auto at = head.find("Content-Length: ");
    return at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
  }

  net::EventLoop& loop_;
  system::Fd listening_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  net::Watch watch_;
  std::list<Connection> connections_;
  std::deque<std::string> answers_;
};

class ProgramDoors : public testing::Test {
 protected:
  using Outcome = ListeningPortDoor::Outcome;
  void open(InformedProgram which, const std::string& user = {}) {
    wish_.program = which;
    wish_.host = "127.0.0.1";
    wish_.port = program.endpoint.port;
    wish_.user = user;
    wish_.password = user.empty() ? "" : "se cret&";
    door_ = which == InformedProgram::qbittorrent ? qbittorrent_door(loop, wish_, program.endpoint)
                                                  : transmission_door(loop, wish_, program.endpoint);
  }
  Result<Outcome> set(std::uint16_t port) {
    std::optional<Result<Outcome>> outcome;
    door_->set(Port{port}, [&](Result<Outcome> given) { outcome = std::move(given); });
    EXPECT_TRUE(loop.run_until([&] { return outcome.has_value(); }, std::chrono::seconds(20)));
    return outcome.value_or(fail(failure("no_answer", "no answer")));
  }
  Status reopen(std::uint16_t port) {
    std::optional<Status> outcome;
    door_->reopen(Port{port}, [&](Status given) { outcome = std::move(given); });
    EXPECT_TRUE(loop.run_until([&] { return outcome.has_value(); }, std::chrono::seconds(20)));
    return outcome.value_or(fail(failure("no_answer", "no answer")));
  }
  std::string code_of(std::uint16_t port) {
    const auto outcome = set(port);
    return outcome ? "set" : outcome.error().code;
  }
  void preferences(int port, const std::string& more = R"(,"random_port":false,"upnp":false)") {
    program.answers(200, R"({"listen_port":)" + std::to_string(port) + more + "}");
  }
  void session(int port, bool random = false, bool forwarding = false) {
    program.answers(200, R"({"result":"success","arguments":{"peer-port":)" + std::to_string(port) + R"(,"peer-port-random-on-start":)" +
                             (random ? "true" : "false") + R"(,"port-forwarding-enabled":)" + (forwarding ? "true" : "false") + "}}");
  }

  net::EventLoop loop;
  ScriptedProgram program{loop};
  InformWish wish_;
  std::unique_ptr<ListeningPortDoor> door_;
};

TEST_F(ProgramDoors, QbittorrentIsLeftAloneWhereItIsSo) {
  open(InformedProgram::qbittorrent);
  preferences(20000);
  EXPECT_EQ(set(20000).value(), Outcome::was_so);
  ASSERT_THAT(program.asked, SizeIs(1));
  EXPECT_THAT(program.asked[0], StartsWith("GET /api/v2/app/preferences HTTP/1.1\r\n"));
}

TEST_F(ProgramDoors, QbittorrentIsToldAndAskedWhetherItTookIt) {
  for (const auto* unfit :
       {R"(,"random_port":false,"upnp":false)", R"(,"random_port":true,"upnp":false)", R"(,"random_port":false,"upnp":true)"}) {
    program.asked.clear();
    open(InformedProgram::qbittorrent);
    preferences(std::string(unfit).find("true") == std::string::npos ? 6881 : 20000, unfit);
    program.answers(200, "");
    preferences(20000);
    EXPECT_EQ(set(20000).value(), Outcome::set) << unfit;
    ASSERT_THAT(program.asked, SizeIs(3));
    EXPECT_THAT(
        program.asked[1],
        AllOf(StartsWith("POST /api/v2/app/setPreferences HTTP/1.1\r\n"), HasSubstr("Content-Type: application/x-www-form-urlencoded\r\n"),
              HasSubstr("\r\n\r\njson=%7B%22listen_port%22%3A20000%2C%22random_port%22%3Afalse%2C%22upnp%22%3Afalse%7D")));
    EXPECT_THAT(program.asked[2], StartsWith("GET /api/v2/app/preferences"));
  }
}

TEST_F(ProgramDoors, QbittorrentThatDoesNotTakeItIsToldOf) {
  open(InformedProgram::qbittorrent);
  preferences(6881);
  program.answers(200, "");
  preferences(6881);
  const auto outcome = set(20000);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, "port_not_taken");
  EXPECT_THAT(outcome.error().message, AllOf(HasSubstr("port 20000"), HasSubstr("6881")));
}

TEST_F(ProgramDoors, QbittorrentIsLoggedInToOnceAndAgainWhenTheSessionEnded) {
  open(InformedProgram::qbittorrent, "ad min");
  program.answers(403, "Forbidden");
  program.answers(200, "Ok.", "Set-Cookie: SID=one; HttpOnly");
  preferences(20000);
  EXPECT_EQ(set(20000).value(), Outcome::was_so);
  EXPECT_THAT(program.asked[0], Not(HasSubstr("Cookie")));
  EXPECT_THAT(program.asked[1],
              AllOf(StartsWith("POST /api/v2/auth/login "), HasSubstr("\r\n\r\nusername=ad%20min&password=se%20cret%26")));
  EXPECT_THAT(program.asked[2], AllOf(StartsWith("GET /api/v2/app/preferences "), HasSubstr("Cookie: SID=one\r\n")));
  program.asked.clear();
  program.answers(401, "");
  program.answers(200, "Ok.", "Set-Cookie: SID=two");
  preferences(20000);
  EXPECT_EQ(set(20000).value(), Outcome::was_so);
  EXPECT_THAT(program.asked[0], HasSubstr("Cookie: SID=one\r\n"));
  EXPECT_THAT(program.asked[1], Not(HasSubstr("Cookie")));
  EXPECT_THAT(program.asked[2], HasSubstr("Cookie: SID=two\r\n"));
}

TEST_F(ProgramDoors, ARefusedLoginToQbittorrentIsNotTriedAgain) {
  open(InformedProgram::qbittorrent, "admin");
  program.answers(403, "");
  program.answers(200, "Fails.", "Set-Cookie: SID=one");
  EXPECT_EQ(code_of(20000), "login_refused");
  program.answers(403, "");
  program.answers(200, "Ok.");
  EXPECT_EQ(code_of(20000), "login_refused") << "no session was given";
  program.answers(403, "");
  program.answers(300, "Ok.", "Set-Cookie: SID=one");
  EXPECT_EQ(code_of(20000), "login_refused");
  program.answers(403, "");
  program.answers(200, "Ok.", "Set-Cookie: SID=one");
  program.answers(403, "");
  EXPECT_EQ(code_of(20000), "inform_failed") << "once is enough";
  open(InformedProgram::qbittorrent);
  program.answers(403, "");
  EXPECT_EQ(code_of(20000), "login_needed");
}

TEST_F(ProgramDoors, WhatIsNoQbittorrentIsSaidToBeNone) {
  open(InformedProgram::qbittorrent);
  for (const auto* text : {"nonsense", "[]", "{}", R"({"listen_port":"20000"})"}) {
    program.answers(200, text);
    EXPECT_EQ(code_of(20000), "inform_failed") << text;
  }
  program.answers(300, R"({"listen_port":20000})");
  EXPECT_EQ(code_of(20000), "inform_failed");
  preferences(6881);
  program.answers(500, "");
  EXPECT_EQ(code_of(20000), "inform_failed");
  preferences(6881);
  program.answers(200, "");
  program.answers(500, "");
  EXPECT_EQ(code_of(20000), "inform_failed");
}

TEST_F(ProgramDoors, QbittorrentOpensItsSocketsAnewByAnotherNumberAndBack) {
  open(InformedProgram::qbittorrent);
  program.answers(200, "");
  preferences(20001);
  program.answers(200, "");
  EXPECT_TRUE(reopen(20000));
  ASSERT_THAT(program.asked, SizeIs(3));
  EXPECT_THAT(program.asked[0], HasSubstr("listen_port%22%3A20001%2C"));
  EXPECT_THAT(program.asked[1], StartsWith("GET "));
  EXPECT_THAT(program.asked[2], HasSubstr("listen_port%22%3A20000%2C"));
  program.asked.clear();
  program.answers(500, "");
  EXPECT_FALSE(reopen(20000));
  EXPECT_THAT(program.asked, SizeIs(1));
  program.answers(200, "");
  program.answers(500, "");
  EXPECT_FALSE(reopen(20000));
}

TEST_F(ProgramDoors, APathBeforeTheProgramsOwnIsKept) {
  wish_.path = "/behind/a/proxy";
  open(InformedProgram::qbittorrent);
  preferences(20000);
  EXPECT_TRUE(set(20000));
  EXPECT_THAT(program.asked[0], StartsWith("GET /behind/a/proxy/api/v2/app/preferences "));
  open(InformedProgram::transmission);
  session(20000);
  EXPECT_TRUE(set(20000));
  EXPECT_THAT(program.asked[1], StartsWith("POST /behind/a/proxy "));
}

TEST_F(ProgramDoors, TransmissionIsToldUnlessItIsSo) {
  open(InformedProgram::transmission);
  session(20000);
  EXPECT_EQ(set(20000).value(), Outcome::was_so);
  EXPECT_THAT(program.asked[0],
              AllOf(StartsWith("POST /transmission/rpc HTTP/1.1\r\n"), HasSubstr("session-get"), Not(HasSubstr("Authorization"))));
  for (const auto& [port, random, forwarding] : {std::tuple(51413, false, false), {20000, true, false}, {20000, false, true}}) {
    program.asked.clear();
    session(port, random, forwarding);
    program.answers(200, R"({"result":"success"})");
    session(20000);
    EXPECT_EQ(set(20000).value(), Outcome::set);
    ASSERT_THAT(program.asked, SizeIs(3));
    EXPECT_THAT(
        program.asked[1],
        HasSubstr(
            R"({"method":"session-set","arguments":{"peer-port":20000,"peer-port-random-on-start":false,"port-forwarding-enabled":false}})"));
  }
}

TEST_F(ProgramDoors, TransmissionThatDoesNotTakeItIsToldOf) {
  open(InformedProgram::transmission);
  session(51413);
  program.answers(200, R"({"result":"success"})");
  session(51413);
  const auto outcome = set(20000);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, "port_not_taken");
  EXPECT_THAT(outcome.error().message, HasSubstr("51413"));
}

TEST_F(ProgramDoors, TransmissionsSessionNumberIsKeptAndRenewed) {
  open(InformedProgram::transmission, "ann");
  program.answers(409, "", "x-transmission-session-id: one");
  session(20000);
  EXPECT_TRUE(set(20000));
  ASSERT_THAT(program.asked, SizeIs(2));
  EXPECT_THAT(program.asked[0], Not(HasSubstr("X-Transmission-Session-Id")));
  EXPECT_THAT(program.asked[1], HasSubstr("X-Transmission-Session-Id: one\r\n"));
  EXPECT_THAT(program.asked[1], HasSubstr("Authorization: Basic YW5uOnNlIGNyZXQm\r\n"));
  session(20000);
  EXPECT_TRUE(set(20000));
  EXPECT_THAT(program.asked[2], HasSubstr("X-Transmission-Session-Id: one\r\n"));
  program.answers(409, "", "X-Transmission-Session-Id: two");
  program.answers(409, "", "X-Transmission-Session-Id: three");
  EXPECT_EQ(code_of(20000), "inform_failed") << "twice is no matter of the session";
}

TEST_F(ProgramDoors, WhyTransmissionRefusesIsSaid) {
  open(InformedProgram::transmission);
  program.answers(401, "");
  EXPECT_EQ(code_of(20000), "login_needed");
  for (const int status : {403, 421}) {
    program.answers(status, "");
    EXPECT_EQ(code_of(20000), "login_refused") << status;
  }
  open(InformedProgram::transmission, "ann");
  program.answers(401, "");
  EXPECT_EQ(code_of(20000), "login_refused");
  program.answers(201, R"({"result":"success"})");
  EXPECT_EQ(code_of(20000), "inform_failed");
  for (const auto* text : {"nonsense", "[]", "{}", R"({"result":1})", R"({"result":"no"})"}) {
    program.answers(200, text);
    EXPECT_EQ(code_of(20000), "inform_failed") << text;
  }
  session(51413);
  program.answers(200, R"({"result":"busy"})");
  EXPECT_EQ(code_of(20000), "inform_failed");
  session(51413);
  program.answers(200, R"({"result":"success"})");
  program.answers(500, "");
  EXPECT_EQ(code_of(20000), "inform_failed");
}

TEST_F(ProgramDoors, AProgramThatIsNotThereIsUnreachable) {
  for (const auto which : {InformedProgram::qbittorrent, InformedProgram::transmission}) {
    wish_ = {};
    open(which);
    wish_.program = which;
    const auto nowhere = *parse_endpoint("127.0.0.1:1");
    door_ = which == InformedProgram::qbittorrent ? qbittorrent_door(loop, wish_, nowhere) : transmission_door(loop, wish_, nowhere);
    EXPECT_EQ(code_of(20000), "server_unreachable");
  }
}

}  // namespace
}  // namespace drpf::client
