#include "client/ports/screen.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "support/temporary_folder.h"

namespace drpf::client {
namespace {

using testing::MatchesRegex;

class ScreenTest : public testing::Test {
 protected:
  ~ScreenTest() override { ::unsetenv("JOURNAL_STREAM"); }

  std::string said(bool journal, system::LogLevel level) {
    const auto path = folder_ / "said";
    std::FILE* file = std::fopen(path.c_str(), "w");
    struct stat status{};
    EXPECT_EQ(::fstat(::fileno(file), &status), 0);
    if (journal) ::setenv("JOURNAL_STREAM", (std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino)).c_str(), 1);
    Screen screen(false, level, file, file);
    screen.ready(2, WallTime{});
    screen.note("it rains");
    screen.error(failure("wet", "it pours", "take an umbrella"));
    std::fclose(file);
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  test::TemporaryFolder folder_;
};

TEST_F(ScreenTest, APersonSeesTheTimeAndNotes) {
  EXPECT_THAT(said(false, system::LogLevel::info),
              MatchesRegex("[0-9:]* READY with 2 public ports\ndrpf connect: it rains\ndrpf connect: it pours\n  take an umbrella\n"));
}

TEST_F(ScreenTest, TheJournalIsToldHowGraveALineIsAndNoTime) {
  EXPECT_EQ(said(true, system::LogLevel::info),
            "<6>READY with 2 public ports\n<4>drpf connect: it rains\n<3>drpf connect: it pours\n<3>  take an umbrella\n");
}

TEST_F(ScreenTest, NotesAreLeftOutWhereOnlyErrorsAreAskedFor) {
  EXPECT_EQ(said(true, system::LogLevel::error), "<6>READY with 2 public ports\n<3>drpf connect: it pours\n<3>  take an umbrella\n");
}

}  // namespace
}  // namespace drpf::client
