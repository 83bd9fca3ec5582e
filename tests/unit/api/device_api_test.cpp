#include <gmock/gmock.h>

#include "unit/api/api_requests.h"

namespace drpf::api {
namespace {

using testing::HasSubstr;
namespace json = boost::json;

TEST_F(DeviceApiTest, TellsADeviceAboutItselfByItsAddress) {
  service.connect("nas");
  const auto self = ask("nas", "GET", "/v1/self").json;
  EXPECT_EQ(self.at("account"), "ann");
  EXPECT_EQ(self.at("device"), "nas");
  EXPECT_EQ(self.at("plan"), "personal");
  EXPECT_EQ(self.at("tunnel_v4"), "10.77.0.2");
  EXPECT_EQ(self.at("connected"), true);
  EXPECT_EQ(self.at("leases").as_array().size(), 20U);
  EXPECT_EQ(ask("tower", "GET", "/v1/self").json.at("leases").as_array().size(), 0U);
  auto over_v6 = request_of("nas", "GET", "/v1/self");
  over_v6.peer->address = *service.book().device("nas")->tunnel_v6;
  EXPECT_EQ(read(answer_of(api, over_v6)).json.at("device"), "nas");
}

TEST_F(DeviceApiTest, SaysNothingToAnybodyElse) {
  auto request = request_of("nas", "GET", "/v1/self");
  for (const auto* address : {"10.77.0.1", "10.77.0.200", "198.51.100.9", "::1", "::ffff:10.77.0.2"}) {
    request.peer = Endpoint{*parse_address(address), Port{1}};
    const auto answer = read(answer_of(api, request));
    EXPECT_EQ(answer.status, 403U) << address;
    EXPECT_EQ(answer.error(), "not_a_device");
  }
  request.peer.reset();
  EXPECT_EQ(read(answer_of(api, request)).status, 403U);
}

TEST_F(DeviceApiTest, HasNoneOfTheAdministratorsPaths) {
  for (const auto* path : {"/v1/status", "/v1/accounts", "/v1/devices", "/v1/leases", "/v1/events"})
    EXPECT_EQ(ask("nas", "GET", path).status, 404U) << path;
}

TEST_F(DeviceApiTest, WantsToBeAskedByAnAddress) {
  auto request = request_of("nas", "GET", "/v1/self");
  for (const auto* host : {"10.77.0.1", "10.77.0.1:5351", "[fd77::1]", "[fd77::1]:5351", "localhost", "localhost:5351"}) {
    request.host = host;
    EXPECT_EQ(read(answer_of(api, request)).status, 200U) << host;
  }
  for (const auto* host : {"", "evil.example.org", "10.77.0.1.example.org", "10.77.0.1:5351:1", "localhost.example.org", "[fd77::1"}) {
    request.host = host;
    EXPECT_EQ(read(answer_of(api, request)).error(), "host_not_allowed") << host;
  }
}

TEST_F(DeviceApiTest, ADeviceCanSayGoodBye) {
  service.connect("nas");
  auto page = request_of("nas", "POST", "/v1/self/disconnect");
  page.content_type = "text/plain";  // as a form of a web page would send it
  EXPECT_EQ(read(answer_of(api, page)).status, 415U);
  EXPECT_TRUE(service.disconnected.empty());
  EXPECT_EQ(ask("nas", "POST", "/v1/self/disconnect").status, 204U);
  EXPECT_EQ(service.disconnected, std::vector{service.book().device("nas")->id});
}

TEST_F(DeviceApiTest, ADeviceAsksForALeaseOfItsOwn) {
  service.connect("tower");
  const auto held = service.book().leases_of(service.book().device("tower")->id);
  const auto port = held.front()->on.port == Port{20000} ? 20019 : 20000;  // outside of what it was given at connect
  const auto number = std::to_string(port);
  const auto added =
      ask("tower", "POST", "/v1/self/leases", R"({"port":)" + number + R"(,"protocol":"udp","local_port":53,"lifetime_s":120})");
  ASSERT_EQ(added.status, 201U) << added.message();
  const auto* lease = service.book().lease({"main", Protocol::udp, Port{static_cast<std::uint16_t>(port)}});
  ASSERT_NE(lease, nullptr);
  EXPECT_EQ(lease->kind, lease::LeaseKind::requested);
  EXPECT_EQ(lease->device, service.book().device("tower")->id);
  EXPECT_EQ(added.json.at(0).at("expires_at"), "2026-03-01T12:02:00Z");
  EXPECT_EQ(ask("tower", "DELETE", "/v1/self/leases/main/udp/" + number).status, 204U);
}

TEST_F(DeviceApiTest, ADeviceAsksForATestOfItsLeases) {
  service.connect("nas");
  EXPECT_EQ(ask("nas", "POST", "/v1/self/leases/main/udp/20000/test").status, 200U);
  ASSERT_EQ(service.tests.size(), 1U);
  EXPECT_EQ(service.tests[0].asker, Principal(CallingDevice{service.book().device("nas")->id}));
  EXPECT_EQ(service.tests[0].on, (lease::PublicPort{"main", Protocol::udp, Port(20000)}));
}

TEST_F(DeviceApiTest, ADeviceCannotSpeakForAnother) {
  service.connect("nas");
  service.connect("tower");
  const auto nas_port = to_string(service.book().leases_of(service.book().device("nas")->id).front()->on.port);
  EXPECT_EQ(ask("tower", "POST", "/v1/self/leases", R"({"device":"nas"})").error(), "member_unknown");
  const auto others = ask("tower", "DELETE", "/v1/self/leases/main/tcp/" + nas_port);
  const auto nobodys = ask("tower", "DELETE", "/v1/self/leases/main/tcp/20019");
  EXPECT_EQ(others.status, 404U);
  EXPECT_EQ(others.error(), nobodys.error());  // it does not even learn that the lease is there
  EXPECT_EQ(ask("nas", "DELETE", "/v1/self/leases/main/tcp/" + nas_port).error(), "lease_not_requested");
  EXPECT_EQ(ask("nas", "POST", "/v1/self/leases", R"({"port":20018})").error(), "port_choice_not_allowed");
}

TEST_F(DeviceApiTest, StreamsItsLeasesAfterEachChangeAndEndsWithTheDevice) {
  const auto response = answer_of(api, request_of("nas", "GET", "/v1/self/events"));
  ASSERT_TRUE(response.stream);
  const auto sink = std::make_shared<FakeSink>();
  auto keeper = response.stream(sink);
  ASSERT_EQ(sink->lines.size(), 1U);
  EXPECT_EQ(json::parse(sink->lines[0]).at("leases").as_array().size(), 0U);
  service.connect("nas");
  ASSERT_EQ(sink->lines.size(), 2U);
  const auto line = json::parse(sink->lines[1]);
  EXPECT_EQ(line.at("event"), "leases");
  EXPECT_EQ(line.at("device"), "nas");
  EXPECT_EQ(line.at("leases").as_array().size(), 20U);
  service.connect("tower");
  EXPECT_EQ(sink->lines.size(), 2U);  // none of its business
  ASSERT_TRUE(service.remove_device("nas"));
  EXPECT_TRUE(sink->closed);
  keeper.reset();
  EXPECT_EQ(service.listeners(), 0U);
}

}  // namespace
}  // namespace drpf::api
