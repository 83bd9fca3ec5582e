#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/sqlite/sqlite_lease_history.h"
#include "temporary_directory.h"

namespace drpf::store::sqlite {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

WallTime at(int seconds) { return WallTime(std::chrono::seconds(1'700'000'000 + seconds)); }

lease::Redirection redirection(std::uint32_t generation, int port = 24550, Protocol protocol = Protocol::tcp,
                               const char* host = "198.51.100.1") {
  lease::Redirection out;
  out.generation = lease::Generation{generation};
  out.protocol = protocol;
  out.public_address = *parse_address(host);
  out.public_port = Port{static_cast<std::uint16_t>(port)};
  return out;
}

class LeaseHistoryTest : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open(std::size_t rows_kept_max = LeaseHistory::rows_max) {
    history.reset();
    auto opened = SqliteLeaseHistory::open(directory.path(), rows_kept_max);
    ASSERT_TRUE(opened) << opened.error().message;
    history = std::move(*opened);
  }
  void begin(std::uint32_t generation, const char* account, int when, int port = 24550, Protocol protocol = Protocol::tcp) {
    const std::vector<LeaseHistory::Begun> begun{{redirection(generation, port, protocol), account, std::string(account) + "-laptop"}};
    ASSERT_TRUE(history->record({}, begun, at(when)));
  }
  void end(std::uint32_t generation, int when, int port = 24550) {
    const std::vector<lease::Redirection> ended{redirection(generation, port)};
    ASSERT_TRUE(history->record(ended, {}, at(when)));
  }
  std::vector<std::string> who(int from, int to, std::optional<Protocol> protocol = {}, int port = 24550,
                               const char* host = "198.51.100.1") {
    const auto found = history->find({*parse_address(host), Port{static_cast<std::uint16_t>(port)}, protocol, at(from), at(to)});
    EXPECT_TRUE(found) << found.error().message;
    std::vector<std::string> names;
    for (const auto& past : *found) names.push_back(past.account);
    return names;
  }

  TemporaryDirectory directory;
  std::unique_ptr<SqliteLeaseHistory> history;
};

TEST_F(LeaseHistoryTest, TellsWhoHeldAPortWhen) {
  begin(5, "ann", 10);
  end(5, 20);
  begin(6, "ben", 30);
  EXPECT_THAT(who(9, 9), IsEmpty());
  EXPECT_THAT(who(10, 10), ElementsAre("ann"));
  EXPECT_THAT(who(20, 20), ElementsAre("ann"));
  EXPECT_THAT(who(21, 29), IsEmpty());
  EXPECT_THAT(who(1000, 1000), ElementsAre("ben"));
  EXPECT_THAT(who(0, 1000), ElementsAre("ben", "ann"));
  const auto found = history->find({*parse_address("198.51.100.1"), Port{24550}, {}, at(15), at(15)});
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ(found->front().device, "ann-laptop");
  EXPECT_EQ(found->front().from, at(10));
  EXPECT_EQ(found->front().until, at(20));
}

TEST_F(LeaseHistoryTest, AddressPortAndProtocolAreAllCompared) {
  begin(5, "ann", 10);
  EXPECT_THAT(who(10, 10, Protocol::tcp), ElementsAre("ann"));
  EXPECT_THAT(who(10, 10, Protocol::udp), IsEmpty());
  EXPECT_THAT(who(10, 10, {}, 24551), IsEmpty());
  EXPECT_THAT(who(10, 10, {}, 24550, "198.51.100.2"), IsEmpty());
  EXPECT_THAT(who(10, 10, {}, 24550, "2001:db8::1"), IsEmpty());
}

TEST_F(LeaseHistoryTest, APortHasOneHolderAtATime) {
  begin(5, "ann", 10);
  begin(6, "ben", 30);  // nobody has said that the first one ended
  EXPECT_THAT(who(31, 31), ElementsAre("ben"));
  EXPECT_THAT(who(29, 29), ElementsAre("ann"));
}

TEST_F(LeaseHistoryTest, EndsOnlyTheGenerationThatEnded) {
  begin(6, "ben", 10);
  end(5, 20);
  EXPECT_THAT(who(30, 30), ElementsAre("ben"));
}

TEST_F(LeaseHistoryTest, IsThereAfterARestartWhichEndsWhatIsNoLongerAlive) {
  begin(5, "ann", 10);
  begin(6, "ben", 10, 24551);
  open();
  const std::vector<LeaseHistory::Begun> alive{{redirection(6, 24551), "ben", "ben-laptop"}, {redirection(7, 24552), "cem", "cem-laptop"}};
  ASSERT_TRUE(history->resume(alive, at(100)));
  EXPECT_THAT(who(50, 50), ElementsAre("ann"));
  EXPECT_THAT(who(101, 101), IsEmpty());
  EXPECT_THAT(who(50, 50, {}, 24551), ElementsAre("ben"));
  EXPECT_THAT(who(101, 101, {}, 24551), ElementsAre("ben"));
  EXPECT_THAT(who(101, 101, {}, 24552), ElementsAre("cem"));
}

TEST_F(LeaseHistoryTest, ForgetsWhatEndedLongAgoAndNothingElse) {
  begin(5, "ann", 10);
  end(5, 20);
  begin(6, "ben", 30);
  end(6, 40);
  begin(7, "cem", 5, 24551);
  ASSERT_TRUE(history->forget(at(35)));
  EXPECT_THAT(who(0, 100), ElementsAre("ben"));
  EXPECT_THAT(who(0, 100, {}, 24551), ElementsAre("cem"));
}

TEST_F(LeaseHistoryTest, WhoMakesManyRowsLosesHisOwn) {
  open(20);
  begin(1, "ann", 0, 24000);
  end(1, 1, 24000);
  for (int i = 0; i < 100; ++i) {
    begin(static_cast<std::uint32_t>(i + 2), "ben", 10 + i);
    end(static_cast<std::uint32_t>(i + 2), 11 + i);
  }
  for (int i = 0; i < 30; ++i) begin(static_cast<std::uint32_t>(i + 200), "cem", 200, 25000 + i);
  ASSERT_TRUE(history->forget(at(0)));
  EXPECT_THAT(who(0, 1000), IsEmpty()) << "what still leads somewhere stays, and is more than all that there is room for";
  open(50);
  begin(300, "ann", 0, 24000);
  end(300, 1, 24000);
  for (int i = 0; i < 100; ++i) {
    begin(static_cast<std::uint32_t>(i + 302), "ben", 10 + i);
    end(static_cast<std::uint32_t>(i + 302), 11 + i);
  }
  ASSERT_TRUE(history->forget(at(0)));
  EXPECT_THAT(who(0, 1000, {}, 24000), ElementsAre("ann")) << "the oldest, and not the one that made so many";
  EXPECT_EQ(who(0, 1000).size(), 19U);
  EXPECT_THAT(who(109, 110), ElementsAre("ben", "ben")) << "his newest are there";
}

TEST_F(LeaseHistoryTest, AClockThatWentBackMakesNoLeaseEndBeforeItBegan) {
  begin(5, "ann", 100);
  end(5, 50);
  EXPECT_THAT(who(100, 100), ElementsAre("ann"));
}

TEST_F(LeaseHistoryTest, AnswersAreBounded) {
  for (int i = 0; i < 150; ++i) begin(static_cast<std::uint32_t>(i + 1), "ann", i);
  EXPECT_EQ(who(0, 1000).size(), LeaseHistory::answers_max);
}

TEST_F(LeaseHistoryTest, AFileOfALaterVersionIsLeftAlone) {
  begin(5, "ann", 10);
  history.reset();
  const auto path = directory.path() / SqliteLeaseHistory::file_name;
  {
    auto database = Database::open(path.string());
    ASSERT_TRUE(database);
    ASSERT_TRUE((*database)->execute("PRAGMA user_version = 2"));
  }
  const auto refused = SqliteLeaseHistory::open(directory.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "database_newer");
  {
    auto database = Database::open(path.string());
    ASSERT_TRUE(database);
    ASSERT_TRUE((*database)->execute("PRAGMA user_version = 1"));
  }
  open();
  EXPECT_THAT(who(10, 10), ElementsAre("ann"));
}

}  // namespace
}  // namespace drpf::store::sqlite
