// `drpf scan --mine` before it has a gateway; with one: tests/netns/test_scan_mine.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/run_command.h"
#include "support/temporary_folder.h"

namespace drpf::cli {
namespace {

using test::drpf;
using testing::AllOf;
using testing::HasSubstr;

TEST(ScanMine, LooksAtOwnLeasesAndNothingElse) {
  for (const auto& more :
       std::vector<std::vector<std::string>>{{"192.0.2.1"}, {"-p", "22"}, {"--targets-file", "x"}, {"--gateway", "nowhere"}}) {
    auto words = std::vector<std::string>{"scan", "--mine"};
    words.insert(words.end(), more.begin(), more.end());
    const auto refused = drpf(words);
    EXPECT_EQ(refused.code, 64) << more.front();
    EXPECT_EQ(refused.out, "");
  }
}

TEST(ScanMine, WithoutAGatewaySaysWhomToAsk) {
  const test::TemporaryFolder folder;
  const auto nobody = drpf({"scan", "--mine", "--socket", folder / "absent.sock", "--since", folder / "kept"});
  EXPECT_EQ(nobody.code, 69);
  EXPECT_THAT(nobody.err, AllOf(HasSubstr("drpf gateway"), HasSubstr("--gateway 10.77.0.1")));
  EXPECT_FALSE(std::filesystem::exists(folder / "kept"));
}

}  // namespace
}  // namespace drpf::cli
