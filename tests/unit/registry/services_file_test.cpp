#include "registry/services_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "registry/iana_csv.h"
#include "registry/name_order.h"
#include "registry/port_registry.h"

namespace drpf::registry {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(ServicesFile, IsReadLineByLine) {
  const auto file = parse_services(
      "# the head\n"
      "\n"
      "http\t80/tcp\twww web # the web\n"
      "  ntp 123/UDP\r\n"
      "discard 9/sctp\n"
      "zip 6/ddp # AppleTalk\n"
      "last 65535/dccp");
  EXPECT_THAT(file.problems, IsEmpty());
  ASSERT_THAT(file.services, SizeIs(4));
  EXPECT_EQ(file.services[0].name, "http");
  EXPECT_EQ(file.services[0].port, Port{80});
  EXPECT_EQ(file.services[0].transport, Transport::tcp);
  EXPECT_THAT(file.services[0].aliases, ElementsAre("www", "web"));
  EXPECT_EQ(file.services[0].comment, "the web");
  EXPECT_EQ(file.services[1].transport, Transport::udp);
  EXPECT_EQ(file.services[2].transport, Transport::sctp);
  EXPECT_EQ(file.services[3].port, Port{65535});
}

TEST(ServicesFile, LinesThatCannotBeUnderstoodArePassedOverAndNamed) {
  const auto file = parse_services(
      "good 1/tcp\n"
      "no-port\n"
      "no-protocol 80\n"
      "too-high 65536/tcp\n"
      "negative -1/tcp\n" +
      std::string(65, 'x') +
      " 80/tcp\n"
      "b\xc3\xa4r 80/tcp\n"
      "fine 2/tcp\n");
  ASSERT_THAT(file.services, SizeIs(2));
  EXPECT_EQ(file.services[1].name, "fine");
  std::vector<std::size_t> lines;
  for (const auto& problem : file.problems) lines.push_back(problem.line);
  EXPECT_THAT(lines, ElementsAre(2, 3, 4, 5, 6, 7));
}

TEST(ServicesFile, CommentsCannotMoveTheCursor) {
  const auto file = parse_services("evil 1/tcp # \x1b[2Jgone\a");
  ASSERT_THAT(file.services, SizeIs(1));
  EXPECT_EQ(file.services[0].comment, "[2Jgone");
}

TEST(ServicesFile, ThatIsTooLongIsCutAndSaysSo) {
  std::string text;
  for (std::size_t i = 0; i < services_lines_max + 5; ++i) text += "a 1/tcp\n";
  const auto file = parse_services(text);
  EXPECT_EQ(file.services.size(), services_lines_max);
  ASSERT_THAT(file.problems, SizeIs(1));
  EXPECT_EQ(file.problems[0].line, services_lines_max + 1);
}

TEST(IanaCsv, IsReadAsItsColumnsSay) {
  const std::string_view text =
      "Service Name,Port Number,Transport Protocol,Description,Assignee,Contact\r\n"
      "hello,4242,tcp,\"Says \"\"hello\"\",\n   twice\",[Somebody],\r\n"
      ",4243,udp,Unassigned,,\r\n"
      "discard,9,sctp,Discard,,\r\n"
      "wide,6000-6002,udp,A range,,\r\n"
      "no-port,,tcp,By name only,,\r\n"
      "odd,6,ddp,Another protocol,,\r\n"
      "broken,70000,tcp,Too high,,\r\n"
      "last,65535,dccp,no line end";
  ASSERT_TRUE(is_iana_csv(text));
  EXPECT_FALSE(is_iana_csv("http 80/tcp\n"));
  const auto file = parse_iana_csv(text);
  ASSERT_THAT(file.services, SizeIs(6));
  EXPECT_EQ(file.services[0].name, "hello");
  EXPECT_EQ(file.services[0].port, Port{4242});
  EXPECT_EQ(file.services[0].comment, "Says \"hello\", twice");
  EXPECT_EQ(file.services[1].transport, Transport::sctp);
  EXPECT_EQ(file.services[4].port, Port{6002});
  EXPECT_EQ(file.services[5].port, Port{65535});
  ASSERT_THAT(file.problems, SizeIs(1));
  EXPECT_EQ(file.problems[0].line, 9U) << "a field had a line end";
}

// The promise: at least 99 of 100 lines of this machine's own file come back, but for those of AppleTalk, which has no ports.
TEST(ServicesFile, OfThisMachineIsReproduced) {
  std::ifstream in{std::string(services_path)};
  ASSERT_TRUE(in) << "this test reads " << services_path;
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  PortRegistry registry;
  registry.overlay(std::string(services_path), parse_services(text).services);
  std::size_t lines = 0;
  std::size_t reproduced = 0;
  std::string missed;
  // Counted by other means than the parser's.
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string name;
    std::string place;
    if (!(words >> name >> place)) continue;
    const auto slash = place.find('/');
    const auto transport = find_transport(place.substr(slash + 1));
    if (!transport) continue;  // AppleTalk has sockets, not ports
    ++lines;
    const Port port{static_cast<std::uint16_t>(std::stoi(place.substr(0, slash)))};
    const auto names = registry.names_of(port, *transport);
    const auto has = [&](std::string_view wanted) {
      return std::count_if(names.begin(), names.end(), [&](std::string_view one) { return compare_names(one, wanted) == 0; }) == 1;
    };
    bool good = has(name);
    for (std::string alias; words >> alias;) good = good && has(alias);
    const auto found = registry.named(name);
    good = good && std::any_of(found.begin(), found.end(),
                               [&](const Service& one) { return one.ports.contains(port) && one.transport == *transport; });
    reproduced += good ? 1 : 0;
    if (!good) missed += line + "\n";
  }
  ASSERT_GT(lines, 100U);
  EXPECT_GE(reproduced * 100, lines * 99) << missed;
}

}  // namespace drpf::registry
