#include <gmock/gmock.h>

#include "unit/api/api_requests.h"

namespace drpf::api {
namespace {

using testing::HasSubstr;
namespace json = boost::json;

json::value parsed(std::string_view text) { return json::parse(json::string_view(text.data(), text.size())); }

TEST_F(AdminApiTest, AddsShowsChangesAndRemovesAccounts) {
  auto answer = ask("POST", "/v1/accounts", R"({"name":"ann","plan":"business"})");
  EXPECT_EQ(answer.status, 201U);
  EXPECT_EQ(answer.json,
            parsed(R"({"name":"ann","plan":"business","suspended":false,"devices":[],"ports_held":0,"ports_resting":0,"ports_max":15})"));
  EXPECT_EQ(ask("POST", "/v1/accounts", R"({"name":"bob"})").json.at("plan"), "personal");
  EXPECT_EQ(ask("GET", "/v1/accounts").json.as_array().size(), 2U);
  answer = ask("PATCH", "/v1/accounts/ann", R"({"plan":"personal","suspended":true})");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.json.at("plan"), "personal");
  EXPECT_EQ(answer.json.at("suspended"), true);
  EXPECT_EQ(ask("PATCH", "/v1/accounts/ann", R"({"suspended":false})").json.at("suspended"), false);
  EXPECT_EQ(ask("GET", "/v1/accounts/ann").json.at("plan"), "personal");
  EXPECT_EQ(ask("DELETE", "/v1/accounts/ann").status, 204U);
  EXPECT_EQ(ask("GET", "/v1/accounts/ann").error(), "account_unknown");
}

TEST_F(AdminApiTest, AddsShowsAndRemovesDevices) {
  ask("POST", "/v1/accounts", R"({"name":"ann"})");
  auto answer = ask("POST", "/v1/devices", R"({"account":"ann","name":"nas","public_key":"jNlp6CDnIJNtnLmjJXB6s6BgIIiy3HOa0HYbHNrrNzA="})");
  ASSERT_EQ(answer.status, 201U);
  service.tunnels.begin()->second.endpoint = Endpoint{*parse_address("203.0.113.9"), Port{51820}};
  service.tunnels.begin()->second.last_handshake = service.wall_at_zero;
  service.tunnels.begin()->second.bytes_received = 5'000'000'000;
  answer = ask("GET", "/v1/devices/nas");
  EXPECT_EQ(answer.json, parsed(R"({"name":"nas","account":"ann","tunnel_v4":"10.77.0.2","tunnel_v6":"fd77::2","connected":false,
      "public_key":"jNlp6CDnIJNtnLmjJXB6s6BgIIiy3HOa0HYbHNrrNzA=","endpoint":"203.0.113.9:51820",
      "last_handshake":"2026-03-01T12:00:00Z","bytes_received":5000000000,"bytes_sent":0,"refused":null})"));
  service.tunnels.begin()->second.refused = {"its clock is wrong", "set it", service.wall_at_zero};
  EXPECT_EQ(ask("GET", "/v1/devices/nas").json.at("refused"),
            parsed(R"({"message":"its clock is wrong","cure":"set it","at":"2026-03-01T12:00:00Z"})"));
  EXPECT_EQ(ask("POST", "/v1/devices/nas/forget-clock", "{}").status, 204U);
  EXPECT_EQ(service.clocks_forgotten, std::vector<std::string>{"nas"});
  EXPECT_EQ(ask("POST", "/v1/devices/tower/forget-clock", "{}").error(), "device_unknown");
  EXPECT_EQ(ask("GET", "/v1/devices").json.as_array().size(), 1U);
  EXPECT_EQ(ask("DELETE", "/v1/devices/nas").status, 204U);
  EXPECT_EQ(ask("DELETE", "/v1/devices/nas").status, 404U);
}

TEST_F(AdminApiTest, GivesADevicesConfiguration) {
  ask("POST", "/v1/accounts", R"({"name":"ann"})");
  ask("POST", "/v1/devices", R"({"account":"ann","name":"nas"})");
  EXPECT_EQ(ask("GET", "/v1/devices/nas/config").json.at("config"), "[Interface]\n# nas\n[Peer]\nEndpoint = 198.51.100.1:51820\n");
  EXPECT_EQ(ask("GET", "/v1/devices/nas/config?inbound_only=1&endpoint=vpn.example.org").json.at("config"),
            "[Interface]\n# nas inbound-only\n[Peer]\nEndpoint = vpn.example.org\n");
  EXPECT_EQ(ask("GET", "/v1/devices/nas/config?inbound_only=yes").error(), "parameter_invalid");
  EXPECT_EQ(ask("GET", "/v1/devices/nas/config?endpoint=a%0APostUp%20=%20reboot").error(), "endpoint_invalid");
  EXPECT_EQ(ask("GET", "/v1/devices/nas/config?endpiont=a").error(), "parameter_unknown");
  EXPECT_EQ(ask("GET", "/v1/devices/tower/config").error(), "device_unknown");
}

TEST_F(AdminApiTest, RefusesKeysThatAreNone) {
  ask("POST", "/v1/accounts", R"({"name":"ann"})");
  for (const auto* key : {"", "x", "jNlp6CDnIJNtnLmjJXB6s6BgIIiy3HOa0HYbHNrrNz==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="})
    EXPECT_EQ(ask("POST", "/v1/devices", std::string(R"({"account":"ann","name":"nas","public_key":")") + key + "\"}").error(),
              "public_key_invalid")
        << key;
  EXPECT_TRUE(service.book().devices().empty());
}

TEST_F(AdminApiTest, ALeaseIsOneObjectForEachPublicAddress) {
  ask("POST", "/v1/accounts", R"({"name":"ann"})");
  ask("POST", "/v1/devices", R"({"account":"ann","name":"nas"})");
  const auto added = ask("POST", "/v1/leases", R"({"device":"nas","port":20005,"protocol":"tcp","local_port":110})");
  ASSERT_EQ(added.status, 201U);
  EXPECT_EQ(added.json, parsed(R"([
      {"account":"ann","device":"nas","protocol":"tcp","public_address":"198.51.100.1","public_port":20005,"local_address":"10.77.0.2",
       "local_port":110,"service":"pop3","kind":"fixed","state":"held","expires_at":null,"host":"main","generation":0},
      {"account":"ann","device":"nas","protocol":"tcp","public_address":"2001:db8::1","public_port":20005,"local_address":"fd77::2",
       "local_port":110,"service":"pop3","kind":"fixed","state":"held","expires_at":null,"host":"main","generation":0}])"));
  EXPECT_EQ(ask("GET", "/v1/leases").json, added.json);
}

TEST_F(AdminApiTest, AnActiveLeaseTellsItsDeadlineAndAHeldOneItsGrace) {
  ask("POST", "/v1/accounts", R"({"name":"ann"})");
  ask("POST", "/v1/devices", R"({"account":"ann","name":"nas"})");
  service.connect("nas");
  auto leases = ask("GET", "/v1/leases").json.as_array();
  ASSERT_EQ(leases.size(), 5U * 2 * 2);  // ports, protocols, addresses
  EXPECT_EQ(leases[0].at("state"), "active");
  EXPECT_EQ(leases[0].at("kind"), "automatic");
  EXPECT_EQ(leases[0].at("expires_at"), "2026-03-01T13:00:00Z");
  EXPECT_GT(leases[0].at("generation").as_int64(), 0);
  ASSERT_TRUE(service.disconnect_device(service.book().device("nas")->id));
  leases = ask("GET", "/v1/leases").json.as_array();
  EXPECT_EQ(leases[0].at("state"), "held");
  EXPECT_EQ(leases[0].at("expires_at"), "2026-03-02T12:00:00Z");
}

TEST_F(AdminApiTest, ChangesAndRemovesLeases) {
  ask("POST", "/v1/accounts", R"({"name":"ann"})");
  ask("POST", "/v1/devices", R"({"account":"ann","name":"nas"})");
  ASSERT_EQ(ask("POST", "/v1/leases", R"({"device":"nas","port":20005})").status, 201U);
  const auto set = ask("PATCH", "/v1/leases/main/udp/20005", R"({"local_port":53})");
  EXPECT_EQ(set.status, 200U);
  EXPECT_EQ(set.json.at(0).at("local_port"), 53);
  EXPECT_EQ(service.book().lease({"main", Protocol::tcp, Port{20005}})->local_port, Port{20005});
  EXPECT_EQ(ask("DELETE", "/v1/leases/main/udp/20005").status, 204U);
  EXPECT_EQ(service.book().lease({"main", Protocol::udp, Port{20005}}), nullptr);
  EXPECT_EQ(ask("DELETE", "/v1/leases/main/udp/20005").error(), "lease_unknown");
  EXPECT_EQ(ask("PATCH", "/v1/leases/main/tcp/20005", "{}").error(), "member_missing");
  EXPECT_EQ(ask("PATCH", "/v1/leases/main/sctp/20005", R"({"local_port":1})").error(), "protocol_invalid");
  EXPECT_EQ(ask("PATCH", "/v1/leases/main/tcp/http", R"({"local_port":1})").error(), "port_invalid");
  EXPECT_EQ(ask("DELETE", "/v1/leases/other/tcp/20005").status, 404U);
}

TEST_F(AdminApiTest, AnAdministratorMayChooseThePortAndARefusalHasItsOwnCode) {
  ask("POST", "/v1/accounts", R"({"name":"ann"})");
  ask("POST", "/v1/devices", R"({"account":"ann","name":"nas"})");
  const auto lease = [&](const std::string& rest) { return ask("POST", "/v1/leases", R"({"device":"nas",)" + rest + "}"); };
  EXPECT_EQ(lease(R"("port":20001)").status, 201U);
  auto refusal = lease(R"("port":22)");
  EXPECT_EQ(refusal.status, 409U);
  EXPECT_EQ(refusal.error(), "port_outside_pool");
  EXPECT_FALSE(refusal.cure().empty());
  EXPECT_EQ(lease(R"("port":0)").error(), "port_zero");
  ask("POST", "/v1/accounts", R"({"name":"bob"})");
  ask("POST", "/v1/devices", R"({"account":"bob","name":"tower"})");
  EXPECT_EQ(ask("POST", "/v1/leases", R"({"device":"tower","port":20001})").error(), "port_taken");
  EXPECT_EQ(lease(R"("count":5)").error(), "quota_exhausted");
  EXPECT_EQ(ask("POST", "/v1/leases", R"({"device":"moon"})").error(), "device_unknown");
  EXPECT_EQ(ask("POST", "/v1/leases", R"({"device":"nas","host":"moon"})").error(), "host_unknown");
}

struct BadBody {
  const char* body;
  const char* code;
  const char* message;
};
class BadBodies : public AdminApiTest, public testing::WithParamInterface<BadBody> {};

TEST_P(BadBodies, AreRefusedWithoutAnyChange) {
  const auto answer = ask("POST", "/v1/leases", GetParam().body);
  EXPECT_EQ(answer.status, 400U);
  EXPECT_EQ(answer.error(), GetParam().code);
  EXPECT_THAT(answer.message(), HasSubstr(GetParam().message));
  EXPECT_TRUE(service.book().leases().empty());
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadBodies,
    testing::Values(BadBody{"{", "body_malformed", "not valid JSON"}, BadBody{"[]", "body_malformed", "no object"},
                    BadBody{"{} {}", "body_malformed", "not valid JSON"}, BadBody{"\xff", "body_malformed", "not valid JSON"},
                    BadBody{R"({"device":"a","a":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]})", "body_malformed", "not valid JSON"},
                    BadBody{"{}", "member_missing", "'device' is missing"}, BadBody{R"({"device":1})", "member_invalid", "'device'"},
                    BadBody{R"({"device":"a","prot":1})", "member_unknown", "'prot'"},
                    BadBody{R"({"device":"a","\u001b[31m":1})", "member_unknown", R"(\x1b[31m)"},
                    BadBody{R"({"device":"a","port":65536})", "member_invalid", "from 0 to 65535"},
                    BadBody{R"({"device":"a","port":-1})", "member_invalid", "'port'"},
                    BadBody{R"({"device":"a","port":1.5})", "member_invalid", "'port'"},
                    BadBody{R"({"device":"a","port":99999999999999999999})", "member_invalid", "'port'"},
                    BadBody{R"({"device":"a","port":"80"})", "member_invalid", "'port'"},
                    BadBody{R"({"device":"a","count":0})", "member_invalid", "from 1 to 65535"},
                    BadBody{R"({"device":"a","protocol":"sctp"})", "member_invalid", "one of: tcp udp both"}));

TEST_F(AdminApiTest, RefusesALongName) {
  EXPECT_EQ(ask("POST", "/v1/accounts", R"({"name":")" + std::string(1025, 'a') + "\"}").error(), "member_invalid");
  EXPECT_EQ(ask("POST", "/v1/accounts", R"({"name":")" + std::string(1024, 'a') + "\"}").error(), "name_invalid");
}

