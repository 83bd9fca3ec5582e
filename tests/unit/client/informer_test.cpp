#include "client/ports/informer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace std::chrono_literals;

// A program that is there or not, and remembers what it was told.
struct Program {
  net::EventLoop loop;
  bool there = true;
  std::string refuses;  // with this code
  Port port;
  bool deaf = false;  // has a port, and listens on none
  bool hears_when_reopened = true;
  int asked = 0;
  int reopened = 0;

  std::vector<Port> informed;
  std::vector<std::string> failures;

  template <class Change>
  void now(Change change) {
    change();
  }
  template <class Condition>
  bool becomes(Condition condition) {
    return loop.run_until(condition, std::chrono::seconds(20));
  }
  Informer::Listener listener() {
    return {[this](Port told) { now([&] { informed.push_back(told); }); },
            [this](Error error) { now([&] { failures.push_back(error.code); }); }};
  }
  OpenDoor open();
  Informer::IsListening is_listening() {
    return [this](Port) { return !deaf; };
  }
};

class Door : public ListeningPortDoor {
 public:
  explicit Door(Program& program) : program_(program) {}
  void set(Port port, WhenSet done) override {
    Result<Outcome> outcome = Outcome::was_so;
    program_.now([&] {
      ++program_.asked;
      if (!program_.there) {
        outcome = fail(failure("server_unreachable", "nobody there"));
      } else if (!program_.refuses.empty()) {
        outcome = fail(refusal(program_.refuses, "no"));
      } else if (program_.port != port) {
        program_.port = port;
        outcome = Outcome::set;
      }
    });
    done(outcome);
  }
  void reopen(Port, WhenReopened done) override {
    program_.now([&] {
      ++program_.reopened;
      if (program_.hears_when_reopened) program_.deaf = false;
    });
    done({});
  }

 private:
  Program& program_;
};

OpenDoor Program::open() {
  return [this](const DoorOpened& opened) {
    opened(std::make_unique<Door>(*this));
    return net::Watch();
  };
}

constexpr InformPauses quick{1ms, 4ms, std::chrono::hours(1), 5ms, 1ms};

TEST(Informer, TellsEachNewPortOnce) {
  Program program;
  Informer informer(program.loop, program.open(), {}, program.listener(), quick);
  informer.tell(Port{1});
  EXPECT_TRUE(program.becomes([&] { return program.informed.size() == 1; }));
  informer.tell(Port{2});
  EXPECT_TRUE(program.becomes([&] { return program.informed.size() == 2 && program.asked > 10; }));
  EXPECT_THAT(program.informed, ElementsAre(Port{1}, Port{2}));
}

TEST(Informer, TellsAProgramThatForgot) {
  Program program;
  Informer informer(program.loop, program.open(), {}, program.listener(), quick);
  informer.tell(Port{1});
  EXPECT_TRUE(program.becomes([&] { return program.port == Port{1}; }));
  program.now([&] { program.port = Port{6881}; });
  EXPECT_TRUE(program.becomes([&] { return program.port == Port{1} && program.informed.size() == 2; }));
}

TEST(Informer, GoesOnUntilTheProgramIsUpAndComplainsOnce) {
  Program program;
  program.there = false;
  Informer informer(program.loop, program.open(), {}, program.listener(), quick);
  informer.tell(Port{1});
  EXPECT_TRUE(program.becomes([&] { return program.asked >= 5; }));
  program.now([&] { program.there = true; });
  EXPECT_TRUE(program.becomes([&] { return program.informed.size() == 1; }));
  EXPECT_THAT(program.failures, ElementsAre("server_unreachable"));
}

TEST(Informer, DoesNotRepeatAWrongPassword) {
  Program program;
  program.refuses = "login_refused";
  {
    Informer informer(program.loop, program.open(), {}, program.listener(), quick);
    informer.tell(Port{1});
    EXPECT_TRUE(program.becomes([&] { return program.failures.size() == 1; }));
    informer.tell(Port{2});
    informer.tell(Port{3});
    program.loop.run_for(5ms);
  }
  EXPECT_EQ(program.asked, 1);
}

TEST(Informer, HasAProgramThatDoesNotListenTryAgain) {
  Program program;
  program.deaf = true;
  Informer informer(program.loop, program.open(), program.is_listening(), program.listener(), quick);
  informer.tell(Port{1});
  EXPECT_TRUE(program.becomes([&] { return program.reopened == 1; }));
  // The tunnel comes anew, and so does the deafness.
  program.now([&] { program.deaf = true; });
  informer.tell(Port{1});
  EXPECT_TRUE(program.becomes([&] { return program.reopened == 2 && !program.deaf; }));
  EXPECT_THAT(program.failures, IsEmpty());
}

TEST(Informer, ComplainsOnceOfAProgramThatListensElsewhere) {
  Program program;
  program.deaf = true;
  program.hears_when_reopened = false;
  Informer informer(program.loop, program.open(), program.is_listening(), program.listener(), quick);
  informer.tell(Port{1});
  EXPECT_TRUE(program.becomes([&] { return !program.failures.empty() && program.asked > 5; }));
  EXPECT_THAT(program.failures, ElementsAre("nobody_listens"));
  EXPECT_EQ(program.reopened, 1);
}

TEST(Informer, LeavesTheProgramAloneWithoutAPort) {
  Program program;
  {
    Informer informer(program.loop, program.open(), {}, program.listener(), quick);
    informer.tell(std::nullopt);
    program.loop.run_for(5ms);
  }
  EXPECT_EQ(program.asked, 0);
}

}  // namespace
}  // namespace drpf::client
