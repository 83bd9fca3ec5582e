#include "terminal/exit_code.h"

#include <gtest/gtest.h>

namespace drpf::terminal {
namespace {

TEST(ExitCode, IsChosenByTheKindOfTheErrorAndNotByItsWord) {
  EXPECT_EQ(exit_code_of(wrong_usage("m")), 64);
  EXPECT_EQ(exit_code_of(unavailable("any_word", "m")), 69);
  EXPECT_EQ(exit_code_of(not_permitted("any_word", "m")), 77);
  EXPECT_EQ(exit_code_of(misconfigured("any_word", "m")), 78);
  for (const auto* word : {"usage", "gateway_unreachable", "no_permission", "config_invalid"}) {
    EXPECT_EQ(exit_code_of(refusal(word, "m")), 1);
    EXPECT_EQ(exit_code_of(invalid(word, "m")), 1);
    EXPECT_EQ(exit_code_of(not_found(word, "m")), 1);
    EXPECT_EQ(exit_code_of(failure(word, "m")), 1);
  }
}

}  // namespace
}  // namespace drpf::terminal
