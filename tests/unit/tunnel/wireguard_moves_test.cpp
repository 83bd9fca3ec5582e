// Who has a key can send in the name of any address: nobody else is to be shut out by that, and nothing is to be sent there. The wall is
// also taken away, and the name is then believed.
#include <gtest/gtest.h>

#include "unit/tunnel/engine_pair.h"

namespace drpf::test {
namespace {

class NamesOfOthers : public EnginePair {
 protected:
  static constexpr std::uint32_t elsewhere = 0x7f000009;  // an address of this machine too
  void let_in(bool ask_for_proof = true) {
    start({}, {.require_admission = true, .ask_for_proof = ask_for_proof});
    key = crypto::x25519_public(a_key);
    a->put(packet);
    ASSERT_TRUE(eventually([&] { return b->count<PeerConnected>() == 1; }));
    b->engine->admit(key, Address::v4(0x7f000001));
    ASSERT_TRUE(b->take());
  }
  std::uint64_t sent() const { return b->engine->status(key)->bytes_sent; }

  Key key{};
  const Bytes packet = make_packet({.udp = true});
};

TEST_F(NamesOfOthers, AreNotBelievedOfData) {
  let_in();
  const auto before = sent();
  b->io.set_seen_from(std::pair(elsewhere, Port(9)));
  for (int i = 0; i < 3; ++i) a->put(packet);
  ASSERT_TRUE(eventually([&] { return sent() >= before + 148; })) << "it is asked there, and nobody answers";
  EXPECT_FALSE(b->take(100));
  EXPECT_EQ(b->count<PeerRoamed>(), 0U);
  EXPECT_EQ(b->engine->status(key)->endpoint, a->endpoint());
  b->io.set_seen_from({});
  expect_passes(*a, *b, packet);
  EXPECT_EQ(b->count<PeerConnected>(), 1U);
}

TEST_F(NamesOfOthers, AreNotBelievedOfHandshakes) {
  let_in();
  b->io.set_seen_from(std::pair(elsewhere, Port(9)));
  const auto before = sent();
  reconnect_a();
  a->put(packet);
  ASSERT_TRUE(eventually([&] { return sent() >= before + 92; }));
  EXPECT_FALSE(b->take(100));
  EXPECT_EQ(b->count<PeerRoamed>(), 0U);
  EXPECT_EQ(b->engine->status(key)->endpoint, a->endpoint());
}

TEST_F(NamesOfOthers, AreBelievedWhereNoProofIsAskedFor) {
  let_in(false);
  b->io.set_seen_from(std::pair(elsewhere, Port(9)));
  a->put(packet);
  EXPECT_TRUE(eventually([&] { return b->count<PeerRoamed>() == 1; }));
}

TEST_F(NamesOfOthers, AMoveIsToldWhenItHasAnsweredThere) {
  let_in();
  b->io.set_seen_from(std::pair(elsewhere, a->engine->port()));
  a->put(packet);
  ASSERT_TRUE(eventually([&] { return b->count<PeerRoamed>() == 1; }));
  EXPECT_FALSE(b->take(100));
  b->engine->admit(key, Address::v4(elsewhere));
  const auto got = b->take();
  ASSERT_TRUE(got) << "it had only waited";
  EXPECT_EQ(got->packet, packet);
  EXPECT_EQ(b->engine->status(key)->endpoint->address, Address::v4(elsewhere));
  expect_passes(*b, *a, back(packet));
  // And back again, which is a move like another.
  b->io.set_seen_from(std::pair(std::uint32_t{0x7f000001}, a->engine->port()));
  EXPECT_TRUE(eventually([&] {
    a->put(packet);
    return b->count<PeerRoamed>() == 2;
  }));
}

}  // namespace
}  // namespace drpf::test
