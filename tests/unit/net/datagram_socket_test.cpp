#include "net/datagram_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/port_mapping_sockets.h"
#include "protocol/upnp/server.h"
#include "random_port.h"
#include "support/fake_mappings.h"

namespace drpf::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const Address loopback_v6 = *parse_address("::1");
Address local(std::uint32_t number) { return Address::v4(0x7f00'0000U + number); }

// A socket on the loopback interface that keeps what it hears.
struct Ear {
  Ear(EventLoop& on, Family family, Port wanted = random_port()) : loop(on), port(wanted) {
    auto opened = DatagramSocket::open(loop, family, port, "lo", [this](std::span<const Datagram> batch) {
      largest_batch = std::max(largest_batch, batch.size());
      for (const auto& one : batch) {
        heard.emplace_back(one.bytes.begin(), one.bytes.end());
        from.push_back(one.from);
        to.push_back(one.to);
      }
    });
    EXPECT_TRUE(opened) << opened.error().message;
    if (opened) socket = std::move(*opened);
  }
  void say(const Endpoint& whom, const Address& as, std::string_view text) const {
    socket->send(whom, as, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }
  bool hears(std::size_t times) {
    return loop.run_until([&] { return heard.size() >= times; }, 20s);
  }
  EventLoop& loop;
  Port port;
  std::unique_ptr<DatagramSocket> socket;
  std::vector<std::string> heard;
  std::vector<Endpoint> from;
  std::vector<Address> to;
  std::size_t largest_batch = 0;
};

TEST(DatagramSocket, KnowsWhoAskedWhichAddressAndAnswersFromIt) {
  EventLoop loop;
  Ear server(loop, Family::v4);
  Ear client(loop, Family::v4);
  client.say({local(0x0203), server.port}, local(0x0405), "question");
  ASSERT_TRUE(server.hears(1));
  EXPECT_THAT(server.heard, ElementsAre("question"));
  EXPECT_EQ(server.from[0], (Endpoint{local(0x0405), client.port}));
  EXPECT_EQ(server.to[0], local(0x0203));
  server.say(server.from[0], server.to[0], "answer");
  ASSERT_TRUE(client.hears(1));
  EXPECT_EQ(client.from[0], (Endpoint{local(0x0203), server.port}));
  EXPECT_EQ(server.socket->received(), 1U);
  EXPECT_EQ(server.socket->sent(), 1U);
}

TEST(DatagramSocket, CarriesIpv6BesideIpv4OnOnePort) {
  EventLoop loop;
  Ear v4(loop, Family::v4);
  Ear v6(loop, Family::v6, v4.port);
  Ear client(loop, Family::v6);
  client.say({loopback_v6, v6.port}, loopback_v6, "question");
  ASSERT_TRUE(v6.hears(1));
  EXPECT_EQ(v6.to[0], loopback_v6);
  EXPECT_EQ(v6.from[0], (Endpoint{loopback_v6, client.port}));
  EXPECT_THAT(v4.heard, IsEmpty());
}

TEST(DatagramSocket, TakesManyAtOnceWithinItsLimitAndCutsWhatIsTooLong) {
  EventLoop loop;
  Ear server(loop, Family::v4);
  Ear client(loop, Family::v4);
  for (std::size_t i = 0; i < DatagramSocket::batch_max + 3; ++i) client.say({local(1), server.port}, local(1), std::to_string(i));
  client.say({local(1), server.port}, local(1), std::string(DatagramSocket::datagram_size_max + 5, 'x'));
  ASSERT_TRUE(server.hears(DatagramSocket::batch_max + 4));
  EXPECT_EQ(server.largest_batch, DatagramSocket::batch_max);
  EXPECT_EQ(server.heard[DatagramSocket::batch_max + 2], std::to_string(DatagramSocket::batch_max + 2));
  EXPECT_THAT(server.heard.back(), SizeIs(DatagramSocket::datagram_size_max));
  EXPECT_EQ(server.socket->received(), DatagramSocket::batch_max + 4);
}

TEST(DatagramSocket, WhatCannotBeSentIsLostAndNotCounted) {
  EventLoop loop;
  const Ear client(loop, Family::v4);
  client.say({loopback_v6, Port{9}}, local(1), "to another family");
  EXPECT_EQ(client.socket->sent(), 0U);
}

TEST(DatagramSocket, SaysWhatItCouldNotOpen) {
  EventLoop loop;
  const auto nothing = [](std::span<const Datagram>) {};
  const auto elsewhere = DatagramSocket::open(loop, Family::v4, random_port(), "no-such-link", nothing);
  ASSERT_FALSE(elsewhere);
  EXPECT_THAT(elsewhere.error().message, HasSubstr("no-such-link: binding to the interface"));
  for (const auto family : {Family::v4, Family::v6}) {
    const Ear first(loop, family);
    const auto second = DatagramSocket::open(loop, family, first.port, "lo", nothing);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, "listen_failed");
    EXPECT_THAT(second.error().message, HasSubstr("UDP port " + to_string(first.port) + " of lo: binding to the port"));
  }
}

TEST(DatagramSocket, JoinsGroupsAndRefusesWhatIsNone) {
  EventLoop loop;
  const Ear v4(loop, Family::v4);
  const Ear v6(loop, Family::v6);
  EXPECT_TRUE(v4.socket->join(*parse_address("239.255.255.250")));
  EXPECT_TRUE(v6.socket->join(*parse_address("ff02::c")));
  const auto refused = v4.socket->join(local(1));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("joining the group 127.0.0.1"));
  EXPECT_FALSE(v6.socket->join(loopback_v6));
}

class PortMappingSocketsTest : public testing::Test {
 protected:
  PortMappingSocketsTest() {
    for (const auto& address : {local(0x0405), loopback_v6}) mappings_.clients[address] = {*parse_address("198.51.100.1"), {}, address, {}};
  }
  static std::string bytes(std::initializer_list<int> list) {
    std::string out;
    for (const int one : list) out += static_cast<char>(one);
    return out;
  }
  // NAT-PMP's question for the public address; PCP's announcement as an answer to itself needs a whole header.
  const std::string nat_pmp_ = bytes({0, 0});
  const std::string pcp_ = bytes({2, 0, 0, 0, 0, 0, 0, 0}) + std::string(10, '\0') + bytes({0xff, 0xff, 127, 0, 4, 5});

  EventLoop loop_;
  test::FakeMappings mappings_;
  Ear client_{loop_, Family::v4};
};

TEST_F(PortMappingSocketsTest, EachProtocolIsAnsweredFromTheAddressThatWasAsked) {
  PortMappingSockets sockets(mappings_);
  const auto port = random_port();
  ASSERT_TRUE(sockets.open(loop_, "lo", true, false, port));
  client_.say({local(0x0203), port}, local(0x0405), nat_pmp_);
  ASSERT_TRUE(client_.hears(1));
  EXPECT_EQ(client_.from[0], (Endpoint{local(0x0203), port}));
  EXPECT_EQ(client_.heard[0].substr(0, 4), bytes({0, 128, 0, 0}));
  client_.say({local(0x0203), port}, local(0x0405), pcp_);
  ASSERT_TRUE(client_.hears(2));
  EXPECT_EQ(client_.heard[1].substr(0, 4), bytes({2, 128, 0, 0}));
  client_.say({local(0x0203), port}, local(0x0405), "");
  client_.say({local(0x0203), port}, local(0x0405), nat_pmp_);
  ASSERT_TRUE(client_.hears(3));
  EXPECT_EQ(client_.heard[2][0], 0) << "an empty datagram is no question";
}

TEST_F(PortMappingSocketsTest, OnlyTheFamiliesThatAreAskedForAreServed) {
  PortMappingSockets sockets(mappings_);
  const auto port = random_port();
  ASSERT_TRUE(sockets.open(loop_, "lo", false, true, port));
  { const Ear free(loop_, Family::v4, port); }
  Ear client(loop_, Family::v6);
  client.say({loopback_v6, port}, loopback_v6, nat_pmp_);
  ASSERT_TRUE(client.hears(1));
  EXPECT_FALSE(PortMappingSockets(mappings_).open(loop_, "lo", false, true, port)) << "taken";
  sockets.close();
  EXPECT_TRUE(sockets.open(loop_, "lo", true, true, port)) << "and opened again";
  client_.say({local(1), port}, local(0x0405), nat_pmp_);
  EXPECT_TRUE(client_.hears(1));
}

TEST_F(PortMappingSocketsTest, WhoIsNotAdmittedIsNotHeard) {
  PortMappingSockets sockets(mappings_, {}, [](const Address& source) { return source == local(0x0405); });
  const auto port = random_port();
  ASSERT_TRUE(sockets.open(loop_, "lo", true, false, port));
  client_.say({local(1), port}, local(0x0406), nat_pmp_);
  client_.say({local(1), port}, local(0x0405), nat_pmp_);
  ASSERT_TRUE(client_.hears(1));
  loop_.run_for(20ms);
  EXPECT_THAT(client_.to, ElementsAre(local(0x0405)));
}

TEST_F(PortMappingSocketsTest, WhatComesTogetherIsHandedOnTogether) {
  int together = 0;
  PortMappingSockets sockets(mappings_, [&](const std::function<void()>& requests) {
    ++together;
    requests();
  });
  const auto port = random_port();
  ASSERT_TRUE(sockets.open(loop_, "lo", true, false, port));
  for (int i = 0; i < 3; ++i) client_.say({local(1), port}, local(0x0405), nat_pmp_);
  ASSERT_TRUE(client_.hears(3));
  EXPECT_EQ(together, 1);
}

TEST_F(PortMappingSocketsTest, AnAnswerThatComesAfterTheEndIsDropped) {
  PortMappingSockets sockets(mappings_);
  const auto port = random_port();
  ASSERT_TRUE(sockets.open(loop_, "lo", true, false, port));
  mappings_.answers_later = true;
  const auto map_tcp = bytes({0, 2, 0, 0, 0x1f, 0x90, 0, 0, 0, 0, 0x0e, 0x10});
  client_.say({local(1), port}, local(0x0405), map_tcp);
  ASSERT_TRUE(loop_.run_until([&] { return !mappings_.waiting.empty(); }, 20s));
  sockets.close();
  mappings_.answer_all();
  loop_.run_for(20ms);
  EXPECT_THAT(client_.heard, IsEmpty());
}

class UpnpSocketsTest : public PortMappingSocketsTest {
 protected:
  protocol::upnp::Server server_{mappings_, protocol::upnp::Identity{1, 2, 3}, [](const Address&) { return protocol::upnp::Link{}; }};
  Time now_{1000s};
  UpnpSockets sockets_{server_, [this] { return now_; }, Port{8081}, [](const Address&) { return local(0x0909); }};
  const std::string search_ =
      "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nST: upnp:rootdevice\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\r\n";
};

TEST_F(UpnpSocketsTest, ASearchIsAnsweredWithTheAddressThatWasAsked) {
  const auto port = random_port();
  ASSERT_TRUE(sockets_.open(loop_, "lo", true, false, port));
  client_.say({local(0x0203), port}, local(0x0405), search_);
  ASSERT_TRUE(client_.hears(1));
  EXPECT_THAT(client_.heard[0], HasSubstr("http://127.0.2.3:8081/upnp\r\n"));
  EXPECT_EQ(client_.from[0], (Endpoint{local(0x0203), port}));
}

TEST_F(UpnpSocketsTest, BothFamiliesListenAndEnd) {
  const auto port = random_port();
  ASSERT_TRUE(sockets_.open(loop_, "lo", true, true, port));
  Ear client(loop_, Family::v6);
  client.say({loopback_v6, port}, loopback_v6, search_);
  ASSERT_TRUE(client.hears(1));
  EXPECT_THAT(client.heard[0], HasSubstr("http://[::1]:8081/upnp\r\n"));
  sockets_.close();
  const Ear v4(loop_, Family::v4, port);
  const Ear v6(loop_, Family::v6, port);
  EXPECT_FALSE(sockets_.open(loop_, "lo", true, false, port)) << "taken";
}

TEST_F(UpnpSocketsTest, OnlyItsOwnPathsAreForIt) {
  Request request;
  EXPECT_FALSE(UpnpSockets::is_for(request));
  request.path = {"v1", "upnp"};
  EXPECT_FALSE(UpnpSockets::is_for(request));
  request.path = {"upnp", "root.xml"};
  EXPECT_TRUE(UpnpSockets::is_for(request));
}

TEST_F(UpnpSocketsTest, AnHttpRequestReachesTheServerWhole) {
  Request request;
  request.method = "POST";
  request.path = {"upnp", "control", "connection"};
  request.host = "127.0.0.1:8081";
  request.soap_action = "\"urn:schemas-upnp-org:service:WANIPConnection:2#GetExternalIPAddress\"";
  request.body =
      "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><u:GetExternalIPAddress "
      "xmlns:u=\"urn:schemas-upnp-org:service:WANIPConnection:2\"></u:GetExternalIPAddress></s:Body></s:Envelope>";
  request.peer = Endpoint{local(0x0405), Port{9}};
  std::optional<Response> answer;
  sockets_.handle(request, [&](Response response) { answer = std::move(response); });
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200U) << answer->body;
  EXPECT_EQ(answer->content_type, "text/xml; charset=\"utf-8\"");
  EXPECT_THAT(answer->body, HasSubstr("198.51.100.1"));
  request.origin = "http://evil.example";
  sockets_.handle(request, [&](Response response) { answer = std::move(response); });
  EXPECT_NE(answer->status, 200U) << "a browser that another site has sent";
  request.origin.clear();
  request.peer.reset();
  sockets_.handle(request, [&](Response response) { answer = std::move(response); });
  EXPECT_NE(answer->status, 200U) << "nobody";
}

}  // namespace
}  // namespace drpf::net
