#include "system/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "system/fd.h"

namespace drpf::system {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class Log : public testing::Test {
 protected:
  Log() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read_ = Fd(ends[0]);
    write_ = Fd(ends[1]);
    ::fcntl(read_.get(), F_SETFL, O_NONBLOCK);
  }
  ~Log() override { ::unsetenv("JOURNAL_STREAM"); }

  void call_it_the_journals(int descriptor) {
    struct stat file{};
    ASSERT_EQ(::fstat(descriptor, &file), 0);
    ::setenv("JOURNAL_STREAM", (std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino)).c_str(), 1);
  }
  std::string said() const {
    std::string text;
    char part[4096];
    for (ssize_t size; (size = ::read(read_.get(), part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(size));
    return text;
  }

  Fd read_;
  Fd write_;
};

TEST_F(Log, ALineHasTimeAndLevel) {
  make_log({}, write_.get())->warn("port {} is taken", 80);
  EXPECT_THAT(said(), MatchesRegex("[0-9-]*T[0-9:]*Z warning: port 80 is taken\n"));
}

TEST_F(Log, InTheJournalALineBeginsWithItsPriorityAndHasNoTime) {
  call_it_the_journals(write_.get());
  const auto log = make_log({.level = LogLevel::debug}, write_.get());
  log->debug("d");
  log->info("i");
  log->warn("w");
  log->error("e");
  log->critical("c");
  EXPECT_EQ(said(), "<7>d\n<6>i\n<4>w\n<3>e\n<2>c\n");
}

TEST_F(Log, AStreamThatIsNotTheOneThatTheJournalGaveIsNone) {
  call_it_the_journals(read_.get());
  ::setenv("JOURNAL_STREAM", (std::string(std::getenv("JOURNAL_STREAM")) + "0").c_str(), 1);
  EXPECT_FALSE(leads_to_journal(read_.get()));
  make_log({}, write_.get())->info("x");
  EXPECT_THAT(said(), HasSubstr("Z info: x\n"));
}

TEST_F(Log, JsonInTheJournalHasItsPriorityToo) {
  call_it_the_journals(write_.get());
  make_log({.json = true}, write_.get())->error("a \"b\"\n");
  EXPECT_THAT(said(), MatchesRegex(R"(<3>\{"time":"[^"]*","level":"error","message":"a \\"b\\"\\u000a"\})"
                                   "\n"));
}

TEST_F(Log, WhoeverWasHandedNoLogWritesToTheSame) {
  const auto log = make_log({.json = true}, write_.get());
  spdlog::warn("from somewhere");
  EXPECT_THAT(said(), HasSubstr(R"("level":"warning","message":"from somewhere")"));
}

TEST_F(Log, WhatIsBelowTheLevelIsLeftOut) {
  const auto log = make_log({.level = LogLevel::warning}, write_.get());
  log->info("little");
  log->warn("much");
  spdlog::info("little");
  EXPECT_THAT(said(), MatchesRegex("[^\n]*much\n"));
}

TEST_F(Log, LevelsHaveTheirWords) {
  EXPECT_EQ(parse_log_level("debug"), LogLevel::debug);
  EXPECT_EQ(parse_log_level("error"), LogLevel::error);
  EXPECT_FALSE(parse_log_level("warn"));
}

TEST_F(Log, AMessageCannotBeginALineOfItsOwn) {
  call_it_the_journals(write_.get());
  make_log({}, write_.get())->info("device \n<2>\x1b[2Jx");
  EXPECT_EQ(said(), "<6>device  <2> [2Jx\n");
}

TEST_F(Log, AProgramWithAPersonInFrontSaysItsName) {
  make_log({.program = "drpf connect"}, write_.get())->warn("it rains");
  EXPECT_EQ(said(), "drpf connect: it rains\n");
}

TEST_F(Log, AReaderWhoStopsReadingHoldsNobodyUpAndLearnsWhatHeMissed) {
  const auto log = make_log({}, write_.get());
  const std::string line(1000, 'x');
  for (int i = 0; i < 200; ++i) log->info(line);  // a pipe takes 64 KiB
  const auto taken = said();
  EXPECT_GT(taken.size(), 4096U);
  log->info("again");
  EXPECT_THAT(said(), MatchesRegex("\n?[^\n]*warning: [0-9]+ lines of the log were lost: nobody read them\n[^\n]*info: again\n"));
}

TEST_F(Log, ASocketThatIsFullHoldsNobodyUp) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const Fd here(ends[0]);
  read_ = Fd(ends[1]);
  ::fcntl(read_.get(), F_SETFL, O_NONBLOCK);
  const auto log = make_log({}, here.get());
  for (int i = 0; i < 1000; ++i) log->info(std::string(1000, 'x'));
  EXPECT_GT(said().size(), 4096U);
  log->info("again");
  EXPECT_THAT(said(), HasSubstr("lines of the log were lost"));
}

TEST_F(Log, AReaderWhoWentAwayEndsNobody) {
  EXPECT_EXIT(
      {
        hold_standard_streams();
        const auto log = make_log({}, write_.get());
        read_ = Fd();
        for (int i = 0; i < 100; ++i) log->info("nobody hears this");
        std::_Exit(7);
      },
      testing::ExitedWithCode(7), "");
}

TEST_F(Log, StandardStreamsThatAreClosedAreNotGivenToTheNextFile) {
  EXPECT_EXIT(
      {
        for (int number = 0; number <= 2; ++number) ::close(number);
        hold_standard_streams();
        std::_Exit(::open("/dev/null", O_RDONLY | O_CLOEXEC) > 2 ? 7 : 1);
      },
      testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace drpf::system
