// What drpf connect asks of the gateway for programs and for machines behind it, as the gateway hears it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <boost/json.hpp>

#include "client/follow/follower.h"
#include "client/follow/lease_requests.h"
#include "client/share/upstream_leases.h"
#include "made_up_gateway.h"
#include "support/fake_clock.h"
#include "support/temporary_folder.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::client {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

std::string given_lease(int public_port, int local_port, const char* protocol) {
  return R"({"host":"main","protocol":")" + std::string(protocol) + R"(","public_address":"198.51.100.1","public_port":)" +
         std::to_string(public_port) + R"(,"local_port":)" + std::to_string(local_port) + R"(,"state":"active","kind":"requested"})";
}

std::string refusal_of(const char* code) {
  return R"({"error":{"code":")" + std::string(code) + R"(","message":"no\u0007 more","cure":"ask"}})";
}

class GatewayRequests : public testing::Test {
 protected:
  Result<FollowLease> ask(const FollowJob& job) {
    std::optional<Result<FollowLease>> answer;
    const auto request = ask_for_port(loop, gateway.door(), job, [&](Result<FollowLease> given) { answer = std::move(given); });
    EXPECT_TRUE(gateway.becomes([&] { return answer.has_value(); }));
    return answer.value_or(fail(failure("no_answer", "no answer")));
  }
  Result<RelayLease> ask(const RelayAsk& wish) {
    std::optional<Result<RelayLease>> answer;
    const auto request = ask_for_relay(loop, gateway.door(), wish, [&](Result<RelayLease> given) { answer = std::move(given); });
    EXPECT_TRUE(gateway.becomes([&] { return answer.has_value(); }));
    return answer.value_or(fail(failure("no_answer", "no answer")));
  }
  Status give_back(const FollowLease& lease) {
    std::optional<Status> answer;
    const auto request = give_port_back(loop, gateway.door(), lease, [&](Status given) { answer = std::move(given); });
    EXPECT_TRUE(gateway.becomes([&] { return answer.has_value(); }));
    return answer.value_or(fail(failure("no_answer", "no answer")));
  }
  boost::json::object body(std::size_t request) const {
    const auto& text = gateway.asked.at(request);
    return boost::json::parse(text.substr(text.find('{'))).as_object();
  }

  net::EventLoop loop;
  MadeUpGateway gateway{loop};
  const FollowLease held{"main", *parse_address("198.51.100.1"), Port{20000}, Port{25565}, true, true};
};

FollowJob job_for(bool tcp, bool udp) {
  FollowJob job;
  job.wish = {"server", Port{25565}, tcp, udp};
  return job;
}

TEST_F(GatewayRequests, APortIsAskedForByWhatTheProgramListensOn) {
  gateway.answers(200, "[" + given_lease(20000, 25565, "tcp") + "]");
  const auto given = ask(job_for(true, false));
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(given->public_port, Port{20000});
  EXPECT_TRUE(given->tcp);
  EXPECT_FALSE(given->udp);
  EXPECT_THAT(gateway.asked[0], StartsWith("POST /v1/self/leases "));
  EXPECT_EQ(body(0).at("local_port").as_int64(), 25565);
  EXPECT_EQ(body(0).at("protocol").as_string(), "tcp");
  EXPECT_EQ(body(0).at("lifetime_s").as_int64(), follow_lifetime.count());
  EXPECT_FALSE(body(0).contains("avoid") || body(0).contains("suggested_port") || body(0).contains("port"));
}

TEST_F(GatewayRequests, TheLeaseThatItHadIsAskedForAgainAndThoseOfOthersAreAvoided) {
  gateway.answers(200, "[" + given_lease(20000, 25565, "tcp") + "," + given_lease(20000, 25565, "udp") + "]");
  auto job = job_for(false, true);
  job.lease = held;
  job.lease->udp = false;
  job.in_use = {Port{20003}, Port{20001}};
  ASSERT_TRUE(ask(job));
  EXPECT_EQ(body(0).at("protocol").as_string(), "both") << "what it has over the other protocol stays";
  EXPECT_EQ(body(0).at("suggested_port").as_int64(), 20000);
  EXPECT_EQ(body(0).at("avoid").as_string(), "20001,20003");
  gateway.answers(200, "[" + given_lease(20000, 25565, "udp") + "]");
  ASSERT_TRUE(ask(job_for(false, true)));
  EXPECT_EQ(body(1).at("protocol").as_string(), "udp");
}

