// Words that the command line does not know.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/run_command.h"

namespace drpf::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Wrong {
  std::vector<std::string> words;
  const char* said;
  const char* cure;
};

class WrongWords : public testing::TestWithParam<Wrong> {};

TEST_P(WrongWords, AreNamedWithTheNearest) {
  const auto& [words, said, cure] = GetParam();
  const auto run = test::drpf(words);
  EXPECT_EQ(run.code, 64);
  EXPECT_THAT(run.err, HasSubstr(said));
  EXPECT_THAT(run.err, HasSubstr(cure));
}

INSTANTIATE_TEST_SUITE_P(
    Cli, WrongWords,
    testing::Values(Wrong{{"stauts"}, "`drpf` has no command 'stauts'", "did you mean `drpf status`?"},
                    Wrong{{"lease", "lst"}, "`drpf lease` has no command 'lst'", "did you mean `drpf lease list`?"},
                    Wrong{{"--jsn"}, "`drpf` has no option '--jsn'", "`drpf --help` shows what there is"},
                    Wrong{{"status", "--jsn"}, "`drpf status` has no option '--jsn'", "did you mean `drpf status --json`?"},
                    Wrong{{"lease", "add", "nas", "20000", "--locl=25"}, "no option '--locl'", "did you mean `drpf lease add --local`?"},
                    Wrong{{"lease", "add", "nas", "20000", "--loc", "25"}, "no option '--loc'", "did you mean `drpf lease add --local`?"},
                    Wrong{{"device", "ad", "ann", "nas"}, "`drpf device` has no command 'ad'", "did you mean `drpf device add`?"},
                    Wrong{{"frobnicate"}, "`drpf` has no command 'frobnicate'", "`drpf --help` shows what there is"},
                    Wrong{
                        {"lease"}, "`drpf lease` needs the name of a command: list, add, set, remove", "`drpf lease --help` explains them"},
                    Wrong{{"account", "--json"}, "`drpf account` has no option '--json'", "`drpf account --help`"}));

TEST(WrongWords, AnOtherFaultOfTheLineIsSaidAsItIs) {
  EXPECT_THAT(test::drpf({"lease", "remove"}).err, HasSubstr("port is required"));
  EXPECT_THAT(test::drpf({"lease", "remove", "20000", "--", "--jsn"}).err, Not(HasSubstr("has no")));
}

TEST(WrongWords, HelpIsACommandToo) {
  EXPECT_EQ(test::drpf({"help"}).out, test::drpf({"--help"}).out);
  EXPECT_EQ(test::drpf({"help", "lease", "add"}).out, test::drpf({"lease", "add", "--help"}).out);
  EXPECT_EQ(test::drpf({"help"}).code, 0);
  EXPECT_THAT(test::drpf({"help", "stauts"}).err, HasSubstr("did you mean `drpf status`?"));
}

}  // namespace
}  // namespace drpf::cli
