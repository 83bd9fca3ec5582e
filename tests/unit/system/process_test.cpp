#include "system/process.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::system {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(Process, OutputsAndExitCodeAreCaptured) {
  const auto output = run({.arguments = {"sh", "-c", "echo out; echo err >&2; exit 3"}}, 10s);
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out, "out\n");
  EXPECT_EQ(output->err, "err\n");
  EXPECT_EQ(output->exit_code, 3);
}

TEST(Process, InputArrivesAndLargeOutputIsWhole) {
  EXPECT_EQ(run({.arguments = {"cat"}, .input = "to and fro"}, 10s)->out, "to and fro");
  EXPECT_EQ(run({.arguments = {"head", "-c", "1000000", "/dev/zero"}}, 10s)->out.size(), 1'000'000u);
}

// A user who has many pipes open gets new ones of a page or two (pipe(7), pipe-user-pages-soft): that must not stop anything.
TEST(Process, LargeInputArrivesWhateverAPipeTakes) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(20);
    const rlimit many{4096, 4096};
    ::setrlimit(RLIMIT_NOFILE, &many);
    for (const int capability : {CAP_SYS_RESOURCE, CAP_SYS_ADMIN}) ::prctl(PR_CAPBSET_DROP, capability);
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    ::syscall(SYS_capset, &header, none);
    for (int pipes = 0, ends[2]; pipes < 1500 && ::pipe(ends) == 0; ++pipes) {}
    const std::string input(Process::input_max, 'x');
    const auto output = run({.arguments = {"cat"}, .input = input}, 10s);
    ::_exit(output && output->out == input ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(Process, TheFormerOneIsEndedByTheAssignmentAndNotLater) {
  auto former = Process::start({.arguments = {"sleep", "1000"}});
  auto next = Process::start({.arguments = {"sleep", "1000"}});
  ASSERT_TRUE(former && next);
  const pid_t pid = former->pid();
  *former = std::move(*next);
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_TRUE(former->running());
  EXPECT_FALSE(next->running());
}

TEST(Process, OutputBeyondTheLimitIsAnError) {
  const auto output = run({.arguments = {"cat", "/dev/zero"}}, 10s);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, "output");
}

TEST(Process, InputBeyondTheLimitIsRefused) {
  EXPECT_EQ(run({.arguments = {"cat"}, .input = std::string(Process::input_max + 1, 'x')}, 10s).error().code, "input");
}

TEST(Process, AProgramThatIsNotThereIsNamed) {
  const auto output = run({.arguments = {"no-such-program"}}, 10s);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().kind, Error::Kind::not_found);
  EXPECT_THAT(output.error().message, HasSubstr("no-such-program"));
}

TEST(Process, AFailedPreparationIsReportedAndNothingRuns) {
  const Command command{.arguments = {"true"}, .prepare = [] { return Status(fail(failure("no", "not today"))); }};
  const auto process = Process::start(command);
  ASSERT_FALSE(process);
  EXPECT_THAT(process.error().message, HasSubstr("not today"));
}

TEST(Process, ALateProgramIsKilledAndAnError) {
  const auto output = run({.arguments = {"sleep", "60"}}, 50ms);
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, "timeout");
}

TEST(Process, WaitGivesUpAtItsLimitAndASignalEnds) {
  auto process = Process::start({.arguments = {"sleep", "60"}});
  ASSERT_TRUE(process);
  EXPECT_TRUE(process->running());
  EXPECT_EQ(process->wait(20ms), std::nullopt);
  process->signal(SIGTERM);
  EXPECT_EQ(process->wait(10s), 128 + SIGTERM);
  EXPECT_FALSE(process->running());
}

TEST(Process, AForkedBodyEndsWithItsValue) {
  auto process = Process::fork([] { return 7; });
  ASSERT_TRUE(process);
  EXPECT_EQ(process->wait(10s), 7);
}

TEST(Process, TheEnvironmentIsAdded) {
  EXPECT_EQ(run({.arguments = {"sh", "-c", "echo $GREETING"}, .environment = {{"GREETING", "hello"}}}, 10s)->out, "hello\n");
}

}  // namespace
}  // namespace drpf::system
