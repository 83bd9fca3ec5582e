#include "daemon/held_answers.h"

#include <gtest/gtest.h>

#include <string>

namespace drpf::daemon {
namespace {

using namespace std::chrono_literals;

class HandClock final : public Clock {
 public:
  Time now() const override { return time; }
  WallTime wall_now() const override { return {}; }
  Time time{};
};

class HeldAnswersTest : public ::testing::Test {
 protected:
  void hold(api::Settling ticket, char name) {
    held_.hold(ticket, [this, name] { given_ += name; });
  }

  net::EventLoop loop_;
  HandClock clock_;
  api::Settling settled_to_ = 0;
  std::string given_;
  HeldAnswers held_{loop_, clock_, [this](api::Settling ticket) { return ticket <= settled_to_; }};
};

TEST_F(HeldAnswersTest, AreGivenWhenTheyHaveSettledAndInTheirOrder) {
  hold(2, 'b');
  hold(1, 'a');
  hold(2, 'c');
  held_.release();
  EXPECT_EQ(given_, "");
  settled_to_ = 1;
  held_.release();
  EXPECT_EQ(given_, "a");
  settled_to_ = 2;
  held_.release();
  EXPECT_EQ(given_, "abc");
  hold(2, 'd');
  EXPECT_EQ(given_, "abcd") << "settled before it was held";
  EXPECT_EQ(held_.size(), 0U);
}

TEST_F(HeldAnswersTest, MayBringTheNextOne) {
  held_.hold(1, [this] { hold(2, 'b'); });
  settled_to_ = 1;
  held_.release();
  EXPECT_EQ(held_.size(), 1U);
  settled_to_ = 2;
  held_.release();
  EXPECT_EQ(given_, "b");
}

TEST_F(HeldAnswersTest, DoNotWaitForEver) {
  hold(1, 'a');
  clock_.time += HeldAnswers::hold_max;
  hold(2, 'b');
  const auto looking = loop_.every(1ms, [&] {
    if (!given_.empty()) loop_.stop();
  });
  loop_.run_for(20s);
  EXPECT_EQ(given_, "a") << "the second has its own time";
  EXPECT_EQ(held_.size(), 1U);
}

TEST_F(HeldAnswersTest, AreNotMoreThanTheLimit) {
  for (std::size_t i = 0; i <= HeldAnswers::answers_max; ++i) hold(1, 'x');
  EXPECT_EQ(held_.size(), HeldAnswers::answers_max);
  EXPECT_EQ(given_, "x");
}

}  // namespace
}  // namespace drpf::daemon
