#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/encoding.h"
#include "lab/demo/actors.h"
#include "lab/demo/picture.h"
#include "lab/demo/report.h"
#include "lab/stage/admin.h"
#include "lab/stage/sockets.h"
#include "lab/stage/wording.h"

namespace drpf::lab::demo {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(DemoReport, HoldsOnlyWhereEveryFactHeld) {
  const Fact yes{"a", true, "seen"};
  const Fact no{"b", false, "not \"seen\""};
  EXPECT_FALSE(all_held({}));
  EXPECT_FALSE(all_held({{"nothing was tried", {}}}));
  EXPECT_TRUE(all_held({{"one", {yes}}, {"two", {yes, yes}}}));
  EXPECT_FALSE(all_held({{"one", {yes}}, {"two", {yes, no}}}));
}

TEST(DemoReport, JsonListsTheFactsOfAllChapters) {
  EXPECT_EQ(to_json({{"one", {{"a", true, "seen"}}}, {"two", {{"b", false, "not \"seen\""}}}}),
            R"({"held":false,"facts":[{"name":"a","held":true,"detail":"seen"},{"name":"b","held":false,"detail":"not \"seen\""}]})");
}

TEST(DemoReport, TextMarksTheChapterAndTheFactsThatDidNotHold) {
  const Chapter chapter{"Doors", {{"a", true, "front: shut"}, {"b", false, "back: open"}}};
  EXPECT_EQ(to_text(chapter, 4, false), "✘ 4 Doors\n    front: shut\n    ✘ back: open\n");
  EXPECT_EQ(to_text({"Doors", {{"a", true, "front: shut"}}}, 4, false), "✔ 4 Doors\n    front: shut\n");
}

TEST(DemoWording, PortsSideBySideAreARange) {
  EXPECT_EQ(say_ports({}), "none");
  EXPECT_EQ(say_ports({7}), "7");
  EXPECT_EQ(say_ports({1, 2, 3, 5, 65534, 65535}), "1-3, 5, 65534-65535");
  EXPECT_EQ(say_ports({1, 3, 5, 7, 9, 11, 13, 15, 17}), "1, 3, 5, 7, 9, 11, 13, 15 ...");
}

TEST(DemoWording, TimesBelowASecondAreMilliseconds) {
  EXPECT_EQ(say_time(12ms), "12 ms");
  EXPECT_EQ(say_time(2449ms), "2.4 s");
}

constexpr const char* lease_list = R"([
  {"account":"alice","device":"home-1","protocol":"tcp","public_address":"198.51.100.1","public_port":20000,
   "local_address":"10.77.0.2","local_port":20000,"kind":"automatic","state":"active","expires_at":null},
  {"account":"alice","device":"home-1","protocol":"udp","public_address":"198.51.100.1","public_port":20000,
   "local_address":"10.77.0.2","local_port":20000,"kind":"automatic","state":"active","expires_at":null},
  {"account":"alice","device":"home-1","protocol":"tcp","public_address":"198.51.100.1","public_port":20001,
   "local_address":"10.77.0.2","local_port":20001,"kind":"automatic","state":"active","expires_at":null},
  {"account":"alice","device":"home-1","protocol":"udp","public_address":"198.51.100.1","public_port":20001,
   "local_address":"10.77.0.2","local_port":20001,"kind":"automatic","state":"active","expires_at":null},
  {"account":"alice","device":"home-1","protocol":"tcp","public_address":"198.51.100.1","public_port":20002,
   "local_address":"10.77.0.2","local_port":110,"kind":"automatic","state":"active","expires_at":null},
  {"account":"bob","device":"home-2","protocol":"tcp","public_address":"198.51.100.1","public_port":20003,
   "local_address":"10.77.0.3","local_port":20003,"kind":"automatic","state":"held","expires_at":null}])";

TEST(DemoAdmin, ReadsTheLeaseList) {
  const auto rows = parse_leases(lease_list);
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 6U);
  EXPECT_THAT(ports_of(rows_of(*rows, "home-1")), ElementsAre(20000, 20001, 20002));
  EXPECT_TRUE(rows->front().active());
  EXPECT_FALSE(rows->back().active());
  EXPECT_EQ((*rows)[4].local_port, 110);
}

TEST(DemoAdmin, RefusesWhatIsNoLeaseList) {
  for (const char* text : {"", "{}", "[1]", "[{]", "null"}) EXPECT_EQ(parse_leases(text).error().code, "json") << text;
}

TEST(DemoPicture, PortsThatLeadToPortsSideBySideShareALine) {
  EXPECT_EQ(draw_leases(*parse_leases(lease_list), false),
            "DEVICE  PUBLIC PORTS  PROTOCOLS  LEAD TO PORTS  OF         STATE\n"
            "home-1  20000-20001   tcp+udp    20000-20001    10.77.0.2  active\n"
            "home-1  20002         tcp        110            10.77.0.2  active\n"
            "home-2  20003         tcp        20003          10.77.0.3  held\n");
}

TEST(DemoDeviceFile, GivesTheTunnelAddresses) {
  const std::string key = to_base64(Bytes(32, 1));
  const std::string peer = "[Peer]\nPublicKey = " + to_base64(Bytes(32, 2)) + "\nAllowedIPs = 0.0.0.0/0\nEndpoint = 198.51.100.1:51820\n";
  const auto file = read_device_file("[Interface]\nPrivateKey = " + key + "\nAddress = 10.77.0.2/32, fd77::2/128\n" + peer);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->address(Family::v4), *parse_address("10.77.0.2"));
  EXPECT_EQ(file->address(Family::v6), *parse_address("fd77::2"));
  EXPECT_FALSE(read_device_file("[Interface]\nPrivateKey = " + key + "\nAddress = fd77::2/128\n" + peer));
  EXPECT_FALSE(read_device_file("nothing of the kind"));
}

TEST(DemoSockets, ChecksumIsThatOfTheRfc) {
  const std::uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};  // RFC 1071 section 3: the sum is ddf2
  EXPECT_EQ(internet_checksum(example), 0xffff - 0xddf2);
}

TEST(DemoSockets, AForgedPacketIsAWholeOne) {
  const std::string packet = udp_packet(*parse_address("203.0.113.99"), *parse_address("198.51.100.20"), Port(4000), "text");
  ASSERT_EQ(packet.size(), 32U);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(packet.data());
  EXPECT_EQ(internet_checksum({bytes, 20}), 0);  // over a header with its checksum in it
  EXPECT_EQ(to_hex(ByteView(bytes, 4)), "45000020");
  EXPECT_EQ(to_hex(ByteView(bytes + 12, 8)), "cb007163c6336414");
  EXPECT_EQ(packet.substr(28), "text");
}

}  // namespace
}  // namespace drpf::lab::demo
