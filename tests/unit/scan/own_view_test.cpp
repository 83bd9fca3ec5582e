#include "scan/own/own_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::scan {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

OwnPort port(std::uint16_t number, std::uint16_t local, Finding finding, Protocol protocol = Protocol::tcp) {
  return {{parse_address("198.51.100.1").value(), Port{number}}, protocol, Port{local}, "laptop", finding};
}

TEST(OwnView, SaysWhatChanged) {
  const registry::PortRegistry names;
  const std::vector before{port(20000, 110, Finding::nobody_listens), port(20001, 22, Finding::answers),
                           port(20002, 80, Finding::answers),         port(20003, 25, Finding::answers),
                           port(20005, 80, Finding::answers),         port(20006, 443, Finding::answers)};
  const std::vector now{port(20000, 110, Finding::answers),  port(20001, 22, Finding::dropped_by_device),
                        port(20002, 80, Finding::answers),   port(20004, 8443, Finding::nobody_listens),
                        port(20005, 8080, Finding::answers), port(20006, 443, Finding::no_statement)};
  EXPECT_THAT(
      differences(before, now, names),
      ElementsAre(
          "198.51.100.1:20000/tcp is open now; it leads to port 110 of laptop (pop3, by its number).",
          "198.51.100.1:20001/tcp was open and is filtered now (dropped_by_device); it leads to port 22 of laptop (ssh, by its number).",
          "198.51.100.1:20005/tcp leads to port 8080 of laptop (http-alt, by its number) now, and led to port 80 of laptop (http, by its "
          "number).",
          "198.51.100.1:20003/tcp was open and is not leased any more."));
  EXPECT_THAT(differences(now, now, names), IsEmpty());
}

TEST(OwnView, WarnsOfWhatShouldNotBeOpen) {
  const registry::PortRegistry names;
  const auto warnings =
      risks({port(20000, 6379, Finding::answers), port(20001, 23, Finding::answers), port(20002, 443, Finding::answers),
             port(20003, 3306, Finding::nobody_listens), port(20004, 1080, Finding::answers), port(20005, 61000, Finding::answers)},
            names);
  ASSERT_EQ(warnings.size(), 3U);
  EXPECT_THAT(
      warnings[0],
      HasSubstr("198.51.100.1:20000/tcp is open and leads to port 6379 of laptop (redis, by its number), which should not be reached"));
  EXPECT_THAT(warnings[0], HasSubstr("No password unless one is set"));
  EXPECT_THAT(warnings[1], HasSubstr("Better: SSH (22)"));
  EXPECT_THAT(warnings[2], HasSubstr("open proxy"));
}

TEST(OwnView, EveryFindingHasAState) {
  for (int i = 0; i <= static_cast<int>(Finding::no_statement); ++i) EXPECT_FALSE(state_word(static_cast<Finding>(i)).empty());
  EXPECT_EQ(state_word(Finding::answers), "open");
  EXPECT_EQ(state_word(Finding::nobody_listens), "closed");
  EXPECT_EQ(state_word(Finding::silent), "open|filtered");
}

TEST(OwnView, IsKeptAndReadWholeOrNotAtAll) {
  const std::vector ports{port(20000, 110, Finding::answers), port(20001, 53, Finding::silent, Protocol::udp)};
  auto six = port(65535, 1, Finding::no_statement);
  six.public_side.address = parse_address("2001:db8::1").value();
  auto all = ports;
  all.push_back(six);
  const auto text = to_text(all);
  const auto read = parse_own_ports(text);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, all);
  EXPECT_EQ(*parse_own_ports(to_text({})), std::vector<OwnPort>{});
  // A file that ends early, or has anything else in it, is none.
  for (std::size_t length = 0; length + 1 < text.size(); ++length) EXPECT_FALSE(parse_own_ports(text.substr(0, length))) << length;
  EXPECT_FALSE(parse_own_ports(text + "more\n"));
  EXPECT_FALSE(parse_own_ports("drpf own ports 1\n1.2.3.4 70000/tcp 1 answers a\nend\n"));
  EXPECT_FALSE(parse_own_ports("drpf own ports 1\n1.2.3.4 7/tcp 1 unheard a\nend\n"));
  EXPECT_FALSE(parse_own_ports("drpf own ports 1\n1.2.3.4 7/tcp 1 answers \x1b[2J\nend\n"));
}

}  // namespace
}  // namespace drpf::scan
