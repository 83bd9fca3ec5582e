#include "terminal/terminal.h"

#include <gtest/gtest.h>

#include "cli/port_argument.h"

namespace drpf::cli {
namespace {

TEST(Table, AlignsItsColumnsByCharactersNotBytes) {
  Table table({"NAME", "N"});
  table.add({{"m\u00fcller"}, {"5", Colour::plain, true}});
  table.add({{"a"}, {"1000", Colour::plain, true}});
  EXPECT_EQ(table.text(false),
            "NAME       N\n"
            "m\u00fcller     5\n"
            "a       1000\n");
}

TEST(Table, ColoursOnlyWhereItIsTold) {
  Table table({"STATE"});
  table.add({{"active", Colour::green}});
  EXPECT_EQ(table.text(true), "\033[1mSTATE\033[0m\n\033[32mactive\033[0m\n");
  EXPECT_EQ(table.text(false), "STATE\nactive\n");
}

TEST(Table, ShowsControlCharactersInsteadOfSendingThem) {
  Table table({"NAME"});
  table.add({{"\033[31mred"}});
  EXPECT_EQ(table.text(false), "NAME\n\\x1b[31mred\n");
}

TEST(PortArgument, IsANumberOrAnyWithAProtocolOrNot) {
  EXPECT_EQ(*parse_port_argument("20000"), (PortArgument{Port{20000}, std::nullopt}));
  EXPECT_EQ(*parse_port_argument("20000/tcp"), (PortArgument{Port{20000}, Protocol::tcp}));
  EXPECT_EQ(*parse_port_argument("any/udp"), (PortArgument{std::nullopt, Protocol::udp}));
  EXPECT_EQ(*parse_port_argument("any"), (PortArgument{std::nullopt, std::nullopt}));
  for (const auto* bad : {"", "/", "/tcp", "20000/", "20000/TCP", "20000/tcp/udp", "-1", "65536", "2e4", "0x50", " 80", "any1"})
    EXPECT_EQ(parse_port_argument(bad).error().code, "usage") << bad;
}

}  // namespace
}  // namespace drpf::cli