TEST_F(AdminApiTest, KnowsItsPathsAndMethods) {
  EXPECT_EQ(ask("GET", "/").status, 404U);
  EXPECT_EQ(ask("GET", "/v1").error(), "path_unknown");
  EXPECT_EQ(ask("GET", "/v1/self").status, 404U);  // the devices' side is elsewhere
  EXPECT_EQ(ask("GET", "/v1/accounts/a/b").status, 404U);
  EXPECT_EQ(ask("PUT", "/v1/accounts").status, 405U);
  EXPECT_THAT(ask("DELETE", "/v1/accounts").cure(), HasSubstr("GET, POST"));
  EXPECT_EQ(ask("GET", "/v1/status?verbose=1").error(), "parameter_unknown");
}

TEST_F(AdminApiTest, AnswersWithUtf8WhateverItWasAsked) {
  const auto answer = ask("GET", "/v1/accounts/na%ff%1b");
  EXPECT_EQ(answer.message(), R"(there is no account 'na\xff\x1b')");
}

TEST_F(AdminApiTest, WantsJson) {
  auto request = make_request("POST", "/v1/accounts", R"({"name":"ann"})");
  for (const auto* type : {"", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"}) {
    request.content_type = type;
    EXPECT_EQ(read(answer_of(api, request)).status, 415U) << type;
  }
  request.content_type = "application/json; charset=utf-8";
  EXPECT_EQ(read(answer_of(api, request)).status, 201U);
  auto empty = make_request("POST", "/v1/accounts");
  empty.content_type = "";
  EXPECT_EQ(read(answer_of(api, empty)).status, 415U);
}

TEST_F(AdminApiTest, AFailureIs500WithItsReason) {
  service.failure = failure("disk_full", "cannot commit to /var/lib/drpf/drpf.db: no space left on device", "make room");
  const auto answer = ask("POST", "/v1/accounts", R"({"name":"ann"})");
  EXPECT_EQ(answer.status, 500U);
  EXPECT_EQ(answer.error(), "disk_full");
}

TEST_F(AdminApiTest, TellsStatusAndFindings) {
  service.report.version = "0.1.0";
  service.report.wireguard_port = Port{51820};
  service.report.hosts = service.book().policy().hosts;
  service.report.warnings = {"the disk is nearly full"};
  const auto status = ask("GET", "/v1/status").json;
  EXPECT_EQ(status.at("version"), "0.1.0");
  EXPECT_EQ(status.at("wireguard_port"), 51820);
  EXPECT_EQ(status.at("hosts").at(0).at("ipv6"), "2001:db8::1");
  EXPECT_EQ(status.at("warnings").at(0), "the disk is nearly full");
  service.findings = {{Finding::Level::problem, "docker", "a rule rewrites our packets", "remove it"}};
  EXPECT_EQ(ask("GET", "/v1/check").json,
            parsed(R"([{"level":"problem","subject":"docker","message":"a rule rewrites our packets","cure":"remove it"}])"));
}

TEST_F(AdminApiTest, ShowsTheWaysInWithWhatTheyHaveNotCarried) {
  service.report.ways_in = {{"wireguard", "the kernel's WireGuard", "drpf0", 3, {{"replayed", 7}, {"no_route", 0}}}};
  EXPECT_EQ(ask("GET", "/v1/status").json.at("ways_in"), parsed(R"([{"kind":"wireguard","engine":"the kernel's WireGuard",
      "interface":"drpf0","devices_connected":3,"counters":{"replayed":7,"no_route":0}}])"));
}