TEST_F(GatewayRequests, ARefusalIsTheGatewaysOwn) {
  gateway.answers(409, refusal_of("quota_exhausted"));
  auto refused = ask(job_for(true, false));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Error::Kind::refusal);
  EXPECT_EQ(refused.error().code, "quota_exhausted");
  EXPECT_EQ(refused.error().message, "no? more") << "nothing of it steers a terminal";
  EXPECT_EQ(refused.error().cure, "ask");
  for (const auto* nothing : {"nonsense", "[]", "{}", R"({"error":1})", R"({"error":{"code":1}})"}) {
    gateway.answers(300, nothing);
    refused = ask(job_for(true, false));
    ASSERT_FALSE(refused) << nothing;
    EXPECT_EQ(refused.error().code, "gateway_refused") << nothing;
    EXPECT_THAT(refused.error().message, HasSubstr("300"));
  }
  gateway.answers(299, "[]");
  EXPECT_EQ(ask(job_for(true, false)).error().code, "bad_report") << "given, and nothing is given";
  gateway.close();
  EXPECT_EQ(ask(job_for(true, false)).error().code, "gateway_unreachable");
}

TEST_F(GatewayRequests, EachProtocolOfALeaseIsGivenBack) {
  ASSERT_TRUE(give_back(held));
  EXPECT_THAT(gateway.asked, ElementsAre("DELETE /v1/self/leases/main/tcp/20000", "DELETE /v1/self/leases/main/udp/20000"));
  gateway.asked.clear();
  auto only_udp = held;
  only_udp.tcp = false;
  ASSERT_TRUE(give_back(only_udp));
  EXPECT_THAT(gateway.asked, ElementsAre("DELETE /v1/self/leases/main/udp/20000"));
  gateway.asked.clear();
  auto only_tcp = held;
  only_tcp.udp = false;
  ASSERT_TRUE(give_back(only_tcp));
  EXPECT_THAT(gateway.asked, ElementsAre("DELETE /v1/self/leases/main/tcp/20000"));
}

TEST_F(GatewayRequests, WhatIsGoneAlreadyNeedsNotBeGivenBack) {
  gateway.answers(404, refusal_of("lease_unknown"));
  gateway.answers(409, refusal_of("lease_not_requested"));
  EXPECT_TRUE(give_back(held));
  gateway.asked.clear();
  gateway.answers(409, refusal_of("not_yours"));
  const auto refused = give_back(held);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "not_yours");
  EXPECT_THAT(gateway.asked, SizeIs(1)) << "the other one would be refused too";
  gateway.close();
  EXPECT_EQ(give_back(held).error().code, "gateway_unreachable");
}

TEST_F(GatewayRequests, WhatIsNotWaitedForAnyMoreIsNotAnswered) {
  bool answered = false;
  gateway.silent = true;
  auto request = give_port_back(loop, gateway.door(), held, [&](const Status&) { answered = true; });
  ASSERT_TRUE(gateway.is_asked(1));
  request.cancel();
  gateway.speak();
  gateway.let_pass(100ms);
  EXPECT_FALSE(answered);
  EXPECT_THAT(gateway.asked, SizeIs(1));
}

