#include "crypto/transport_cipher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <thread>

#include "crypto/wireguard_primitives.h"

namespace drpf::crypto {
namespace {

using Direction = TransportCipher::Direction;
using Library = TransportCipher::Library;

Bytes ascending(std::size_t size) {
  Bytes out(size);
  std::iota(out.begin(), out.end(), std::uint8_t{0});
  return out;
}

Key32 ascending_key(std::uint8_t from = 0) {
  Key32 key{};
  std::iota(key.begin(), key.end(), from);
  return key;
}

std::vector<Library> libraries() {
  std::vector<Library> all{Library::openssl};
  if (TransportCipher::best_library() != Library::openssl) all.push_back(TransportCipher::best_library());
  return all;
}

class TransportCiphers : public testing::TestWithParam<Library> {
 protected:
  static TransportCipher sealer(const Key32& key = ascending_key()) { return TransportCipher(key, Direction::seal, GetParam()); }
  static TransportCipher opener(const Key32& key = ascending_key()) { return TransportCipher(key, Direction::open, GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Libraries, TransportCiphers, testing::ValuesIn(libraries()),
                         [](const auto& library) { return library.param == Library::openssl ? "OpenSsl" : "MultiBuffer"; });

TEST_P(TransportCiphers, SealInPlaceExactlyAsTheOneShotFunction) {
  auto seals = sealer();
  auto opens = opener();
  std::vector<std::size_t> sizes(1100);
  std::iota(sizes.begin(), sizes.end(), std::size_t{0});
  for (const std::size_t size : {1424, 1436, 2048, 9008, 65535 - 16}) sizes.push_back(size);
  for (const auto size : sizes) {
    const auto plain = ascending(size);
    for (const std::uint64_t counter : {std::uint64_t{size}, std::uint64_t{1} << 60, UINT64_MAX}) {
      Bytes expected(size + 16);
      chacha20_poly1305_seal(ascending_key(), counter, plain, {}, expected);
      auto buffer = plain;
      buffer.resize(size + 16);
      seals.seal(counter, buffer);
      ASSERT_EQ(buffer, expected) << size << " " << counter;
      ASSERT_TRUE(opens.open(counter, buffer)) << size << " " << counter;
      ASSERT_TRUE(std::equal(plain.begin(), plain.end(), buffer.begin()));
    }
  }
}

// At odd places in memory, and nothing beside the packet is touched.
TEST_P(TransportCiphers, StayInsideTheirPacket) {
  auto seals = sealer();
  for (std::size_t at = 0; at < 64; ++at) {
    Bytes memory(2000, 0xee);
    const auto packet = MutableByteView(memory).subspan(at, 1436 + 16);
    seals.seal(7, packet);
    EXPECT_TRUE(std::all_of(memory.begin(), memory.begin() + static_cast<std::ptrdiff_t>(at), [](auto byte) { return byte == 0xee; }));
    EXPECT_TRUE(std::all_of(packet.end(), MutableByteView(memory).end(), [](auto byte) { return byte == 0xee; }));
  }
}

TEST_P(TransportCiphers, EveryChangedBitIsNoticed) {
  auto seals = sealer();
  auto opens = opener();
  Bytes good(100 + 16);
  seals.seal(5, good);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto forged = good;
    forged[bit / 8] = static_cast<std::uint8_t>(forged[bit / 8] ^ (1U << (bit % 8)));
    ASSERT_FALSE(opens.open(5, forged)) << bit;
  }
  auto wrong_counter = good;
  EXPECT_FALSE(opens.open(6, wrong_counter));
  Bytes too_short(15);
  EXPECT_FALSE(opens.open(5, too_short));
  EXPECT_TRUE(opens.open(5, good)) << "a forgery does not spoil the next packet";
}

TEST_P(TransportCiphers, TakeCountersInAnyOrderAndKeysByTurns) {
  auto seals = sealer();
  auto opens = opener();
  Bytes packets[4];
  for (std::uint8_t i = 0; i < 4; ++i) {
    packets[i] = ascending(40);
    seals.set_key(ascending_key(i));
    seals.seal(10U - i, packets[i]);
  }
  for (const std::uint8_t i : {std::uint8_t{2}, std::uint8_t{0}, std::uint8_t{3}, std::uint8_t{1}}) {
    opens.set_key(ascending_key(99));
    auto copy = packets[i];
    EXPECT_FALSE(opens.open(10U - i, copy));
    opens.set_key(ascending_key(i));
    EXPECT_TRUE(opens.open(10U - i, packets[i]));
  }
}

TEST_P(TransportCiphers, CanBeMoved) {
  auto seals = sealer();
  auto moved = std::move(seals);
  Bytes buffer(16);
  moved.seal(0, buffer);
  auto opens = opener(Key32{});
  opens = opener();
  EXPECT_TRUE(opens.open(0, buffer));
}

TEST_P(TransportCiphers, OfEachThreadItsOwnWorkBesideEachOther) {
  std::vector<std::thread> threads;
  std::array<bool, 4> good{};
  for (std::size_t i = 0; i < good.size(); ++i)
    threads.emplace_back([i, &good] {
      auto seals = sealer(ascending_key(static_cast<std::uint8_t>(i)));
      auto opens = opener(ascending_key(static_cast<std::uint8_t>(i)));
      bool all = true;
      for (std::uint64_t counter = 0; counter < 500; ++counter) {
        Bytes buffer(64 + i);
        seals.seal(counter, buffer);
        all = all && opens.open(counter, buffer);
      }
      good[i] = all;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, (std::array{true, true, true, true}));
}

}  // namespace
}  // namespace drpf::crypto
