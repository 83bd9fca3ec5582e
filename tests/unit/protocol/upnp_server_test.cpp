#include "protocol/upnp/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/upnp/soap.h"
#include "support/fake_mappings.h"

namespace drpf::protocol::upnp {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

const Address ann = Address::v4(0x0a4d0002);
const Address ann_v6 = *parse_address("fd77::2");
const Address ben = Address::v4(0x0a4d0003);

constexpr std::string_view connection = "urn:schemas-upnp-org:service:WANIPConnection:2";
constexpr std::string_view firewall = "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1";

using Arguments = std::vector<std::pair<std::string, std::string>>;

std::string envelope(std::string_view service, std::string_view action, const Arguments& arguments) {
  std::string body = "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><u:";
  body.append(action).append(" xmlns:u=\"").append(service).append("\">");
  for (const auto& [name, value] : arguments) body += "<" + name + ">" + value + "</" + name + ">";
  return body.append("</u:").append(action).append("></s:Body></s:Envelope>");
}

class UpnpServer : public testing::Test {
 protected:
  UpnpServer() {
    mappings_.clients[ann] = mappings_.clients[ann_v6] = {Address::v4(0x09090909), parse_address("2600::9").value(), ann, ann_v6};
    mappings_.clients[ben] = {Address::v4(0x09090909), std::nullopt, ben, std::nullopt};
  }

  HttpResponse request(HttpRequest request) {
    if (request.host.empty()) request.host = "10.77.0.1:5351";
    if (request.source == Address{}) request.source = ann;
    std::optional<HttpResponse> response;
    now_ += 1s;
    server_.handle(request, now_, [&](HttpResponse given) {
      EXPECT_FALSE(response) << "answered twice";
      response = std::move(given);
    });
    mappings_.answer_all();
    EXPECT_TRUE(response) << "not answered";
    return response.value_or(HttpResponse{});
  }
  HttpResponse post(std::string_view body, std::string soap_action, std::string word = "connection") {
    HttpRequest post{.method = "POST", .path = {"upnp", "control", std::move(word)}, .soap_action = std::move(soap_action), .body = body};
    post.source = source_;
    return request(post);
  }
  HttpResponse call(std::string_view action, const Arguments& arguments, std::string_view service = connection) {
    return post(envelope(service, action, arguments), "\"" + std::string(service) + "#" + std::string(action) + "\"",
                service == firewall                                ? "firewall"
                : service.find("Common") != std::string_view::npos ? "interface"
                                                                   : "connection");
  }
  int fault(std::string_view action, const Arguments& arguments, std::string_view service = connection) {
    const auto response = call(action, arguments, service);
    if (response.status == 200) return 0;
    EXPECT_EQ(response.status, 500U) << response.body;
    const auto at = response.body.find("<errorCode>");
    return at == std::string::npos ? -1 : std::stoi(response.body.substr(at + 11));
  }
  std::string value(const HttpResponse& response, const std::string& name) {
    const auto begin = response.body.find("<" + name + ">");
    const auto end = response.body.find("</" + name + ">");
    return begin == std::string::npos ? "(none)" : response.body.substr(begin + name.size() + 2, end - begin - name.size() - 2);
  }
  static Arguments mapping(std::string external, std::string internal, std::string client = "10.77.0.2", std::string protocol = "TCP",
                           std::string lifetime = "3600", std::string description = "test") {
    return {{"NewRemoteHost", ""},
            {"NewExternalPort", std::move(external)},
            {"NewProtocol", std::move(protocol)},
            {"NewInternalPort", std::move(internal)},
            {"NewInternalClient", std::move(client)},
            {"NewEnabled", "1"},
            {"NewPortMappingDescription", std::move(description)},
            {"NewLeaseDuration", std::move(lifetime)}};
  }
  static Arguments named(std::string external, std::string protocol = "TCP") {
    return {{"NewRemoteHost", ""}, {"NewExternalPort", std::move(external)}, {"NewProtocol", std::move(protocol)}};
  }
  static Arguments pinhole(std::string port, std::string client = "fd77::2", std::string protocol = "6", std::string lifetime = "3600") {
    return {{"RemoteHost", ""},
            {"RemotePort", "0"},
            {"InternalClient", std::move(client)},
            {"InternalPort", std::move(port)},
            {"Protocol", std::move(protocol)},
            {"LeaseTime", std::move(lifetime)}};
  }

