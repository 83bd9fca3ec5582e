// `drpf ports`: what is asked and what comes back. /etc/services of this machine lies over the built-in names, so names that it may change
// are not looked at.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <fstream>

#include "cli/commands.h"
#include "support/run_command.h"
#include "support/temporary_folder.h"

namespace drpf::cli {
namespace {

using test::drpf;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(Ports, ANumberIsExplained) {
  const auto call = drpf({"ports", "1720"});
  EXPECT_EQ(call.code, 0);
  EXPECT_THAT(call.out, AllOf(HasSubstr("1720/tcp"), HasSubstr("H.323 call set-up"), HasSubstr("registered as  h323hostcall"),
                              HasSubstr("take care"), HasSubstr("opens          TCP for H.245"), HasSubstr("user range 1024-49151")));
  EXPECT_THAT(drpf({"ports", "569"}).out, AllOf(HasSubstr("ms-rome"), HasSubstr("MSN")));
  EXPECT_THAT(drpf({"ports", "110"}).out, HasSubstr("better         POP3 over TLS (995)"));
  EXPECT_THAT(drpf({"ports", "53/udp"}).out, AllOf(HasSubstr("53/udp"), Not(HasSubstr("tcp"))));
}

TEST(Ports, UnassignedNumbersAreSaidToBe) {
  EXPECT_THAT(drpf({"ports", "48000-48001"}).out, HasSubstr("nimcontroller"));
  EXPECT_THAT(drpf({"ports", "49000"}).out, HasSubstr("49000/tcp"));
  EXPECT_THAT(drpf({"ports", "48010"}).out, HasSubstr("48010  unassigned, user range 1024-49151: "));
  EXPECT_THAT(drpf({"ports", "60000"}).out, HasSubstr("60000  unassigned, dynamic range 49152-65535: "));
  EXPECT_THAT(drpf({"ports", "6881-6889"}).out, AllOf(HasSubstr("6882-6887/tcp  unassigned"), HasSubstr("By habit: BitTorrent.")));
}

TEST(Ports, ZeroAndWhatIsAbove65535AreExplained) {
  const auto zero = drpf({"ports", "0"});
  EXPECT_EQ(zero.code, 0);
  EXPECT_THAT(zero.out, AllOf(HasSubstr("0  Reserved"), HasSubstr("is given a free port by its system")));
  const auto above = drpf({"ports", "65536"});
  EXPECT_EQ(above.code, 64);
  EXPECT_THAT(above.err, AllOf(HasSubstr("16 bits"), HasSubstr("65535")));
  EXPECT_THAT(drpf({"ports", "80800"}).err, HasSubstr("did you mean 8080"));
}

TEST(Ports, NamesAndWords) {
  EXPECT_THAT(drpf({"ports", "pop3"}).out, AllOf(HasSubstr("110/tcp"), HasSubstr("also:\n"), HasSubstr("995/tcp")));
  const auto mail = drpf({"ports", "mail"});
  for (const auto* port : {"25/tcp", "110/tcp", "143/tcp", "587/tcp", "993/tcp", "995/tcp"}) EXPECT_THAT(mail.out, HasSubstr(port));
  EXPECT_THAT(drpf({"ports", "mail", "--range", "user"}).out, AllOf(HasSubstr("4190/tcp"), Not(HasSubstr("110/tcp"))));
  const auto unknown = drpf({"ports", "htttps"});
  EXPECT_EQ(unknown.code, 1);
  EXPECT_EQ(unknown.out, "");
  EXPECT_THAT(unknown.err, HasSubstr("did you mean https"));
  // What is known is shown all the same.
  const auto some = drpf({"ports", "ssh", "no-such-service-at-all", "22"});
  EXPECT_EQ(some.code, 1);
  EXPECT_THAT(some.out, HasSubstr("22/tcp"));
}

TEST(Ports, WhatAnAnswerSaysCanBeAskedFor) {
  EXPECT_THAT(drpf({"ports", "8006"}).out, HasSubstr("Proxmox"));
  EXPECT_THAT(drpf({"ports", "proxmox"}).out, AllOf(HasSubstr("8006/tcp"), HasSubstr("8007/tcp")));
  EXPECT_THAT(drpf({"ports", "psql"}).out, HasSubstr("5432/tcp"));
  // The other transport has another use.
  const auto games = drpf({"ports", "30000/udp"});
  EXPECT_EQ(games.code, 0);
  EXPECT_THAT(games.out, AllOf(HasSubstr("30000/udp  unassigned"), HasSubstr("Luanti"), Not(HasSubstr("Kubernetes"))));
  EXPECT_THAT(drpf({"ports", "51821"}).out,
              AllOf(HasSubstr("51821/tcp"), HasSubstr("wg-easy"), HasSubstr("51821/udp"), HasSubstr("WireGuard")));
  EXPECT_THAT(drpf({"ports", "9993"}).out, AllOf(HasSubstr("WildFly"), HasSubstr("ZeroTier")));
  const auto json = boost::json::parse(drpf({"ports", "51821/udp", "--json"}).out).as_array();
  ASSERT_EQ(json.size(), 1U);
  EXPECT_EQ(json[0].at("protocol"), "udp");
  EXPECT_EQ(json[0].at("habit"), "WireGuard, the second");
  EXPECT_EQ(json[0].at("assigned"), false);
  EXPECT_TRUE(json[0].at("name").is_null());
}

TEST(Ports, ATyposNearestNeighbourComesBeforeWhatHasItInIt) {
  const auto web = drpf({"ports", "htp"});
  EXPECT_EQ(web.code, 0);
  EXPECT_THAT(web.err, HasSubstr("no service is called 'htp'; the nearest is http"));
  EXPECT_THAT(web.out, AllOf(HasSubstr("80/tcp  http"), HasSubstr("also:\n")));
  EXPECT_THAT(drpf({"ports", "plx"}).out, HasSubstr("32400/tcp  plex"));
}

TEST(Ports, RangesAndTheOverview) {
  EXPECT_THAT(drpf({"ports", "--range", "dynamic"}).out, AllOf(HasSubstr("never registered"), HasSubstr("51820/udp")));
  EXPECT_EQ(drpf({"ports", "--range", "private"}).code, 64);
  const auto overview = drpf({"ports"});
  EXPECT_EQ(overview.code, 0);
  EXPECT_THAT(overview.out, AllOf(HasSubstr("0-1023"), HasSubstr("1024-49151"), HasSubstr("49152-65535")));
  EXPECT_LT(std::count(overview.out.begin(), overview.out.end(), '\n'), 60);
}

TEST(Ports, AsJson) {
  const auto ports = boost::json::parse(drpf({"ports", "1720/tcp", "0", "--json"}).out).as_array();
  ASSERT_EQ(ports.size(), 2U);
  const auto& call = ports[0];
  EXPECT_EQ(call.at("port"), 1720);
  EXPECT_EQ(call.at("protocol"), "tcp");
  EXPECT_EQ(call.at("registered"), "h323hostcall");
  EXPECT_EQ(call.at("range"), "user");
  EXPECT_EQ(call.at("assigned"), true);
  EXPECT_EQ(call.at("exposure"), "careful");
  for (const auto* text : {"name", "source", "purpose", "risk", "successor", "more_ports", "category"})
    EXPECT_TRUE(call.at(text).is_string()) << text;
  EXPECT_EQ(ports[1].at("port"), 0);
  EXPECT_EQ(ports[1].at("assigned"), false);
  EXPECT_TRUE(ports[1].at("name").is_null());
  EXPECT_EQ(boost::json::parse(drpf({"ports", "no-such-service-at-all", "--json"}).out).as_array().size(), 0U);
}

TEST(Ports, AFileOfOnesOwnHasTheLastWord) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "mine") << "hall-screen 1720/tcp # the screen in the hall\nbroken\n";
  const auto mine = drpf({"ports", "1720/tcp", "--services", folder / "mine"});
  EXPECT_THAT(mine.out, AllOf(HasSubstr("1720/tcp  hall-screen"), HasSubstr("the screen in the hall"),
                              HasSubstr("source         " + (folder / "mine"))));
  EXPECT_THAT(mine.err, HasSubstr("mine, line 2: passed over"));
  EXPECT_EQ(
      std::string(
          boost::json::parse(drpf({"ports", "hall-screen", "--json", "--services", folder / "mine"}).out).at(0).at("source").as_string()),
      folder / "mine");
  EXPECT_THAT(drpf({"ports", "1", "--services", folder / "absent"}).err, HasSubstr("cannot be read: No such file"));
  std::ofstream(folder / "empty") << "# nothing\n";
  EXPECT_EQ(drpf({"ports", "1", "--services", folder / "empty"}).code, 1);
}

