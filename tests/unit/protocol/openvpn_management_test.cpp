#include "protocol/openvpn/management.h"

#include <gtest/gtest.h>

namespace drpf::protocol::openvpn {
namespace {

constexpr std::string_view life =
    ">INFO:OpenVPN Management Interface Version 5\r\n>HOLD:Waiting for hold release:0\r\n"
    ">CLIENT:CONNECT,7,1\r\n>CLIENT:ENV,common_name=device-2\r\n>CLIENT:ENV,tls_digest_sha256_0=00:ff\r\n>CLIENT:ENV,END\r\n"
    ">CLIENT:ADDRESS,7,10.77.0.2,1\r\n"
    ">CLIENT:ESTABLISHED,7\r\n>CLIENT:ENV,trusted_ip=198.51.100.7\r\n>CLIENT:ENV,trusted_port=40000\r\n>CLIENT:ENV,END\r\n"
    ">CLIENT:REAUTH,7,2\r\n>CLIENT:ENV,END\r\n>CLIENT:DISCONNECT,7\r\n>CLIENT:ENV,END\r\n";

TEST(OpenVpnManagement, TheLifeOfAClientInWhateverPartsItComes) {
  for (const std::size_t part : {1U, 3U, 4096U}) {
    ManagementReader reader;
    std::vector<ManagementEvent> events;
    for (std::size_t at = 0; at < life.size(); at += part)
      for (auto& event : reader.read(life.substr(at, part))) events.push_back(std::move(event));
    ASSERT_EQ(events.size(), 5U);
    EXPECT_TRUE(std::holds_alternative<Holding>(events[0]));
    const auto& asks = std::get<ClientAsks>(events[1]);
    EXPECT_EQ(asks.client, ClientId{7});
    EXPECT_EQ(asks.key, KeyId{1});
    EXPECT_FALSE(asks.again);
    EXPECT_EQ(asks.environment.at("tls_digest_sha256_0"), "00:ff");
    const auto& established = std::get<ClientEstablished>(events[2]);
    EXPECT_EQ(endpoint_of(established.environment), *parse_endpoint("198.51.100.7:40000"));
    EXPECT_TRUE(std::get<ClientAsks>(events[3]).again);
    EXPECT_EQ(std::get<ClientGone>(events[4]).client, ClientId{7});
    EXPECT_EQ(reader.ignored(), 0U);
  }
}

TEST(OpenVpnManagement, AStatusSaysWhereClientsAre) {
  ManagementReader reader;
  const auto events = reader.read(
      "HEADER\tCLIENT_LIST\tCommon Name\n"
      "CLIENT_LIST\tdevice-2\t198.51.100.7:40000\t10.77.0.2\tfd77::2\t100\t200\tnow\t1\tUNDEF\t3\t0\tAES-256-GCM\n"
      "CLIENT_LIST\tdevice-3\t[2001:db8::7]:41000\t10.77.0.3\t\t1\t2\tnow\t1\tUNDEF\t4\t1\tAES-256-GCM\n"
      "CLIENT_LIST\tdevice-4\t::ffff:198.51.100.8:42000\t10.77.0.4\t\t1\t2\tnow\t1\tUNDEF\t5\t2\tAES-256-GCM\nEND\n");
  ASSERT_EQ(events.size(), 3U);
  const auto& first = std::get<ClientSeen>(events[0]);
  EXPECT_EQ(first.client, ClientId{3});
  EXPECT_EQ(first.endpoint, *parse_endpoint("198.51.100.7:40000"));
  EXPECT_EQ(first.bytes_received, 100U);
  EXPECT_EQ(first.bytes_sent, 200U);
  EXPECT_EQ(std::get<ClientSeen>(events[1]).endpoint, *parse_endpoint("[2001:db8::7]:41000"));
  EXPECT_EQ(std::get<ClientSeen>(events[2]).endpoint, *parse_endpoint("198.51.100.8:42000"));
}

TEST(OpenVpnManagement, WhatIsNotUnderstoodIsLeftOutAndCounted) {
  ManagementReader reader;
  EXPECT_TRUE(reader.read(">CLIENT:CONNECT,x,1\n>CLIENT:ENV,a=b\n>CLIENT:ENV,END\nnonsense\n>CLIENT:CONNECT,1\n>CLIENT:OTHER,1\n").empty());
  EXPECT_EQ(reader.ignored(), 5U);
  EXPECT_FALSE(reader.broken());
}

// A client cannot take the place of what the daemon itself says.
TEST(OpenVpnManagement, OfTwoVariablesOfOneNameTheFirstStands) {
  ManagementReader reader;
  const auto events = reader.read(">CLIENT:CONNECT,1,1\n>CLIENT:ENV,a=daemon\n>CLIENT:ENV,a=client\n>CLIENT:ENV,END\n");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::get<ClientAsks>(events[0]).environment.at("a"), "daemon");
}

TEST(OpenVpnManagement, NothingGrowsWithoutEnd) {
  ManagementReader reader;
  EXPECT_TRUE(reader.read(std::string(ManagementReader::line_max + 1, 'x')).empty());
  EXPECT_TRUE(reader.broken());
  ManagementReader many;
  std::string text = ">CLIENT:CONNECT,1,1\n";
  for (int i = 0; i < 2000; ++i) text += ">CLIENT:ENV,v" + std::to_string(i) + "=x\n";
  const auto events = many.read(text + ">CLIENT:ENV,END\n");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(std::get<ClientAsks>(events[0]).environment.size(), ManagementReader::variables_max);
}

TEST(OpenVpnManagement, Commands) {
  EXPECT_EQ(accept_client(ClientId{3}, KeyId{1}, {"ifconfig-push 10.77.0.2 255.255.0.0"}),
            "client-auth 3 1\nifconfig-push 10.77.0.2 255.255.0.0\nEND\n");
  EXPECT_EQ(accept_key(ClientId{3}, KeyId{2}), "client-auth-nt 3 2\n");
  EXPECT_EQ(deny_client(ClientId{3}, KeyId{2}, "why", "told"), "client-deny 3 2 \"why\" \"told\"\n");
  EXPECT_EQ(kill_client(ClientId{3}, AfterKill::stays_away), "client-kill 3 HALT\n");
  EXPECT_EQ(kill_client(ClientId{3}, AfterKill::comes_back), "client-kill 3 RESTART\n");
}

}  // namespace
}  // namespace drpf::protocol::openvpn
