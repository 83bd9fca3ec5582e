#include "client/connect/gateway_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <future>

#include "made_up_gateway.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::client {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const std::string no_ports = R"({"account":"alice","device":"laptop","connected":true,"leases":[]})";

std::string with_port(int port) {
  return R"({"account":"alice","device":"laptop","connected":true,"leases":[{"host":"main","protocol":"tcp","public_address":"198.51.100.1","public_port":)" +
         std::to_string(port) + R"(,"local_port":80,"state":"active","kind":"automatic"}]})";
}

class GatewayWatchTest : public testing::Test {
 protected:
  void watch() {
    GatewayWatch::Listener listener;
    listener.report = [this](Report report) { reports.push_back(std::move(report)); };
    listener.lost = [this](const Error& error) { losses.push_back(error.code); };
    watch_ = std::make_unique<GatewayWatch>(loop, gateway.door(), std::move(listener));
  }
  void watch_and_open() {
    watch();
    ASSERT_TRUE(gateway.is_streaming(1));
  }
  bool is_reported(std::size_t times) {
    return gateway.becomes([&] { return reports.size() >= times; });
  }
  bool is_lost(std::size_t times) {
    return gateway.becomes([&] { return losses.size() >= times; });
  }
  bool is_opened(std::size_t times) {
    return gateway.becomes([&] { return gateway.streams >= times; });
  }

  net::EventLoop loop;
  MadeUpGateway gateway{loop};
  std::vector<Report> reports;
  std::vector<std::string> losses;
  std::unique_ptr<GatewayWatch> watch_;
};

TEST_F(GatewayWatchTest, ALineWithTheWholeListSparesTheQuestion) {
  watch_and_open();
  gateway.sink->write(with_port(20000));
  ASSERT_TRUE(is_reported(1));
  EXPECT_THAT(reports[0].ports, SizeIs(1));
  EXPECT_EQ(reports[0].device, "laptop");
  EXPECT_THAT(gateway.asked, IsEmpty());
  EXPECT_EQ(gateway.asker->address, gateway.door().own);
}

TEST_F(GatewayWatchTest, ALineThatOnlySaysWhatHappenedIsAskedAbout) {
  watch_and_open();
  gateway.answers(200, with_port(20000));
  gateway.sink->write(R"({"event":"leases"})");
  ASSERT_TRUE(is_reported(1));
  EXPECT_THAT(gateway.asked, ElementsAre("GET /v1/self"));
  EXPECT_THAT(reports[0].ports, SizeIs(1));
  gateway.answers(200, no_ports);
  gateway.sink->write(R"({"event":"leases"})");
  ASSERT_TRUE(is_reported(2));
  EXPECT_THAT(reports[1].ports, IsEmpty());
}

TEST_F(GatewayWatchTest, ChangesBehindAQuestionAreAskedAboutOnceMore) {
  watch_and_open();
  gateway.silent = true;
  gateway.sink->write(R"({"event":"leases"})");
  ASSERT_TRUE(gateway.is_asked(1));
  gateway.sink->write(R"({"event":"leases"})");
  gateway.sink->write(R"({"event":"leases"})");
  gateway.let_pass(100ms);
  EXPECT_THAT(gateway.asked, SizeIs(1)) << "one at a time";
  gateway.answers(200, no_ports);
  gateway.answers(200, with_port(20000));
  gateway.speak();
  ASSERT_TRUE(is_reported(2));
  EXPECT_THAT(reports[1].ports, SizeIs(1));
  gateway.let_pass(100ms);
  EXPECT_THAT(gateway.asked, SizeIs(2));
}

TEST_F(GatewayWatchTest, WhatALineCarriesIsNewerThanAnAnswerThatIsStillOut) {
  watch_and_open();
  gateway.silent = true;
  gateway.sink->write(R"({"event":"leases"})");
  ASSERT_TRUE(gateway.is_asked(1));
  gateway.sink->write(R"({"event":"leases"})");
  gateway.sink->write(with_port(20000));
  ASSERT_TRUE(is_reported(1));
  gateway.answers(200, no_ports);
  gateway.speak();
  gateway.let_pass(200ms);
  EXPECT_THAT(reports, SizeIs(1));
  EXPECT_THAT(gateway.asked, SizeIs(1)) << "the list answers the change behind the question too";
}