TEST(Ports, OnesOwnAreListedWithTheirProgram) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(listener, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto own = boost::json::parse(drpf({"ports", "--mine", "--json"}).out).as_array();
  const auto text = drpf({"ports", "--mine"}).out;
  ::close(listener);
  const auto is_it = [&](const boost::json::value& one) { return one.at("port").as_int64() == ntohs(address.sin_port); };
  const auto found = std::find_if(own.begin(), own.end(), is_it);
  ASSERT_NE(found, own.end());
  EXPECT_EQ(found->at("protocol"), "tcp");
  EXPECT_EQ(found->at("address"), "127.0.0.1");
  EXPECT_EQ(found->at("program"), "test_cli");
  EXPECT_EQ(found->at("reachable_from"), "this machine");
  EXPECT_THAT(text, HasSubstr("test_cli"));
  EXPECT_EQ(drpf({"ports", "--mine", "22"}).code, 64);
}

TEST(Ports, TheListOfTheScannerIsPrinted) {
  const auto list = boost::json::parse(drpf({"ports", "--scan-list", "--json"}).out).as_array();
  ASSERT_EQ(list.size(), 1000U);
  EXPECT_EQ(list[0].at("port"), 80);
  EXPECT_EQ(list[0].at("tier"), 1);
  EXPECT_EQ(boost::json::parse(drpf({"ports", "--scan-list", "--udp", "--top", "7", "--json"}).out).as_array().size(), 7U);
  EXPECT_EQ(drpf({"ports", "--scan-list", "--top", "0"}).code, 64);
  EXPECT_EQ(drpf({"ports", "--scan-list", "--top", "65536"}).code, 64);
}

}  // namespace
}  // namespace drpf::cli
