#include "client/ports/published_ports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

PublishedPort port(const char* address, Protocol protocol, std::uint16_t public_port, std::uint16_t local_port) {
  return {*parse_address(address), protocol, Port{public_port}, Port{local_port}};
}

std::string lease(int public_port, const char* protocol, const char* more = "", const char* address = "198.51.100.1") {
  return std::string(R"({"account":"alice","device":"home","protocol":")") + protocol + R"(","public_address":")" + address +
         R"(","public_port":)" + std::to_string(public_port) + R"(,"local_address":"10.77.0.2","local_port":)" +
         std::to_string(public_port) + more + "}";
}
std::string report(const std::string& leases) { return R"({"account":"alice","device":"home","leases":[)" + leases + "]}"; }

std::vector<std::string> lines(const std::vector<PublishedPort>& ports) {
  std::vector<std::string> out;
  for (const auto& span : spans(ports)) out.push_back(to_string(span));
  return out;
}

TEST(PublishedPorts, ReadsTheGatewaysReport) {
  const auto read = parse_report(report(lease(20001, "udp") + "," + lease(20000, "tcp") + "," + lease(20000, "tcp")));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->account, "alice");
  EXPECT_EQ(read->device, "home");
  EXPECT_THAT(read->ports,
              ElementsAre(port("198.51.100.1", Protocol::tcp, 20000, 20000), port("198.51.100.1", Protocol::udp, 20001, 20001)));
}

TEST(PublishedPorts, LeavesOutWhatCannotBeReached) {
  const auto read = parse_report(report(lease(20000, "tcp", R"(,"state":"active")") + "," + lease(20001, "tcp", R"(,"state":"held")") +
                                        "," + lease(20002, "tcp", "", "")));
  ASSERT_TRUE(read);
  EXPECT_EQ(public_numbers(read->ports), std::vector<Port>{Port{20000}});
}

TEST(PublishedPorts, RefusesWhatIsNoReport) {
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string("{"), std::string(R"({"leases":{}})"), std::string(R"({"leases":[1]})"),
        report(lease(0, "tcp")), report(lease(70000, "tcp")), report(lease(20000, "sctp")), report(lease(20000, "tcp", "", "example.net")),
        std::string(R"({"account":7,"leases":[]})"), std::string(R"({"account":"a\u001b[2J","leases":[]})"),
        std::string(R"({"leases":[{"protocol":"tcp"}]})")}) {
    const auto read = parse_report(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_THAT(read.error().message, HasSubstr("not understood"));
  }
}

TEST(PublishedPorts, CollapsesNeighboursOfBothProtocols) {
  std::vector<PublishedPort> ports;
  for (std::uint16_t n = 20000; n < 20005; ++n) {
    ports.push_back(port("198.51.100.1", Protocol::tcp, n, n));
    ports.push_back(port("198.51.100.1", Protocol::udp, n, n));
  }
  EXPECT_THAT(lines(ports), ElementsAre("public 198.51.100.1:20000-20004 -> this machine:20000-20004 (tcp+udp)"));
}

TEST(PublishedPorts, KeepsApartWhatDiffers) {
  EXPECT_THAT(lines({port("198.51.100.1", Protocol::tcp, 20000, 110), port("198.51.100.1", Protocol::tcp, 20001, 20001),
                     port("198.51.100.1", Protocol::udp, 20002, 20002), port("198.51.100.2", Protocol::udp, 20003, 20003),
                     port("2001:db8::1", Protocol::tcp, 20000, 20000)}),
              ElementsAre("public 198.51.100.1:20000 -> this machine:110 (tcp)", "public 198.51.100.1:20001 -> this machine:20001 (tcp)",
                          "public 198.51.100.1:20002 -> this machine:20002 (udp)", "public 198.51.100.2:20003 -> this machine:20003 (udp)",
                          "public [2001:db8::1]:20000 -> this machine:20000 (tcp)"));
}

TEST(PublishedPorts, NeverWrapsAtTheLastPort) {
  EXPECT_THAT(lines({port("198.51.100.1", Protocol::tcp, 65535, 65535)}),
              ElementsAre("public 198.51.100.1:65535 -> this machine:65535 (tcp)"));
}

TEST(PublishedPorts, ListsNumbersOnce) {
  const std::vector<PublishedPort> ports{port("198.51.100.1", Protocol::udp, 20001, 1), port("198.51.100.1", Protocol::tcp, 20001, 1),
                                         port("2001:db8::1", Protocol::tcp, 20000, 1)};
  EXPECT_EQ(comma_separated(public_numbers(ports)), "20000,20001");
  EXPECT_EQ(ports_file_text(public_numbers(ports)), "20000\n20001\n");
  EXPECT_EQ(ports_file_text({}), "");
  EXPECT_EQ(first_public_address(ports), "198.51.100.1");
  EXPECT_EQ(first_public_address({}), "");
}

TEST(PublishedPorts, TellsWhatChanged) {
  const auto one = port("198.51.100.1", Protocol::tcp, 1, 1);
  const auto two = port("198.51.100.1", Protocol::tcp, 2, 2);
  const auto three = port("198.51.100.1", Protocol::tcp, 3, 3);
  const auto change = difference({one, two}, {two, three});
  EXPECT_THAT(change.added, ElementsAre(three));
  EXPECT_THAT(change.removed, ElementsAre(one));
}

}  // namespace
}  // namespace drpf::client