TEST_F(AdminApiTest, ReloadsAndTellsWhatHasChanged) {
  service.reloaded = {{"[ports] pool"}, 2};
  EXPECT_EQ(ask("POST", "/v1/reload", R"({"end_leases":true})").json, parsed(R"({"changed":["[ports] pool"],"leases_ended":2})"));
  ask("POST", "/v1/reload", "{}");
  ASSERT_EQ(service.reloads.size(), 2U);
  EXPECT_TRUE(service.reloads[0].end_leases);
  EXPECT_FALSE(service.reloads[1].end_leases);
  service.failure = invalid("config_value", "drpf.toml:2:1: this is no port range", "write 2000-2999");
  const auto refused = ask("POST", "/v1/reload", "{}");
  EXPECT_EQ(refused.status, 400U);
  EXPECT_EQ(refused.error(), "config_value");
  EXPECT_EQ(ask("POST", "/v1/reload", R"({"end_lease":true})").error(), "member_unknown");
}

TEST_F(AdminApiTest, TestsALeaseAndTellsWhatWasFound) {
  api::TestedLease tested;
  tested.on = {"main", Protocol::tcp, Port(20000)};
  auto& evidence = tested.evidence;
  evidence.public_side = *parse_endpoint("198.51.100.1:20000");
  evidence.holder = scan::LeaseEvidence::Holder{"nas", "ann", *parse_endpoint("10.77.0.2:8080")};
  evidence.active = evidence.connected = true;
  evidence.visits = 3;
  evidence.visitor = *parse_address("192.0.2.77");
  evidence.visit = scan::Verdict{.cause = scan::Cause::syn_ack, .rtt = std::chrono::microseconds(1500), .probes = 1};
  evidence.last_handshake = service.wall_at_zero;
  tested.diagnosis = scan::diagnose(evidence);
  service.tested = {tested};

  const auto answer = ask("POST", "/v1/leases/main/tcp/20000/test", R"({"wait_ms":2000})");
  ASSERT_EQ(answer.status, 200U);
  const auto& one = answer.json.as_array().at(0);
  EXPECT_EQ(one.at("finding"), "answers");
  EXPECT_EQ(one.at("device"), "nas");
  EXPECT_EQ(one.at("leads_to"), "10.77.0.2:8080");
  EXPECT_EQ(one.at("last_handshake"), "2026-03-01T12:00:00Z");
  EXPECT_EQ(one.at("visits"), 3);
  EXPECT_EQ(one.at("visit").at("reason"), "syn-ack");
  EXPECT_EQ(one.at("visit").at("round_trip_ms"), 1.5);
  EXPECT_EQ(one.at("visit").at("from"), "192.0.2.77");
  ASSERT_EQ(service.tests.size(), 1U);
  EXPECT_EQ(service.tests[0].wait, std::chrono::seconds(2));
  EXPECT_FALSE(service.tests[0].passive);
  EXPECT_EQ(service.tests[0].asker, Principal(Administrator{}));

  service.tested[0].evidence.holder.reset();
  service.tested[0].evidence.visit.reset();
  const auto none = ask("POST", "/v1/leases/main/tcp/20000/test", R"({"passive":true})");
  EXPECT_TRUE(none.json.as_array().at(0).at("device").is_null());
  EXPECT_TRUE(none.json.as_array().at(0).at("visit").is_null());
  EXPECT_TRUE(service.tests[1].passive);

  for (const auto* body : {R"({"wait_ms":99})", R"({"wait_ms":10001})", R"({"wait_ms":"1"})", R"({"passive":1})", R"({"else":1})"})
    EXPECT_EQ(ask("POST", "/v1/leases/main/tcp/20000/test", body).status, 400U) << body;
  EXPECT_EQ(ask("POST", "/v1/leases/main/sctp/20000/test").status, 400U);
  EXPECT_EQ(ask("POST", "/v1/leases/main/tcp/70000/test").status, 400U);
  EXPECT_EQ(ask("GET", "/v1/leases/main/tcp/20000/test").status, 405U);
  service.failure = refusal("too_many_tests", "too many");
  EXPECT_EQ(ask("POST", "/v1/leases/main/tcp/20000/test").error(), "too_many_tests");
}