TEST_F(GatewayRequests, APortForAMachineBehindIsASuggestionOrNone) {
  RelayAsk wish;
  wish.protocol = Protocol::udp;
  wish.relay_port = Port{61000};
  wish.suggested_port = Port{20007};
  wish.lifetime = 600s;
  gateway.answers(200, "[" + given_lease(20007, 61000, "udp") + "]");
  const auto given = ask(wish);
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(*given, (RelayLease{"main", *parse_address("198.51.100.1"), Protocol::udp, Port{20007}}));
  EXPECT_EQ(body(0).at("protocol").as_string(), "udp");
  EXPECT_EQ(body(0).at("local_port").as_int64(), 61000);
  EXPECT_EQ(body(0).at("lifetime_s").as_int64(), 600);
  EXPECT_EQ(body(0).at("suggested_port").as_int64(), 20007);
  wish.only_suggested = true;
  wish.protocol = Protocol::tcp;
  gateway.answers(409, refusal_of("port_taken"));
  EXPECT_EQ(ask(wish).error().code, "port_taken");
  EXPECT_EQ(body(1).at("port").as_int64(), 20007);
  EXPECT_EQ(body(1).at("protocol").as_string(), "tcp");
  EXPECT_FALSE(body(1).contains("suggested_port"));
}

TEST_F(GatewayRequests, LeasesForMachinesAreAskedForOneAfterTheOther) {
  UpstreamLeases upstream(loop, gateway.door());
  std::vector<std::string> outcomes;
  const auto given = [&](const Result<RelayLease>& lease) {
    outcomes.push_back(lease ? to_string(lease->public_port) : lease.error().code);
  };
  gateway.silent = true;
  RelayAsk wish;
  wish.relay_port = Port{61000};
  wish.lifetime = 600s;
  upstream.ask(wish, given);
  upstream.give_back({"main", *parse_address("198.51.100.1"), Protocol::tcp, Port{20009}});
  wish.relay_port = Port{61001};
  upstream.ask(wish, given);
  ASSERT_TRUE(gateway.is_asked(1));
  gateway.let_pass(50ms);
  EXPECT_THAT(gateway.asked, SizeIs(1));
  gateway.answers(409, refusal_of("quota_exhausted"));
  gateway.answers(500, "it cannot be given back, and ends by itself");
  gateway.answers(200, "[" + given_lease(20007, 61001, "tcp") + "]");
  gateway.speak();
  ASSERT_TRUE(gateway.becomes([&] { return outcomes.size() == 2; }));
  EXPECT_THAT(outcomes, ElementsAre("quota_exhausted", "20007"));
  ASSERT_THAT(gateway.asked, SizeIs(3));
  EXPECT_EQ(gateway.asked[1], "DELETE /v1/self/leases/main/tcp/20009");
}

// A program of this machine that listens, the watch that sees it, and the gateway that is asked.
class FollowedProgram : public GatewayRequests {
 protected:
  FollowedProgram() {
    ::prctl(PR_GET_NAME, name_.data());
    ::prctl(PR_SET_NAME, "drpf-followed");
    const auto any = system::to_socket_address(Endpoint{Address::v4(0), Port{}});
    EXPECT_EQ(::bind(listening_.get(), any.get(), any.size), 0);
    EXPECT_EQ(::listen(listening_.get(), 1), 0);
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    EXPECT_EQ(::getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&own), &size), 0);
    port_ = system::from_socket_address(reinterpret_cast<const sockaddr*>(&own), size)->port;
  }
  ~FollowedProgram() override {
    std::fclose(out_);
    ::prctl(PR_SET_NAME, name_.data());
  }
  void follow() {
    auto watch = ProgramWatch::start({"drpf-followed"});
    ASSERT_TRUE(watch);
    watch_.emplace(std::move(*watch));
    follower_.emplace(loop, clock_, screen_, std::vector<FollowRule>{{"drpf-followed", {}, {}}}, gateway.door(),
                      std::vector<Address>{*parse_address("10.77.0.2")});
    follower_->watch(*watch_);
    follower_->reported({});
  }
  std::string shown() {
    std::fflush(out_);
    std::rewind(out_);
    std::string text(10'000, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), out_));
    return text;
  }

  std::array<char, 16> name_{};
  system::Fd listening_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  Port port_;
  tests::FakeClock clock_;
  std::FILE* out_ = std::tmpfile();
  Screen screen_{false, system::LogLevel::info, out_, out_};
  std::optional<ProgramWatch> watch_;
  std::optional<Follower> follower_;
};

