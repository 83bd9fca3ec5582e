#include "firewall/host/host_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "firewall/host/service_names.h"

namespace drpf::firewall {
namespace {

const ServiceNames& known_names() {
  static const ServiceNames names;
  return names;
}

std::string read_and_written(std::string_view line) {
  const auto rule = parse_host_rule(line, known_names());
  return rule ? to_string(*rule) : "error: " + rule.error().message;
}

TEST(HostRule, IsWrittenAsItIsRead) {
  EXPECT_EQ(read_and_written("allow ssh,80/tcp from 192.168.0.0/16"), "allow in ssh,80/tcp from 192.168.0.0/16");
  EXPECT_EQ(read_and_written("limit ssh"), "limit in ssh");
  EXPECT_EQ(read_and_written("deny out smtp"), "deny out smtp");
  EXPECT_EQ(read_and_written("allow in on home leased"), "allow in on home leased");
  EXPECT_EQ(read_and_written("ALLOW in on wg* 6881:6889/udp to fd00::1 comment torrents at home"),
            "allow in on wg* 6881:6889/udp to fd00::1/128 comment \"torrents at home\"");
  EXPECT_EQ(read_and_written("reject from 10.1.2.3,fd00::/8"), "reject in any from 10.1.2.3/32,fd00::/8");
  EXPECT_EQ(read_and_written("allow any from any on eth0"), "allow in on eth0 any");
  EXPECT_EQ(read_and_written("allow 22 comment \"two  blanks\""), "allow in 22 comment \"two  blanks\"");
}

TEST(HostRule, NamesStandForTheirPorts) {
  const auto ports = [](std::string_view line) {
    std::string text;
    const auto rule = parse_host_rule(line, known_names());
    if (!rule) return rule.error().message;
    for (const auto& one : rule->ports) text += (text.empty() ? "" : " ") + to_string(one);
    return text;
  };
  EXPECT_EQ(ports("allow ssh"), "22/tcp");
  EXPECT_EQ(ports("allow 53"), "53/tcp 53/udp");
  EXPECT_EQ(ports("allow https/tcp"), "443/tcp");
  EXPECT_EQ(ports("allow netmeeting"), "389/tcp 522/tcp 1503/tcp 1720/tcp 1731/tcp");
  EXPECT_EQ(ports("allow minecraft/udp"), "19132-19133/udp");
  EXPECT_EQ(ports("allow 6881:6889/udp,6890/udp,7000-7001/udp"), "6881-6890/udp 7000-7001/udp");
}

TEST(HostRule, WhatIsWrongIsRefusedWithWhatItMayHaveMeant) {
  const auto error = [](std::string_view line) {
    const auto rule = parse_host_rule(line, known_names());
    return rule ? std::string("taken: ") + to_string(*rule) : rule.error().message + " | " + rule.error().cure;
  };
  EXPECT_THAT(error("allow shs"), testing::HasSubstr("did you mean ssh"));
  EXPECT_THAT(error("allow 80800"), testing::HasSubstr("is no port number"));
  EXPECT_THAT(error("allow 0/tcp"), testing::HasSubstr("port 0"));
  EXPECT_THAT(error("allow ssh from 192.168.0.0/33"), testing::HasSubstr("192.168.0.0/33"));
  EXPECT_THAT(error("allow ssh from"), testing::HasSubstr("without an address"));
  EXPECT_THAT(error("allow ssh from 10.0.0.0/8 from 11.0.0.0/8"), testing::HasSubstr("twice"));
  EXPECT_THAT(error("allow ssh from 10.0.0.0/8 to fd00::/8"), testing::HasSubstr("IPv4"));
  EXPECT_THAT(error("allow ssh http"), testing::HasSubstr("'http' is not understood"));
  EXPECT_THAT(error("allow"), testing::HasSubstr("what?"));
  EXPECT_THAT(error("open ssh"), testing::HasSubstr("'open'"));
  EXPECT_THAT(error("limit out ssh"), testing::HasSubstr("limit"));
  EXPECT_THAT(error("limit from 10.0.0.0/8"), testing::HasSubstr("limit"));
  EXPECT_THAT(error("deny out leased"), testing::HasSubstr("leased"));
  EXPECT_THAT(error("allow on a/b ssh"), testing::HasSubstr("no name of an interface"));
  EXPECT_THAT(error("allow ssh comment \"a"), testing::HasSubstr("not closed"));
  EXPECT_THAT(error("allow ssh/sctp"), testing::HasSubstr("sctp"));
  EXPECT_THAT(error("allow ssh comment a\\b"), testing::HasSubstr("control characters"));
}

TEST(Profiles, AreReadFromFiles) {
  auto profiles = parse_profiles("# mine\nmyapp 8000/tcp,9000:9010/udp # at work\n\nother 53\n");
  ASSERT_TRUE(profiles) << profiles.error().message;
  ASSERT_EQ(profiles->size(), 2u);
  EXPECT_EQ(profiles->front().purpose, "at work");
  const ServiceNames names({}, *profiles);
  const auto ports = names.ports_of("MyApp/udp");
  ASSERT_TRUE(ports);
  EXPECT_THAT(*ports, testing::ElementsAre(ServicePorts{Protocol::udp, PortRange(Port{9000}, Port{9010})}));
  for (const auto* wrong : {"myapp", "a 1/tcp\na 2/tcp", "80 80/tcp", "a ssh", "a 1/tcp,,2/tcp", "a,b 1/tcp", "a 0"})
    EXPECT_FALSE(parse_profiles(wrong)) << wrong;
}

}  // namespace
}  // namespace drpf::firewall
