// `drpf scan` as a whole: which code it ends with, and what it says. None of these sends anything.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "cli/commands.h"
#include "support/temporary_folder.h"

namespace drpf::cli {
namespace {

using testing::HasSubstr;

TEST(ScanCommand, EndsWithTheCodeThatScriptsKnow) {
  const auto code = [](std::vector<std::string> words) {
    words.insert(words.begin(), {"drpf", "scan"});
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int ended = run(static_cast<int>(argv.size()), argv.data());
    std::fflush(stdout);
    testing::internal::GetCapturedStdout();
    return std::pair(ended, testing::internal::GetCapturedStderr());
  };
  EXPECT_EQ(code({}).first, 64);
  EXPECT_EQ(code({"--no-such-option"}).first, 64);
  EXPECT_EQ(code({"127.0.0.1", "-p", "65536"}).first, 64);
  EXPECT_EQ(code({"-sZ", "127.0.0.1"}).first, 64);
  EXPECT_EQ(code({"127.0.0.1", "--json", "--xml"}).first, 64);
  EXPECT_EQ(code({"127.0.0.1", "--max-rate", "2000000"}).first, 64);
  EXPECT_EQ(code({"127.0.0.1", "--output", "xml"}).first, 64);
  EXPECT_EQ(code({"192.0.2.1"}).first, 1);  // RFC 5737: nobody's
  EXPECT_THAT(code({"192.0.2.1"}).second, HasSubstr("--i-own-these"));
  EXPECT_THAT(code({"127.0.0.1", "-p", "htttp"}).second, HasSubstr("nearest: http"));
  EXPECT_EQ(code({"--help"}).first, 0);
  const test::TemporaryFolder folder;
  std::ofstream(folder / "x") << "drpf-scan-resume 1\nseed";
  EXPECT_THAT(code({"--resume", folder / "x"}).second, HasSubstr("damaged"));
  EXPECT_THAT(code({"--resume", folder / "none"}).second, HasSubstr("no such file"));
}

}  // namespace
}  // namespace drpf::cli
