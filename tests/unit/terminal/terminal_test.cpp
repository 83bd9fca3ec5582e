#include "terminal/terminal.h"

#include <gtest/gtest.h>

namespace drpf::terminal {
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

}  // namespace
}  // namespace drpf::terminal
