#include "api/audit.h"

#include <gmock/gmock.h>

#include "api/resources.h"
#include "unit/api/api_requests.h"

namespace drpf::api {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class AuditTest : public testing::Test {
 protected:
  Answer ask(std::string method, std::string_view target, std::string body = {}) {
    auto request = make_request(std::move(method), target, std::move(body));
    request.local_peer = net::LocalPeer{1000, 4242};
    return read(answer_of(api_, request));
  }
  void take(Weight weight, const std::string& sentence) { (weight == Weight::act ? acts_ : readings_).push_back(sentence); }

  test::FakeService service_;
  std::vector<std::string> acts_;
  std::vector<std::string> readings_;
  AdminApi api_{service_, {}, [this](Weight weight, const std::string& sentence) { take(weight, sentence); }};
  DeviceApi device_api_{service_, {}, [this](Weight weight, const std::string& sentence) { take(weight, sentence); }};
};

TEST_F(AuditTest, AnActIsToldWithWhoWhatOnWhatAndItsResult) {
  ask("POST", "/v1/accounts", R"({"name":"ann","plan":"business"})");
  ask("PATCH", "/v1/accounts/ann", R"({"suspended":true})");
  ask("DELETE", "/v1/accounts/bob");
  ask("POST", "/v1/accounts", R"({"name":)");
  EXPECT_THAT(acts_, ElementsAre("uid 1000 pid 4242: account add name=ann plan=business: ok",
                                 "uid 1000 pid 4242: account set ann suspended=true: ok",
                                 "uid 1000 pid 4242: account remove bob: account_unknown", HasSubstr("account add: ")));
  EXPECT_THAT(acts_.back(), Not(HasSubstr(": ok")));
}

TEST_F(AuditTest, ReadingIsTellableAndNoAct) {
  ask("GET", "/v1/accounts");
  ask("GET", "/nothing/here");
  EXPECT_THAT(acts_, IsEmpty());
  EXPECT_THAT(readings_, ElementsAre("uid 1000 pid 4242: GET /v1/accounts: ok"));
}

TEST_F(AuditTest, WhoeverTakesKeysAwayIsNamedAndTheKeysAreNot) {
  ask("POST", "/v1/accounts", R"({"name":"ann"})");
  ask("POST", "/v1/devices", R"({"account":"ann","name":"nas","public_key":"jNlp6CDnIJNtnLmjJXB6s6BgIIiy3HOa0HYbHNrrNzA="})");
  ask("POST", "/v1/devices", R"({"account":"ann","name":"tv","private_key":"a secret"})");
  ask("GET", "/v1/devices/nas/config");
  answer_of(api_, make_request("GET", "/v1/backup"));
  EXPECT_THAT(acts_, ElementsAre(HasSubstr("account add"), "uid 1000 pid 4242: device add account=ann name=nas: ok",
                                 AllOf(HasSubstr("device add account=ann name=tv: "), Not(HasSubstr("secret"))),
                                 "uid 1000 pid 4242: device config nas: ok", "an administrator: backup: ok"));
}

TEST_F(AuditTest, ADeviceIsNamedByTheTunnelThatItCameBy) {
  ASSERT_TRUE(service_.add_account("ann", std::nullopt));
  ASSERT_TRUE(service_.add_device("ann", "nas", std::nullopt));
  auto request = make_request("POST", "/v1/self/leases", R"({"local_port":80,"protocol":"tcp"})");
  request.peer = Endpoint{service_.book().device("nas")->tunnel_v4, Port{40000}};
  answer_of(device_api_, request);
  EXPECT_THAT(acts_, ElementsAre(HasSubstr("device nas: lease add protocol=tcp local_port=80: ")));
}

TEST_F(AuditTest, WhatIsAnsweredLaterIsToldWhenItIs) {
  service_.failure = refusal("too_many_tests", "64 tests run already");
  ask("POST", "/v1/leases/main/tcp/20000/test", "{}");
  EXPECT_THAT(acts_, ElementsAre("uid 1000 pid 4242: lease test main tcp 20000: too_many_tests"));
}

TEST_F(AuditTest, ANameCannotWriteALineOfItsOwn) {
  ask("DELETE", "/v1/accounts/a%0A%1B%5B2J" + std::string(2000, 'x'));
  ASSERT_EQ(acts_.size(), 1U);
  EXPECT_LT(acts_[0].size(), 200U);
  EXPECT_THAT(acts_[0], AllOf(Not(HasSubstr("\n")), Not(HasSubstr("\x1b"))));
}

TEST_F(AuditTest, EveryRouteThatChangesSomethingIsAnAct) {
  for (const auto routes : {status_routes(), reload_routes(), check_routes(), backup_routes(), account_routes(), device_routes(),
                            lease_routes(), history_routes(), event_routes(), self_routes()})
    for (const auto& route : routes) {
      EXPECT_TRUE(route.method == "GET" || !route.act.empty()) << route.method << ' ' << route.pattern;
    }
}

}  // namespace
}  // namespace drpf::api