TEST_F(GatewayWatchTest, AStreamThatEndsIsToldOfOnceAndOpenedAgain) {
  watch_and_open();
  gateway.sink->write(no_ports);
  ASSERT_TRUE(is_reported(1));
  gateway.stream_status = 500;
  gateway.sink->close();
  ASSERT_TRUE(is_opened(2)) << "it goes on trying";
  EXPECT_THAT(losses, ElementsAre("stream_ended"));
  gateway.stream_status = 200;
  ASSERT_TRUE(gateway.is_streaming(2));
  gateway.sink->write(no_ports);
  ASSERT_TRUE(is_reported(2));
  gateway.sink->close();
  ASSERT_TRUE(is_lost(2)) << "a new loss";
}

TEST_F(GatewayWatchTest, AGatewayThatRefusesOrIsNotThereIsALoss) {
  gateway.stream_status = 403;
  watch();
  ASSERT_TRUE(is_lost(1));
  EXPECT_EQ(losses[0], "gateway_refused");
  watch_.reset();
  losses.clear();
  gateway.close();
  watch();
  ASSERT_TRUE(is_lost(1));
  EXPECT_EQ(losses[0], "gateway_unreachable");
  gateway.stream_status = 200;
  gateway.open();
  ASSERT_TRUE(gateway.is_streaming(1)) << "it comes back by itself";
}

TEST_F(GatewayWatchTest, AnAnswerThatIsNoneIsALoss) {
  watch_and_open();
  gateway.answers(404, "{}");
  gateway.sink->write(R"({"event":"leases"})");
  ASSERT_TRUE(is_lost(1));
  EXPECT_EQ(losses[0], "gateway_refused");
  ASSERT_TRUE(gateway.is_streaming(2));
  gateway.sink->write(no_ports);
  ASSERT_TRUE(is_reported(1));
  gateway.sink->write(R"({"leases":"none"})");
  ASSERT_TRUE(is_lost(2));
  EXPECT_EQ(losses[1], "bad_report");
}

TEST_F(GatewayWatchTest, AStreamThatMayBeDeadIsOpenedAgain) {
  watch_and_open();
  gateway.sink->write(no_ports);
  ASSERT_TRUE(is_reported(1));
  gateway.let_pass(20ms);
  watch_->restart();
  ASSERT_TRUE(is_opened(2));
  EXPECT_THAT(losses, ElementsAre("stream_ended"));
}

TEST_F(GatewayWatchTest, AGoodByeIsHeardOrNot) {
  const auto goodbye = [&] {
    auto said = std::async(std::launch::async, [door = gateway.door()] { return say_goodbye(door); });
    while (said.wait_for(0s) != std::future_status::ready) loop.run_for(10ms);
    return said.get();
  };
  EXPECT_TRUE(goodbye());
  EXPECT_THAT(gateway.asked, ElementsAre("POST /v1/self/disconnect {}"));
  gateway.answers(300, "{}");
  EXPECT_EQ(goodbye().error().code, "gateway_refused");
  gateway.close();
  EXPECT_EQ(goodbye().error().code, "gateway_unreachable");
}

TEST_F(GatewayWatchTest, ASignOfLifeIsAnEmptyDatagramFromTheDevicesAddress) {
  const auto door = gateway.door();
  const system::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto at = system::to_socket_address(Endpoint{door.gateway, Port{gateway_api_port}});
  ASSERT_EQ(::bind(socket.get(), at.get(), at.size), 0);
  const timeval patience{20, 0};
  ASSERT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  send_sign_of_life(door);
  std::array<char, 16> bytes{};
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  EXPECT_EQ(::recvfrom(socket.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&from), &size), 0);
  EXPECT_EQ(system::from_socket_address(reinterpret_cast<const sockaddr*>(&from), size)->address, door.own);
  auto elsewhere = door;
  elsewhere.interface = "no-such-link";
  send_sign_of_life(elsewhere);
  EXPECT_LT(::recv(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT), 0) << "by the tunnel and by nothing else";
}

}  // namespace
}  // namespace drpf::client