TEST_F(AdminApiTest, KeepsAnAnswerThatTellsOfAChangeUntilTheChangeHasSettled) {
  std::vector<std::pair<Settling, std::function<void()>>> held;
  const AdminApi patient(service, [&](Settling settling, std::function<void()> answer) { held.emplace_back(settling, std::move(answer)); });
  const auto add = make_request("POST", "/v1/accounts", R"({"name":"ann"})");
  const auto list = make_request("GET", "/v1/accounts");
  service.settling = 7;
  EXPECT_EQ(answer_of(patient, add).status, 0U) << "told before it was so";
  EXPECT_EQ(answer_of(patient, list).status, 200U) << "what changes nothing waits for nothing";
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held[0].first, 7U);
  unsigned status = 0;
  service.settling = 8;
  patient.handle(make_request("DELETE", "/v1/accounts/ann"), [&](const net::Response& given) { status = given.status; });
  ASSERT_EQ(held.size(), 2U);
  held[1].second();
  EXPECT_EQ(status, 204U);
  service.settling = 0;
  EXPECT_EQ(answer_of(patient, add).status, 201U);
}

TEST_F(AdminApiTest, StreamsChangesUntilTheReaderLeaves) {
  const auto response = answer_of(api, make_request("GET", "/v1/events"));
  ASSERT_TRUE(response.stream);
  const auto sink = std::make_shared<FakeSink>();
  auto keeper = response.stream(sink);
  ASSERT_TRUE(service.add_account("ann", std::nullopt));
  const auto device = service.add_device("ann", "nas", std::nullopt);
  service.connect("nas");
  ASSERT_EQ(sink->lines.size(), 4U);
  EXPECT_EQ(sink->lines[0], R"({"event":"open"})");
  EXPECT_EQ(sink->lines[1], R"({"event":"change","what":"account","device":null})");
  EXPECT_EQ(sink->lines[3], R"({"event":"change","what":"connected","device":"nas"})");
  EXPECT_EQ(service.listeners(), 1U);
  keeper.reset();
  EXPECT_EQ(service.listeners(), 0U);
}

}  // namespace
}  // namespace drpf::api
