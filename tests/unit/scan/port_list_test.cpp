// Port lists as people write them.
#include "scan/port_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::scan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const ServiceNames names{[](std::string_view name, Protocol protocol) -> std::vector<Port> {
                           if (name == "ssh" && protocol == Protocol::tcp) return {Port{22}};
                           if (name == "domain") return {Port{53}};
                           if (name == "http-alt" && protocol == Protocol::tcp) return {Port{591}, Port{8008}, Port{8080}};
                           return {};
                         },
                         [](std::string_view) { return std::vector<std::string>{"ssh", "shell"}; },
                         [](Port port, Protocol protocol) -> std::vector<std::string_view> {
                           if (port.value() == 22 && protocol == Protocol::tcp) return {"ssh"};
                           if (port.value() == 53) return {"domain", "dns"};
                           if (port.value() == 8080 && protocol == Protocol::tcp) return {"webcache", "http-alt"};
                           return {};
                         }};

PortList parsed(std::string_view text) {
  const auto list = parse_port_list(text, names);
  EXPECT_TRUE(list) << text << ": " << (list ? "" : list.error().message);
  return list.value_or(PortList{});
}

Error refused(std::string_view text) {
  const auto list = parse_port_list(text, names);
  EXPECT_FALSE(list) << text;
  return list ? Error{} : list.error();
}

TEST(PortLists, AreNumbersRangesAndNames) {
  EXPECT_THAT(parsed("80,22,80").tcp, ElementsAre(22, 80));
  EXPECT_THAT(parsed("8000-8002, 22").tcp, ElementsAre(22, 8000, 8001, 8002));
  EXPECT_THAT(parsed("ssh,DOMAIN").tcp, ElementsAre(22, 53));
  EXPECT_THAT(parsed("ssh,domain").udp, ElementsAre(53));
  EXPECT_THAT(parsed("http-alt").tcp, ElementsAre(591, 8008, 8080));
  EXPECT_THAT(parsed("0").tcp, ElementsAre(0));
  EXPECT_EQ(parsed("-").tcp.size(), 65'535U);
  EXPECT_EQ(parsed("0-65535").tcp.size(), 65'536U);
  EXPECT_EQ(parsed("-100").tcp.size(), 100U);
  EXPECT_THAT(parsed("65534-").tcp, ElementsAre(65534, 65535));
}

TEST(PortLists, HoldAProtocolUntilTheNextOne) {
  const auto list = parsed("T:22,80,U:53,161,T:443");
  EXPECT_THAT(list.tcp, ElementsAre(22, 80, 443));
  EXPECT_THAT(list.udp, ElementsAre(53, 161));
  EXPECT_TRUE(list.names_tcp && list.names_udp);
  const auto plain = parsed("22,U:53");
  EXPECT_THAT(plain.tcp, ElementsAre(22));
  EXPECT_THAT(plain.udp, ElementsAre(22, 53));
  EXPECT_FALSE(plain.names_tcp);
}

TEST(PortLists, NameTheProtocolOfOneItem) {
  const auto list = parsed("80/tcp,53/UDP,1000-1002/udp,22");
  EXPECT_THAT(list.tcp, ElementsAre(22, 80));
  EXPECT_THAT(list.udp, ElementsAre(22, 53, 1000, 1001, 1002));
  EXPECT_TRUE(list.names_tcp && list.names_udp);
  EXPECT_THAT(parsed("domain/udp").tcp, IsEmpty());
  EXPECT_THAT(refused("80/sctp").message, HasSubstr("no protocol"));
}

TEST(PortLists, TakePatternsAndThePortsOfARangeThatHaveAName) {
  EXPECT_THAT(parsed("http*").tcp, ElementsAre(8080));
  EXPECT_THAT(parsed("D*").tcp, ElementsAre(53));
  EXPECT_THAT(parsed("?ns").udp, ElementsAre(53));
  EXPECT_THAT(parsed("*/tcp").tcp, ElementsAre(22, 53, 8080));
  EXPECT_THAT(parsed("[1-1024]").tcp, ElementsAre(22, 53));
  EXPECT_THAT(parsed("U:[-]").udp, ElementsAre(53));
  EXPECT_THAT(refused("xyz*").message, HasSubstr("no service is known for 'xyz*'"));
  EXPECT_FALSE(refused("[100-200]").message.empty());
}

TEST(PortLists, ThatMakeNoSenseAreRefusedWithTheCure) {
  EXPECT_THAT(refused("65536").message, HasSubstr("there is no port 65536"));
  EXPECT_THAT(refused("65536").cure, HasSubstr("65535 is the last"));
  EXPECT_THAT(refused("99999999999999999999999").message, HasSubstr("there is no port"));
  EXPECT_THAT(refused("90-80").message, HasSubstr("runs backwards"));
  EXPECT_THAT(refused("90-80").cure, HasSubstr("80-90"));
  EXPECT_THAT(refused("22,,80").message, HasSubstr("empty place"));
  EXPECT_THAT(refused("").message, HasSubstr("empty place"));
  EXPECT_THAT(refused("shh").message, HasSubstr("no service is called 'shh'"));
  EXPECT_THAT(refused("shh").cure, HasSubstr("nearest: ssh, shell"));
  EXPECT_THAT(refused("S:9").message, HasSubstr("no known protocol"));
  EXPECT_THAT(refused("+80").message, HasSubstr("is no port"));
  EXPECT_THAT(refused("1-2-3").message, HasSubstr("is no port"));
}

TEST(ProtocolLists, HaveNumbersOfEightBitsAndNames) {
  EXPECT_THAT(*parse_protocol_list("gre,1,TCP"), ElementsAre(1, 6, 47));
  EXPECT_EQ(parse_protocol_list("-")->size(), 256U);
  EXPECT_THAT(parse_protocol_list("256").error().message, HasSubstr("there is no IP protocol 256"));
  EXPECT_FALSE(parse_protocol_list("nonsense"));
  EXPECT_EQ(ip_protocol_name(50), "esp");
  EXPECT_EQ(ip_protocol_name(200), "");
}

TEST(PortLists, AreWrittenAsRanges) {
  EXPECT_EQ(as_ranges({}), "");
  EXPECT_EQ(as_ranges({22, 80, 81, 82, 443}), "22,80-82,443");
  EXPECT_EQ(as_ranges(parsed("0-65535").tcp), "0-65535");
  EXPECT_THAT(parsed(as_ranges({1, 2, 3, 9, 65535})).tcp, ElementsAre(1, 2, 3, 9, 65535));
}

}  // namespace
}  // namespace drpf::scan
