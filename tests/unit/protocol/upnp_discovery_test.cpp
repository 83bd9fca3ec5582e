#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <pugixml.hpp>
#include <set>

#include "protocol/upnp/description.h"
#include "protocol/upnp/server.h"
#include "protocol/upnp/ssdp.h"
#include "support/fake_mappings.h"

namespace drpf::protocol::upnp {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

const Identity identity{0x10, 0x20, 0x30, 0x40};
const Endpoint place{Address::v4(0x0a4dff01), Port{5351}};

std::string search_for(std::string_view target) {
  return "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nST: " + std::string(target) + "\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\n\r\n";
}

std::size_t total(const std::vector<std::string>& answers) {
  std::size_t bytes = 0;
  for (const auto& answer : answers) bytes += answer.size();
  return bytes;
}

TEST(Ssdp, ReadsWhatProgramsSend) {
  EXPECT_EQ(read_search(search_for("upnp:rootdevice")), "upnp:rootdevice");
  EXPECT_EQ(read_search("M-SEARCH * HTTP/1.1\nst:ssdp:all\nman:\"SSDP:DISCOVER\"\n"), "ssdp:all");
  for (const std::string bad : {"", "M-SEARCH", "NOTIFY * HTTP/1.1\r\nST: ssdp:all\r\nMAN: \"ssdp:discover\"\r\n\r\n",
                                "M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\n\r\n", "M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\n\r\n",
                                "M-SEARCH * HTTP/1.1\r\nMAN: \"ssdp:discover\"\r\nST:\r\n\r\n",
                                "M-SEARCH * HTTP/1.1\r\n\r\nST: ssdp:all\r\nMAN: \"ssdp:discover\"\r\n"})
    EXPECT_FALSE(read_search(bad)) << bad;
  EXPECT_FALSE(read_search(search_for("a b")));
  EXPECT_FALSE(read_search(search_for(std::string("a\0b", 3))));
  EXPECT_FALSE(read_search(search_for(std::string(200, 'a'))));
  EXPECT_FALSE(read_search(search_for("ssdp:all") + std::string(2000, ' ')));
}

TEST(Ssdp, EveryTargetOfRealProgramsIsAnsweredInTwiceItsSize) {
  for (const std::string target :
       {"upnp:rootdevice", "urn:schemas-upnp-org:device:InternetGatewayDevice:1", "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
        "urn:schemas-upnp-org:service:WANIPConnection:1", "urn:schemas-upnp-org:service:WANIPConnection:2",
        "urn:schemas-upnp-org:service:WANIPv6FirewallControl:1", "urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1"}) {
    const auto search = search_for(target);
    const auto answers = search_answers(target, search.size(), identity, place);
    ASSERT_THAT(answers, SizeIs(1)) << target;
    EXPECT_LE(total(answers), 2 * search.size());
    EXPECT_THAT(answers[0], StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answers[0], HasSubstr("LOCATION:http://10.77.255.1:5351/upnp\r\n"));
    EXPECT_THAT(answers[0], HasSubstr("\r\nST:" + target + "\r\n"));
    EXPECT_THAT(answers[0], HasSubstr("::" + target + "\r\n\r\n"));
  }
}

TEST(Ssdp, EverythingIsAsMuchAsTheSearchPaysFor) {
  const auto search = search_for("ssdp:all");
  const auto answers = search_answers("ssdp:all", search.size(), identity, place);
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_LE(total(answers), 2 * search.size());
  for (const std::size_t size : {0U, 50U, 300U, 700U, 1024U}) {
    const auto more = search_answers("ssdp:all", size, identity, place);
    EXPECT_LE(total(more), 2 * size);
    EXPECT_LE(more.size(), AnswerPace::answers_max);
  }
  EXPECT_THAT(search_answers("ssdp:all", 1024, identity, place), SizeIs(AnswerPace::answers_max));
}

TEST(Ssdp, OthersAreNotUs) {
  for (const std::string target : {"urn:schemas-upnp-org:service:WANPPPConnection:1", "urn:schemas-upnp-org:device:MediaServer:1",
                                   "uuid:00000000-0000-0000-0000-000000000000", "urn:schemas-upnp-org:device:InternetGatewayDevice:3"})
    EXPECT_THAT(search_answers(target, 1000, identity, place), SizeIs(0)) << target;
  EXPECT_THAT(search_answers("uuid:" + uuid_of(identity, DeviceKind::wan), 1000, identity, place), SizeIs(1));
}

TEST(Ssdp, AnAddressOfIpv6IsALiteralInBrackets) {
  const auto answers = search_answers("upnp:rootdevice", 150, identity, {parse_address("fd77::1").value(), Port{5351}});
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_THAT(answers[0], HasSubstr("LOCATION:http://[fd77::1]:5351/upnp\r\n"));
}

TEST(AnswerPaceTest, FiveInAnySecondForEachClient) {
  AnswerPace pace;
  const auto ann = Address::v4(1);
  Time now{};
  int allowed = 0;
  std::vector<Time> times;
  for (int i = 0; i < 3000; ++i, now += 1ms)
    if (pace.allow(ann, now)) {
      ++allowed;
      times.push_back(now);
    }
  EXPECT_EQ(allowed, 15);
  for (std::size_t i = 5; i < times.size(); ++i) EXPECT_GE(times[i] - times[i - 5], 1s);
  EXPECT_TRUE(pace.allow(Address::v4(2), now));
}

TEST(AnswerPaceTest, RemembersALimitedNumberOfClients) {
  AnswerPace pace;
  for (std::uint32_t i = 0; i < AnswerPace::clients_max; ++i) ASSERT_TRUE(pace.allow(Address::v4(i), Time{}));
  EXPECT_FALSE(pace.allow(Address::v4(0xffffffff), Time{}));
  EXPECT_TRUE(pace.allow(Address::v4(0xffffffff), Time{} + 1s));
}

TEST(UpnpSearch, OnlyClientsAreAnsweredAndNotTooOften) {
  test::FakeMappings mappings;
  const auto ann = Address::v4(0x0a4d0002);
  mappings.clients[ann] = {};
  Server server(mappings, identity, nullptr);
  EXPECT_THAT(server.search(search_for("upnp:rootdevice"), Address::v4(0x0a4d0099), place, Time{}), SizeIs(0));
  std::size_t answers = 0;
  for (int i = 0; i < 100; ++i) answers += server.search(search_for("upnp:rootdevice"), ann, place, Time{}).size();
  EXPECT_EQ(answers, AnswerPace::answers_max);
  EXPECT_THAT(server.search(search_for("upnp:rootdevice"), ann, place, Time{} + 1s), SizeIs(1));
}

TEST(Description, UuidsAreValidDistinctAndLasting) {
  std::set<std::string> seen;
  for (const auto kind : {DeviceKind::gateway, DeviceKind::wan, DeviceKind::wan_connection}) {
    const auto uuid = uuid_of(identity, kind);
    EXPECT_THAT(uuid, testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
    EXPECT_TRUE(seen.insert(uuid).second);
    EXPECT_EQ(uuid, uuid_of(identity, kind));
  }
}

// Every argument of every action names a variable that is described, and every document is XML.
TEST(Description, DocumentsAreWholeAndAgree) {
  for (const auto version : {Version::v1, Version::v2}) {
    pugi::xml_document root;
    ASSERT_TRUE(root.load_string(device_description(identity, version).c_str()));
    std::set<std::string> types;
    for (const auto& node : root.select_nodes("//serviceType")) types.insert(node.node().child_value());
    EXPECT_TRUE(types.contains("urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1"));
    EXPECT_TRUE(types.contains(version == Version::v1 ? "urn:schemas-upnp-org:service:WANIPConnection:1"
                                                      : "urn:schemas-upnp-org:service:WANIPConnection:2"));
    EXPECT_EQ(types.contains("urn:schemas-upnp-org:service:WANIPv6FirewallControl:1"), version == Version::v2);
    for (const auto& service : services()) {
      pugi::xml_document scpd;
      ASSERT_TRUE(scpd.load_string(service_description(service, version).c_str())) << service.name;
      std::set<std::string> variables;
      for (const auto& node : scpd.select_nodes("//stateVariable/name")) variables.insert(node.node().child_value());
      for (const auto& node : scpd.select_nodes("//relatedStateVariable"))
        EXPECT_TRUE(variables.contains(node.node().child_value())) << node.node().child_value();
      EXPECT_EQ(scpd.select_nodes("//*[@sendEvents='yes']").size(), 0U);
    }
  }
  EXPECT_THAT(service_description(service_of(ServiceKind::wan_ip_connection), Version::v1), Not(HasSubstr("AddAnyPortMapping")));
  EXPECT_THAT(service_description(service_of(ServiceKind::wan_ip_connection), Version::v2), HasSubstr("AddAnyPortMapping"));
}

TEST(Description, EveryUrlInItIsServed) {
  test::FakeMappings mappings;
  const auto ann = Address::v4(0x0a4d0002);
  mappings.clients[ann] = {};
  Server server(mappings, identity, nullptr);
  for (const auto version : {Version::v1, Version::v2}) {
    pugi::xml_document root;
    ASSERT_TRUE(root.load_string(device_description(identity, version).c_str()));
    for (const auto& node : root.select_nodes("//SCPDURL")) {
      HttpRequest get{.method = "GET", .host = "10.77.0.1", .source = ann};
      const std::string url = node.node().child_value();
      for (std::size_t at = 0; at != std::string::npos; at = url.find('/', at + 1))
        get.path.push_back(url.substr(at + 1, url.find('/', at + 1) - at - 1));
      server.handle(get, Time{}, [&](const HttpResponse& response) { EXPECT_EQ(response.status, 200U) << url; });
    }
  }
}

TEST(Description, WindowsAndConsolesSeeTheFirstVersion) {
  EXPECT_EQ(version_for("Microsoft-Windows/10.0 UPnP/1.0"), Version::v1);
  EXPECT_EQ(version_for("Debian/bookworm/sid, UPnP/1.1, MiniUPnPc/2.2.4"), Version::v2);
  EXPECT_EQ(version_for(""), Version::v2);
}

}  // namespace
}  // namespace drpf::protocol::upnp
