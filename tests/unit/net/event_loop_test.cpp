#include "net/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <thread>
#include <vector>

namespace drpf::net {
namespace {

using namespace std::chrono_literals;
constexpr Duration patience = 10s;  // never waited for when the code is right

TEST(EventLoop, RunsPostedCallsInOrderAlsoFromAnotherThread) {
  EventLoop loop;
  std::vector<int> seen;
  std::thread other([&] {
    for (int i = 0; i < 3; ++i) loop.post([&seen, i] { seen.push_back(i); });
    loop.post([&loop] { loop.stop(); });
  });
  loop.run();
  other.join();
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2}));
}

TEST(EventLoop, CallsAOneShotTimerOnce) {
  EventLoop loop;
  int calls = 0;
  const auto timer = loop.after(1ms, [&] { ++calls; });
  const auto end = loop.after(20ms, [&] { loop.stop(); });
  loop.run_for(patience);
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, RepeatsAndLetsATimerDestroyItselfFromInside) {
  EventLoop loop;
  int calls = 0;
  Timer timer;
  timer = loop.every(1ms, [&] {
    if (++calls == 3) {
      timer.cancel();
      loop.post([&] { loop.stop(); });
    }
  });
  loop.run_for(patience);
  EXPECT_EQ(calls, 3);
  EXPECT_FALSE(timer.active());
}

TEST(EventLoop, DoesNotCallACancelledTimerThatWasAlreadyDue) {
  EventLoop loop;
  int calls = 0;
  Timer second;
  const auto first = loop.after(0ms, [&] { second.cancel(); });
  second = loop.after(0ms, [&] { ++calls; });
  std::this_thread::sleep_until(std::chrono::steady_clock::now() + 2ms);  // both are due in the same turn
  const auto end = loop.after(5ms, [&] { loop.stop(); });
  loop.run_for(patience);
  EXPECT_EQ(calls, 0);
}

TEST(EventLoop, TellsWhenADescriptorIsReadableAndLeavesItOpen) {
  EventLoop loop;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::string seen;
  {
    const auto watch = loop.watch_readable(ends[0], [&] {
      char byte = 0;
      ASSERT_EQ(read(ends[0], &byte, 1), 1);
      seen.push_back(byte);
      if (seen.size() == 2) loop.stop();
    });
    ASSERT_EQ(write(ends[1], "ab", 2), 2);
    loop.run_for(patience);
  }
  EXPECT_EQ(seen, "ab");
  ASSERT_EQ(write(ends[1], "c", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 1);
  close(ends[0]);
  close(ends[1]);
}

TEST(EventLoop, DeliversSignals) {
  EventLoop loop;
  int calls = 0;
  const auto watch = loop.on_signal(SIGUSR1, [&] {
    ++calls;
    loop.stop();
  });
  raise(SIGUSR1);
  loop.run_for(patience);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace drpf::net