  test::FakeMappings mappings_;
  Address source_ = ann;
  Time now_{};
  Server server_{mappings_, Identity{1, 2, 3}, [](const Address&) { return Link{5'000'000'000, 42, 1234s}; }};
};

TEST_F(UpnpServer, AddsListsAndDeletesAMapping) {
  EXPECT_EQ(call("AddPortMapping", mapping("20001", "8080")).status, 200U);
  const auto entry = call("GetSpecificPortMappingEntry", named("20001"));
  EXPECT_EQ(value(entry, "NewInternalPort"), "8080");
  EXPECT_EQ(value(entry, "NewInternalClient"), "10.77.0.2");
  EXPECT_EQ(value(entry, "NewPortMappingDescription"), "test");
  EXPECT_EQ(value(entry, "NewLeaseDuration"), "3600");
  const auto first = call("GetGenericPortMappingEntry", {{"NewPortMappingIndex", "0"}});
  EXPECT_EQ(value(first, "NewExternalPort"), "20001");
  EXPECT_EQ(fault("GetGenericPortMappingEntry", {{"NewPortMappingIndex", "1"}}), 713);
  EXPECT_EQ(call("DeletePortMapping", named("20001")).status, 200U);
  EXPECT_EQ(fault("DeletePortMapping", named("20001")), 714);
  EXPECT_EQ(fault("GetSpecificPortMappingEntry", named("20001")), 714);
}

TEST_F(UpnpServer, AnswersInTheTypeThatWasAsked) {
  const std::string first = "urn:schemas-upnp-org:service:WANIPConnection:1";
  EXPECT_THAT(call("GetExternalIPAddress", {}, first).body, HasSubstr("xmlns:u=\"" + first + "\""));
  EXPECT_THAT(call("GetExternalIPAddress", {}).body, HasSubstr("xmlns:u=\"" + std::string(connection) + "\""));
}

TEST_F(UpnpServer, AnyPortIsAnotherOneWhereTheWishedOneIsTaken) {
  mappings_.taken = {Port{20001}, Port{20000}};
  EXPECT_EQ(value(call("AddAnyPortMapping", mapping("20001", "8080")), "NewReservedPort"), "20002");
  EXPECT_EQ(value(call("AddAnyPortMapping", mapping("20007", "8081")), "NewReservedPort"), "20007");
  EXPECT_EQ(value(call("AddAnyPortMapping", mapping("0", "8082")), "NewReservedPort"), "20003");
}

TEST_F(UpnpServer, ATakenPortIsAConflictAndAFullQuotaIsNot) {
  mappings_.taken = {Port{20001}};
  EXPECT_EQ(fault("AddPortMapping", mapping("20001", "8080")), 718);
  mappings_.quota = 0;
  EXPECT_EQ(fault("AddPortMapping", mapping("20002", "8080")), 728);
  EXPECT_EQ(fault("AddAnyPortMapping", mapping("20002", "8080")), 728);
  mappings_.refusal = failure("store_failed", "the disk is full");
  EXPECT_EQ(fault("AddPortMapping", mapping("20002", "8080")), 501);
  mappings_.refusal = refusal("not_connected", "the device is away");
  EXPECT_EQ(fault("AddPortMapping", mapping("20002", "8080")), 606);
}

TEST_F(UpnpServer, NobodyMapsForAnother) {
  EXPECT_EQ(fault("AddPortMapping", mapping("20001", "22", "10.77.0.3")), 606);
  EXPECT_EQ(fault("AddAnyPortMapping", mapping("20001", "22", "10.77.0.3")), 606);
  EXPECT_EQ(fault("AddPortMapping", mapping("20001", "22", "127.0.0.1")), 606);
  EXPECT_EQ(fault("AddPortMapping", mapping("20001", "22", "localhost")), 606);
  EXPECT_EQ(fault("AddPinhole", pinhole("20001", "fd77::3"), firewall), 606);
  EXPECT_THAT(mappings_.wishes, testing::IsEmpty());
  EXPECT_EQ(fault("AddPortMapping", mapping("20001", "22", "")), 0);
  EXPECT_EQ(mappings_.wishes.back().client, ann);
}

TEST_F(UpnpServer, NobodySeesOrEndsWhatIsAnothers) {
  ASSERT_EQ(fault("AddPortMapping", mapping("20001", "8080")), 0);
  source_ = ben;
  EXPECT_EQ(fault("GetSpecificPortMappingEntry", named("20001")), 714);
  EXPECT_EQ(fault("GetGenericPortMappingEntry", {{"NewPortMappingIndex", "0"}}), 713);
  EXPECT_EQ(fault("DeletePortMapping", named("20001")), 714);
  EXPECT_EQ(fault("DeletePortMappingRange", {{"NewStartPort", "1"}, {"NewEndPort", "65535"}, {"NewProtocol", "TCP"}, {"NewManage", "1"}}),
            730);
  EXPECT_EQ(fault("AddPortMapping", mapping("20001", "8080", "10.77.0.3")), 718);
  source_ = ann;
  EXPECT_EQ(fault("GetSpecificPortMappingEntry", named("20001")), 0);
}

TEST_F(UpnpServer, LeaseTimeZeroIsAsLongAsTheDeviceIsThere) {
  ASSERT_EQ(fault("AddPortMapping", mapping("20001", "8080", "10.77.0.2", "UDP", "0")), 0);
  EXPECT_TRUE(mappings_.wishes.back().while_connected);
  EXPECT_EQ(mappings_.wishes.back().protocol, Protocol::udp);
  ASSERT_EQ(fault("AddPortMapping", mapping("20001", "8080", "10.77.0.2", "UDP", "7200")), 0);
  EXPECT_FALSE(mappings_.wishes.back().while_connected);
  EXPECT_EQ(mappings_.wishes.back().lifetime, 7200s);
}

TEST_F(UpnpServer, AnotherProgramOfTheDeviceMayTakeThePortOver) {
  ASSERT_EQ(fault("AddPortMapping", mapping("20001", "8080")), 0);
  ASSERT_EQ(fault("AddPortMapping", mapping("20001", "9090")), 0);
  EXPECT_EQ(value(call("GetSpecificPortMappingEntry", named("20001")), "NewInternalPort"), "9090");
  EXPECT_EQ(mappings_.mappings_of(ann).size(), 1U);
}

TEST_F(UpnpServer, WhatCameByAnotherProtocolIsShownButNotEnded) {
  port_mapping::Mapped by_pcp;
  by_pcp.internal_port = by_pcp.external_port = Port{20005};
  by_pcp.door = port_mapping::Door::pcp;
  mappings_.put(ann, by_pcp);
  EXPECT_EQ(fault("GetSpecificPortMappingEntry", named("20005")), 0);
  EXPECT_EQ(fault("DeletePortMapping", named("20005")), 606);
  EXPECT_EQ(fault("AddPortMapping", mapping("20005", "1")), 729);
}

TEST_F(UpnpServer, ListsAndDeletesRanges) {
  for (const auto* port : {"20001", "20002", "20004"}) ASSERT_EQ(fault("AddPortMapping", mapping(port, port)), 0);
  const auto list =
      call("GetListOfPortMappings",
           {{"NewStartPort", "20001"}, {"NewEndPort", "20003"}, {"NewProtocol", "TCP"}, {"NewManage", "0"}, {"NewNumberOfPorts", "0"}});
  EXPECT_THAT(list.body, HasSubstr("<NewPortListing><![CDATA[<?xml version=\"1.0\"?>"));
  EXPECT_THAT(list.body, HasSubstr("<p:NewExternalPort>20002</p:NewExternalPort>"));
  EXPECT_THAT(list.body, Not(HasSubstr("20004")));
  EXPECT_EQ(fault("GetListOfPortMappings",
                  {{"NewStartPort", "5"}, {"NewEndPort", "4"}, {"NewProtocol", "TCP"}, {"NewManage", "0"}, {"NewNumberOfPorts", "0"}}),
            733);
  EXPECT_EQ(fault("GetListOfPortMappings",
                  {{"NewStartPort", "4"}, {"NewEndPort", "5"}, {"NewProtocol", "TCP"}, {"NewManage", "0"}, {"NewNumberOfPorts", "0"}}),
            730);
  EXPECT_EQ(
      fault("DeletePortMappingRange", {{"NewStartPort", "20002"}, {"NewEndPort", "20009"}, {"NewProtocol", "TCP"}, {"NewManage", "0"}}), 0);
  EXPECT_EQ(mappings_.mappings_of(ann).size(), 1U);
}

TEST_F(UpnpServer, BadArguments) {
  EXPECT_EQ(fault("AddPortMapping", mapping("0", "8080")), 716);
  EXPECT_EQ(fault("AddPortMapping", mapping("20001", "0")), 732);
  EXPECT_EQ(fault("AddPortMapping", mapping("65536", "8080")), 402);
  EXPECT_EQ(fault("AddPortMapping", mapping("-1", "8080")), 402);
  EXPECT_EQ(fault("AddPortMapping", mapping("20001", "8080", "10.77.0.2", "SCTP")), 402);
  EXPECT_EQ(fault("AddPortMapping", mapping("20001", "8080", "10.77.0.2", "TCP", "99999999999999999999")), 402);
  auto from_one = mapping("20001", "8080");
  from_one[0].second = "9.8.7.6";
  EXPECT_EQ(fault("AddPortMapping", from_one), 726);
  EXPECT_EQ(fault("GetGenericPortMappingEntry", {{"NewPortMappingIndex", ""}}), 402);
  EXPECT_EQ(fault("FormatDisk", {}), 401);
  EXPECT_EQ(fault("AddPinhole", {}), 401);  // of another service
}

// miniupnpd's CVE-2019-12107 to 12111 were arguments that were not there.
TEST_F(UpnpServer, AnyArgumentMayBeMissing) {
  const std::vector<std::pair<std::string, Arguments>> calls{
      {"AddPortMapping", mapping("20001", "8080")},
      {"AddAnyPortMapping", mapping("20001", "8080")},
      {"DeletePortMapping", named("20001")},
      {"GetSpecificPortMappingEntry", named("20001")},
      {"DeletePortMappingRange", {{"NewStartPort", "1"}, {"NewEndPort", "2"}, {"NewProtocol", "TCP"}, {"NewManage", "0"}}},
      {"GetListOfPortMappings",
       {{"NewStartPort", "1"}, {"NewEndPort", "2"}, {"NewProtocol", "TCP"}, {"NewManage", "0"}, {"NewNumberOfPorts", "1"}}}};
  const auto try_all = [this](const std::string& action, const Arguments& whole, std::string_view service) {
    for (unsigned left_out = 0; left_out < (1U << whole.size()); ++left_out) {
      Arguments some;
      for (std::size_t i = 0; i < whole.size(); ++i)
        if ((left_out >> i & 1) == 0) some.push_back(whole[i]);
      const auto code = fault(action, some, service);
      EXPECT_TRUE(code == 0 || code >= 402) << action << " answered with " << code;
      if (some.empty()) {
        EXPECT_EQ(code, 402) << action;
      }
    }
  };
  for (const auto& [action, whole] : calls) try_all(action, whole, connection);
  try_all("AddPinhole", pinhole("20001"), firewall);
  try_all("UpdatePinhole", {{"UniqueID", "1"}, {"NewLeaseTime", "5"}}, firewall);
  try_all("GetOutboundPinholeTimeout", pinhole("20001"), firewall);
}

TEST_F(UpnpServer, ADescriptionIsCutAndCleaned) {
  ASSERT_EQ(fault("AddPortMapping", mapping("20001", "8080", "10.77.0.2", "TCP", "60", "a\nb&#10;c&lt;d\xc3\xa4" + std::string(100, 'x'))),
            0);
  const auto kept = mappings_.wishes.back().description;
  EXPECT_EQ(kept.substr(0, 9), "a?b?c<d??");
  EXPECT_EQ(kept.size(), lease::Mapping::description_max);
  EXPECT_THAT(call("GetSpecificPortMappingEntry", named("20001")).body, HasSubstr("<NewPortMappingDescription>a?b?c&lt;d??xxx"));
}

TEST_F(UpnpServer, WhatAProgramAsksAboutTheConnection) {
  EXPECT_EQ(value(call("GetExternalIPAddress", {}), "NewExternalIPAddress"), "9.9.9.9");
  EXPECT_EQ(value(call("GetStatusInfo", {}), "NewConnectionStatus"), "Connected");
  EXPECT_EQ(value(call("GetStatusInfo", {}), "NewUptime"), "1234");
  EXPECT_EQ(value(call("GetConnectionTypeInfo", {}), "NewConnectionType"), "IP_Routed");
  EXPECT_EQ(value(call("GetNATRSIPStatus", {}), "NewNATEnabled"), "1");
  EXPECT_EQ(call("RequestConnection", {}).status, 200U);
  EXPECT_EQ(fault("ForceTermination", {}), 606);
  constexpr std::string_view common = "urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1";
  EXPECT_EQ(value(call("GetCommonLinkProperties", {}, common), "NewPhysicalLinkStatus"), "Up");
  EXPECT_EQ(value(call("GetTotalBytesSent", {}, common), "NewTotalBytesSent"), std::to_string(5'000'000'000 % (1LL << 32)));
  EXPECT_EQ(value(call("GetTotalBytesReceived", {}, common), "NewTotalBytesReceived"), "42");
}

TEST_F(UpnpServer, APinholeIsALeaseOfTheSameNumber) {
  const auto id = value(call("AddPinhole", pinhole("20001"), firewall), "UniqueID");
  EXPECT_TRUE(mappings_.wishes.back().only_suggested);
  EXPECT_EQ(mappings_.wishes.back().suggested_port, Port{20001});
  const auto udp = value(call("AddPinhole", pinhole("20001", "fd77::2", "17"), firewall), "UniqueID");
  EXPECT_NE(id, udp);
  EXPECT_EQ(value(call("CheckPinholeWorking", {{"UniqueID", id}}, firewall), "IsWorking"), "1");
  EXPECT_EQ(fault("UpdatePinhole", {{"UniqueID", id}, {"NewLeaseTime", "60"}}, firewall), 0);
  EXPECT_EQ(mappings_.wishes.back().lifetime, 60s);
  EXPECT_EQ(fault("DeletePinhole", {{"UniqueID", id}}, firewall), 0);
  EXPECT_EQ(fault("DeletePinhole", {{"UniqueID", id}}, firewall), 704);
  EXPECT_EQ(fault("UpdatePinhole", {{"UniqueID", id}, {"NewLeaseTime", "60"}}, firewall), 704);
  EXPECT_EQ(mappings_.mappings_of(ann).size(), 1U);
  EXPECT_EQ(value(call("GetFirewallStatus", {}, firewall), "InboundPinholeAllowed"), "1");
  EXPECT_EQ(value(call("GetOutboundPinholeTimeout", pinhole("20001"), firewall), "OutboundPinholeTimeout"), "432000");
}

TEST_F(UpnpServer, PinholesThatCannotBe) {
  EXPECT_EQ(fault("AddPinhole", pinhole("20001", "fd77::2", "65535"), firewall), 707);
  EXPECT_EQ(fault("AddPinhole", pinhole("20001", "fd77::2", "132"), firewall), 705);
  EXPECT_EQ(fault("AddPinhole", pinhole("0"), firewall), 706);
  EXPECT_EQ(fault("AddPinhole", pinhole("20001", "fd77::2", "6", "0"), firewall), 402);
  EXPECT_EQ(fault("AddPinhole", pinhole("20001", "fd77::2", "6", "86401"), firewall), 402);
  EXPECT_EQ(fault("AddPinhole", pinhole("20001", "10.77.0.2"), firewall), 606);
  ASSERT_EQ(fault("AddPinhole", pinhole("20001"), firewall), 0);
  EXPECT_EQ(fault("AddPinhole", pinhole("52769"), firewall), 701);  // 20001 + 32768 would have the same id
  mappings_.taken = {Port{20003}};
  EXPECT_EQ(fault("AddPinhole", pinhole("20003"), firewall), 606);
  mappings_.quota = 1;
  EXPECT_EQ(fault("AddPinhole", pinhole("20004"), firewall), 701);
  source_ = ben;
  EXPECT_EQ(value(call("GetFirewallStatus", {}, firewall), "InboundPinholeAllowed"), "0");
}

TEST_F(UpnpServer, AnswersWhenTheBookHasAnswered) {
  mappings_.answers_later = true;
  EXPECT_EQ(value(call("AddAnyPortMapping", mapping("20001", "8080")), "NewReservedPort"), "20001");
  EXPECT_EQ(call("AddPortMapping", mapping("20001", "9090")).status, 200U);  // ended, then mapped
}

TEST_F(UpnpServer, NobodyElseIsServed) {
  HttpRequest get{.method = "GET", .path = {"upnp"}};
  EXPECT_EQ(request(get).status, 200U);
  get.source = Address::v4(0x0a4d0063);
  EXPECT_EQ(request(get).status, 403U);
  EXPECT_EQ(server_.counters().strangers, 1U);
}

TEST_F(UpnpServer, AWebPageCannotAsk) {
  HttpRequest get{.method = "GET", .path = {"upnp"}};
  for (const auto* host : {"evil.example", "10.77.0.1.evil.example:5351", "localhost:5351", "", "[fd77::1", "10.77.0.1:"}) {
    get.host = *host ? host : " ";
    EXPECT_EQ(request(get).status, 403U) << host;
  }
  for (const auto* host : {"10.77.0.1", "10.77.0.1:5351", "[fd77::1]", "[fd77::1]:5351"}) {
    get.host = host;
    EXPECT_EQ(request(get).status, 200U) << host;
  }
  get.origin = "http://evil.example";
  EXPECT_EQ(request(get).status, 403U);
  const auto body = envelope(connection, "AddPortMapping", mapping("20001", "8080"));
  EXPECT_EQ(post(body, "").status, 400U);
  HttpRequest options{.method = "OPTIONS", .path = {"upnp", "control", "connection"}};
  EXPECT_EQ(request(options).status, 405U);
  EXPECT_THAT(mappings_.wishes, testing::IsEmpty());
}

TEST_F(UpnpServer, SubscriptionsAreRefused) {
  for (const auto* method : {"SUBSCRIBE", "UNSUBSCRIBE"}) {
    HttpRequest subscribe{.method = method, .path = {"upnp", "event", "connection"}};
    EXPECT_EQ(request(subscribe).status, 412U);
  }
}

TEST_F(UpnpServer, BombsAndMountainsAreRefusedUnparsed) {
  const std::string action = std::string(connection) + "#GetStatusInfo";
  const auto good = envelope(connection, "GetStatusInfo", {});
  EXPECT_EQ(post(good, action).status, 200U);
  EXPECT_EQ(post("<!DOCTYPE lol [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]>" + good, action).status, 400U);
  EXPECT_EQ(post("<!ENTITY x SYSTEM \"file:///etc/passwd\">" + good, action).status, 400U);
  EXPECT_EQ(post(good + std::string(soap_body_max, ' '), action).status, 413U);
  std::string deep;
  for (int i = 0; i < 2000; ++i) deep += "<a>";
  EXPECT_EQ(post(deep, action).status, 400U);
  std::string wide = good;
  wide.insert(wide.find("</s:Body>"), [] {
    std::string out;
    for (int i = 0; i < 500; ++i) out += "<a/>";
    return out;
  }());
  EXPECT_EQ(post(wide, action).status, 400U);
  for (const auto* nonsense : {"", "<", "<s:Envelope", "</a>", "hello", "<a><b></a></b>", "<s:Envelope/>", "\xff\xfe<\0a"})
    EXPECT_EQ(post(nonsense, action).status, 400U) << nonsense;
  EXPECT_EQ(post(good.substr(0, good.size() / 2), action).status, 400U);
  for (std::size_t size = 0; size < good.size(); ++size) EXPECT_LT(post(good.substr(0, size), action).status, 504U);
}

TEST_F(UpnpServer, AnArgumentSaidTwiceIsRefused) {
  auto twice = mapping("20001", "8080");
  twice.emplace_back("NewInternalClient", "10.77.0.3");
  EXPECT_EQ(call("AddPortMapping", twice).status, 400U);
}

TEST_F(UpnpServer, WrongSoapActions) {
  const auto good = envelope(connection, "GetStatusInfo", {});
  for (const std::string action :
       {"\"\"", "#GetStatusInfo", "urn:schemas-upnp-org:service:WANIPConnection:3#GetStatusInfo",
        "urn:schemas-upnp-org:service:WANPPPConnection:1#GetStatusInfo", "urn:schemas-upnp-org:service:WANIPConnection:2"})
    EXPECT_EQ(post(good, action).status, 500U) << action;
  EXPECT_EQ(post(good, std::string(connection) + "#GetExternalIPAddress").status, 400U) << "another action in the body";
  EXPECT_EQ(post(good, std::string(connection) + "#GetStatusInfo", "firewall").status, 500U) << "at another service's address";
  EXPECT_EQ(post(good, std::string(connection) + "#GetStatusInfo", "nowhere").status, 404U);
}

TEST_F(UpnpServer, OneClientsFloodIsHeldBackAndOthersAreServed) {
  HttpRequest get{.method = "GET", .path = {"upnp"}, .host = "10.77.0.1", .source = ann};
  std::map<unsigned, int> seen;
  for (int i = 0; i < 200; ++i) server_.handle(get, now_, [&](const HttpResponse& response) { ++seen[response.status]; });
  EXPECT_EQ(seen[200], 50);
  EXPECT_EQ(seen[503], 150);
  get.source = ben;
  server_.handle(get, now_, [&](const HttpResponse& response) { EXPECT_EQ(response.status, 200U); });
  get.source = ann;
  EXPECT_EQ(request(get).status, 200U);  // a second later
}

}  // namespace
}  // namespace drpf::protocol::upnp