TEST_F(FollowedProgram, GetsAPortAndLosesItWhenItDoesNotListenAnyMore) {
  gateway.answers(200, "[" + given_lease(20000, port_.value(), "tcp") + "]");
  follow();
  ASSERT_TRUE(gateway.is_asked(1));
  EXPECT_EQ(body(0).at("local_port").as_int64(), port_.value());
  ASSERT_TRUE(gateway.becomes([&] { return shown().find("public 198.51.100.1:20000 leads there") != std::string::npos; }));
  EXPECT_EQ(follower_->program_at(port_), "drpf-followed");
  listening_ = system::Fd();
  ASSERT_TRUE(gateway.is_asked(2));
  EXPECT_EQ(gateway.asked[1], "DELETE /v1/self/leases/main/tcp/20000");
  ASSERT_TRUE(gateway.becomes([&] { return shown().find("public 198.51.100.1:20000 is given back") != std::string::npos; }));
}

TEST_F(FollowedProgram, GivesItsPortBackAtTheEnd) {
  gateway.answers(200, "[" + given_lease(20000, port_.value(), "tcp") + "]");
  follow();
  ASSERT_TRUE(gateway.becomes([&] { return shown().find("leads there") != std::string::npos; }));
  follower_->end();
  EXPECT_THAT(gateway.asked, ElementsAre(StartsWith("POST"), "DELETE /v1/self/leases/main/tcp/20000"));
  EXPECT_THAT(shown(), Not(HasSubstr("could not be given back")));
}

TEST_F(FollowedProgram, GivesBackAtTheEndWhatIsGivenJustThen) {
  gateway.silent = true;
  follow();
  ASSERT_TRUE(gateway.is_asked(1));
  gateway.answers(200, "[" + given_lease(20000, port_.value(), "tcp") + "]");
  const auto answer = loop.after(50ms, [this] { gateway.speak(); });
  follower_->end();
  EXPECT_THAT(gateway.asked, ElementsAre(StartsWith("POST"), "DELETE /v1/self/leases/main/tcp/20000"));
}

TEST_F(FollowedProgram, SaysWhatCouldNotBeGivenBack) {
  gateway.answers(200, "[" + given_lease(20000, port_.value(), "tcp") + "]");
  follow();
  ASSERT_TRUE(gateway.becomes([&] { return shown().find("leads there") != std::string::npos; }));
  gateway.answers(500, refusal_of("broken"));
  follower_->end();
  EXPECT_THAT(shown(), HasSubstr("port 20000 could not be given back, it ends by itself: no? more"));
}

TEST_F(FollowedProgram, IsToldWhyItGetsNoPortAndAskedForAgainLater) {
  gateway.answers(409, refusal_of("quota_exhausted"));
  follow();
  ASSERT_TRUE(gateway.becomes([&] { return shown().find("gets no public port") != std::string::npos; }));
  EXPECT_THAT(shown(), HasSubstr("no? more"));
  follower_->tick();
  gateway.let_pass(50ms);
  EXPECT_THAT(gateway.asked, SizeIs(1));
  clock_.time += follow_retry_pause;
  follower_->tick();
  EXPECT_TRUE(gateway.is_asked(2));
}

TEST_F(FollowedProgram, IsNotAskedForWhileTheGatewayIsAway) {
  gateway.silent = true;
  follow();
  ASSERT_TRUE(gateway.is_asked(1));
  gateway.answers(200, "[" + given_lease(20000, port_.value(), "tcp") + "]");
  follower_->offline();
  gateway.speak();
  gateway.let_pass(100ms);
  clock_.time += 2 * follow_renew_after;
  follower_->tick();
  gateway.let_pass(100ms);
  EXPECT_THAT(gateway.asked, SizeIs(1));
  follower_->reported({});
  EXPECT_TRUE(gateway.is_asked(2));
}

}  // namespace
}  // namespace drpf::client
