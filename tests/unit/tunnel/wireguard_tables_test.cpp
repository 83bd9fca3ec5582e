#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "tunnel/wireguard/engine_state.h"
#include "tunnel/wireguard/session_table.h"

namespace drpf::tunnel::wireguard {
namespace {

struct Sessions : testing::Test {
  Session& make(std::uint32_t index) {
    owned[index] = std::make_unique<Session>(index, 0, protocol::wireguard::SessionFacts{}, peer, crypto::Key32{}, crypto::Key32{});
    return *owned[index];
  }
  Quiescence quiescence;
  Graveyard graveyard{quiescence};
  PeerState peer{0, {}};
  std::map<std::uint32_t, std::unique_ptr<Session>> owned;
  SessionTable table;
};

TEST_F(Sessions, AgreesWithAMapWhateverComesAndGoes) {
  std::mt19937 random(3);
  for (int round = 0; round < 20'000; ++round) {
    const auto index = static_cast<std::uint32_t>(random() % 4 == 0 ? random() % 400 * 64 : random() % 400);  // many share their low bits
    const auto found = owned.find(index);
    if (found == owned.end()) {
      table.insert(make(index), graveyard);
    } else if (random() % 3 != 0) {
      table.erase(index, graveyard);
      owned.erase(found);
    }
    const auto asked = static_cast<std::uint32_t>(random() % 400);
    const auto expected = owned.find(asked);
    ASSERT_EQ(table.find(asked), expected == owned.end() ? nullptr : expected->second.get()) << round;
  }
  EXPECT_EQ(table.size(), owned.size());
  graveyard.collect();
  EXPECT_TRUE(graveyard.empty());
}

TEST_F(Sessions, ErasingWhatIsNotThereChangesNothing) {
  table.erase(5, graveyard);
  table.insert(make(5), graveyard);
  table.erase(6, graveyard);
  EXPECT_NE(table.find(5), nullptr);
}

// On the heap: g++ 12 forgets alignments above 32 on the stack that AddressSanitizer keeps to find uses after return (GCC bug 110027).
TEST(QuiescenceTest, NothingIsFreedWhileAReaderIsInside) {
  const auto quiescence = std::make_unique<Quiescence>();
  Graveyard graveyard(*quiescence);
  auto object = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = object;
  quiescence->enter(Quiescence::receiver);
  graveyard.bury(std::move(object));
  quiescence->enter(Quiescence::sender);  // came in later: it cannot have seen the object
  graveyard.collect();
  EXPECT_FALSE(watch.expired());
  quiescence->leave(Quiescence::receiver);
  graveyard.collect();
  EXPECT_TRUE(watch.expired());
}

TEST(QuiescenceTest, AReaderThatIsInsideAgainHasLetGo) {
  const auto quiescence = std::make_unique<Quiescence>();
  quiescence->enter(Quiescence::sender);
  const auto mark = quiescence->mark();
  EXPECT_FALSE(quiescence->passed(mark));
  quiescence->leave(Quiescence::sender);
  quiescence->enter(Quiescence::sender);
  EXPECT_TRUE(quiescence->passed(mark));
}

TEST(HandshakeQueueTest, IsBoundedAndKeepsTheOrder) {
  HandshakeQueue queue;
  std::size_t waiting = 0;
  std::array<HandshakeDatagram, 60> taken;  // does not divide the size of the queue
  EXPECT_EQ(queue.take(taken, waiting), 0U);
  EXPECT_FALSE(queue.push(Bytes(149), {}, {}));  // longer than any handshake message
  for (std::size_t round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < protocol::wireguard::handshake_queue_max; ++i) {
      const Bytes bytes{static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(i >> 8)};
      ASSERT_TRUE(queue.push(bytes, {}, {}));
    }
    EXPECT_FALSE(queue.push(Bytes(2), {}, {}));
    for (std::size_t next = 0; next < protocol::wireguard::handshake_queue_max;) {
      const auto count = queue.take(taken, waiting);
      ASSERT_GT(count, 0U);
      for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(taken[i].view()[0] | taken[i].view()[1] << 8, static_cast<int>(next + i));
      next += count;
      ASSERT_EQ(waiting, protocol::wireguard::handshake_queue_max - next);
    }
    EXPECT_TRUE(queue.empty());
  }
}

}  // namespace
}  // namespace drpf::tunnel::wireguard
