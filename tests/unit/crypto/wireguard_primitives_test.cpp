#include "crypto/wireguard_primitives.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "core/encoding.h"
#include "crypto/secret_key.h"

namespace drpf::crypto {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }
Key32 key(std::string_view text) {
  Key32 out{};
  const auto bytes = hex(text);
  EXPECT_EQ(bytes.size(), out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}
ByteView text(std::string_view characters) { return {reinterpret_cast<const std::uint8_t*>(characters.data()), characters.size()}; }
Bytes counting(std::size_t size) {
  Bytes out(size);
  std::iota(out.begin(), out.end(), std::uint8_t{0});
  return out;
}
Key32 counting_key() { return key("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"); }

constexpr std::string_view sunscreen =
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";

TEST(Blake2s, Rfc7693AnnexB) {
  const std::array<ByteView, 1> whole{text("abc")};
  EXPECT_EQ(to_hex(blake2s_256(whole)), "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
  const std::array<ByteView, 3> parts{text("a"), text(""), text("bc")};
  EXPECT_EQ(blake2s_256(parts), blake2s_256(whole));
}

// The inputs of RFC 7693, annex E (six sizes), plain and with two key sizes. The annex also hashes to 20 and 28 bytes, which is not
// offered here, so the hash over all results was computed with an independent implementation (Python's hashlib).
TEST(Blake2s, InputsOfTheRfc7693SelfTest) {
  const auto sequence = [](std::size_t size, std::uint32_t seed) {
    Bytes out(size);
    std::uint32_t a = 0xDEAD4BAD * seed;
    std::uint32_t b = 1;
    for (auto& byte : out) {
      const std::uint32_t t = a + b;
      a = b;
      b = t;
      byte = static_cast<std::uint8_t>(t >> 24);
    }
    return out;
  };
  Bytes all;
  for (const std::size_t size : {0, 3, 64, 65, 255, 1024}) {
    const auto input = sequence(size, static_cast<std::uint32_t>(size));
    const std::array<ByteView, 1> parts{ByteView(input)};
    const auto plain = blake2s_256(parts);
    all.insert(all.end(), plain.begin(), plain.end());
    const auto keyed = blake2s_mac_256(sequence(32, 32), input);
    all.insert(all.end(), keyed.begin(), keyed.end());
    const auto keyed_short = blake2s_mac_128(sequence(16, 16), input);
    all.insert(all.end(), keyed_short.begin(), keyed_short.end());
  }
  const std::array<ByteView, 1> parts{ByteView(all)};
  EXPECT_EQ(to_hex(blake2s_256(parts)), "63141fed7652936329687969be09a02c05f85640a6964b75945acff21d208348");
}

TEST(Blake2sMac, IsTheKeyedHashAndNotHmac) {
  EXPECT_EQ(to_hex(blake2s_mac_128(counting_key(), {})), "9536f9b267655743dee97b8a670f9f53");
  EXPECT_EQ(to_hex(blake2s_mac_256(counting_key(), counting(255))), "3fb735061abc519dfe979e54c1ee5bfad0a9d858b3315bad34bde999efd724dd");
}

TEST(Kdf, MatchesTheKnownVectors) {
  std::array<Key32, 3> out{};
  kdf(text("test-key"), text("test-input"), out);
  EXPECT_EQ(to_hex(out[0]), "6f0e5ad38daba1bea8a0d213688736f19763239305e0f58aba697f9ffc41c633");
  EXPECT_EQ(to_hex(out[1]), "df1194df20802a4fe594cde27e92991c8cae66c366e8106aaa937a55fa371e8a");
  EXPECT_EQ(to_hex(out[2]), "fac6e2745a325f5dc5d11a5b165aad08b0ada28e7b4e666b7c077934a4d76c24");
  std::array<Key32, 1> of_nothing{};
  kdf({}, {}, of_nothing);
  EXPECT_EQ(to_hex(of_nothing[0]), "8387b46bf43eccfcf349552a095d8315c4055beb90208fb1be23b894bc2ed5d0");
}

TEST(Kdf, OutputsDoNotDependOnHowManyAreAskedFor) {
  std::array<Key32, 1> one{};
  std::array<Key32, 2> two{};
  std::array<Key32, 3> three{};
  kdf(text("k"), text("i"), one);
  kdf(text("k"), text("i"), two);
  kdf(text("k"), text("i"), three);
  EXPECT_EQ(one[0], three[0]);
  EXPECT_EQ(two[0], three[0]);
  EXPECT_EQ(two[1], three[1]);
}

TEST(HChaCha20, DraftVector) {
  EXPECT_EQ(to_hex(hchacha20(counting_key(), hex("000000090000004a0000000031415927"))),
            "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc");
}

// draft-irtf-cfrg-xchacha, appendix A.3.1.
TEST(XChaCha20Poly1305, DraftVector) {
  const auto secret = key("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const auto nonce = hex("404142434445464748494a4b4c4d4e4f5051525354555657");
  const auto associated = hex("50515253c0c1c2c3c4c5c6c7");
  Bytes sealed(sunscreen.size() + 16);
  xchacha20_poly1305_seal(secret, nonce, text(sunscreen), associated, sealed);
  EXPECT_EQ(
      to_hex(sealed),
      "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b4522f8c"
      "9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49");
  Bytes opened(sunscreen.size());
  ASSERT_TRUE(xchacha20_poly1305_open(secret, nonce, sealed, associated, opened));
  EXPECT_EQ(std::string(opened.begin(), opened.end()), sunscreen);
  sealed[3] ^= 1;
  EXPECT_FALSE(xchacha20_poly1305_open(secret, nonce, sealed, associated, opened));
}

// RFC 7748, section 5.2.
TEST(X25519, Rfc7748Vectors) {
  EXPECT_EQ(to_hex(*x25519(key("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
                           key("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"))),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
  EXPECT_EQ(to_hex(*x25519(key("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d"),
                           key("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493"))),
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
}

TEST(X25519, Rfc7748IteratedOneAndAThousandTimes) {
  auto k = key("0900000000000000000000000000000000000000000000000000000000000000");
  auto u = k;
  for (int i = 1; i <= 1000; ++i) {
    const auto result = *x25519(k, u);
    u = k;
    k = result;
    if (i == 1) {
      EXPECT_EQ(to_hex(k), "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
  }
  EXPECT_EQ(to_hex(k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

TEST(X25519, PublicKeyIsTheProductWithTheBasePoint) {
  const auto base = key("0900000000000000000000000000000000000000000000000000000000000000");
  const auto secret = key("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1");
  EXPECT_EQ(x25519_public(secret), *x25519(secret, base));
  EXPECT_EQ(to_hex(x25519_public(secret)), "6bc3822a2aa7f4e6981d6538692b3cdf3e6df9eea6ed269eb41d93c22757b75a");
}

// Each of these points, and no ordinary one, gives the all-zero secret.
TEST(X25519, LowOrderPointsShareNoSecret) {
  const auto secret = counting_key();
  for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"})
    EXPECT_FALSE(x25519(secret, key(point))) << point;
}

TEST(X25519, ClampingIsVisibleAndHarmless) {
  Key32 raw{};
  raw.fill(0xff);
  const auto clamped = clamp(raw);
  EXPECT_EQ(clamped[0], 0xf8);
  EXPECT_EQ(clamped[31], 0x7f);
  EXPECT_EQ(clamp(clamped), clamped);
  EXPECT_EQ(x25519_public(raw), x25519_public(clamped));
}

// RFC 8439, section 2.8.2.
TEST(ChaCha20Poly1305, Rfc8439Example) {
  const auto secret = key("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
  const Nonce12 nonce{0x07, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47};
  const auto associated = hex("50515253c0c1c2c3c4c5c6c7");
  Bytes sealed(sunscreen.size() + 16);
  chacha20_poly1305_seal(secret, nonce, text(sunscreen), associated, sealed);
  EXPECT_EQ(to_hex(ByteView(sealed).last(16)), "1ae10b594f09e26a7e902ecbd0600691");
  EXPECT_EQ(to_hex(ByteView(sealed).first(16)), "d31a8d34648e60db7b86afbc53ef7ec2");
}

// RFC 8439, appendix A.5: decryption.
TEST(ChaCha20Poly1305, Rfc8439AppendixA5) {
  const auto secret = key("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
  const Nonce12 nonce{0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
  const auto associated = hex("f33388860000000000004e91");
  const std::string plain =
      "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, replaced, or obsoleted by other "
      "documents at any time. It is inappropriate to use Internet-Drafts as reference material or to cite them other than as "
      "/\xe2\x80\x9cwork in progress./\xe2\x80\x9d";
  Bytes sealed(plain.size() + 16);
  chacha20_poly1305_seal(secret, nonce, text(plain), associated, sealed);
  EXPECT_EQ(to_hex(ByteView(sealed).last(16)), "eead9d67890cbb22392336fea1851f38");
}

TEST(ChaCha20Poly1305, NonceIsFourZeroBytesAndTheCounterInLittleEndian) {
  EXPECT_EQ(to_hex(nonce_of(0x0102030405060708)), "000000000807060504030201");
}

TEST(ChaCha20Poly1305, EveryBitFlipIsSeen) {
  const auto secret = counting_key();
  const auto plain = counting(37);
  const auto associated = counting(5);
  Bytes sealed(plain.size() + 16);
  chacha20_poly1305_seal(secret, 7, plain, associated, sealed);
  Bytes opened(plain.size());
  ASSERT_TRUE(chacha20_poly1305_open(secret, 7, sealed, associated, opened));
  EXPECT_EQ(opened, plain);
  EXPECT_FALSE(chacha20_poly1305_open(secret, 8, sealed, associated, opened));
  EXPECT_FALSE(chacha20_poly1305_open(secret, 7, sealed, {}, opened));
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    auto bad = sealed;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(chacha20_poly1305_open(secret, 7, bad, associated, opened)) << "bit " << bit;
  }
}

TEST(ChaCha20Poly1305, TooShortToHoldATagIsNotAuthentic) {
  Bytes nothing;
  EXPECT_FALSE(chacha20_poly1305_open(counting_key(), 0, counting(15), {}, nothing));
  EXPECT_FALSE(xchacha20_poly1305_open(counting_key(), counting(24), counting(15), {}, nothing));
}

TEST(Primitives, MayBeUsedByManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::array<bool, 4> good{};
  for (std::size_t i = 0; i < good.size(); ++i)
    threads.emplace_back([i, &good] {
      bool all = true;
      for (std::uint64_t counter = 0; counter < 200; ++counter) {
        const auto plain = counting(64 + i);
        Bytes buffer(plain.size() + 16);
        Bytes opened(plain.size());
        chacha20_poly1305_seal(counting_key(), counter, plain, {}, buffer);
        all = all && chacha20_poly1305_open(counting_key(), counter, buffer, {}, opened) && opened == plain;
        all = all && blake2s_mac_128(counting_key(), {}) == blake2s_mac_128(counting_key(), {});
        std::array<Key32, 2> out{};
        kdf(counting_key(), buffer, out);
        all = all && out[0] != out[1];
      }
      good[i] = all;
    });
  for (auto& thread : threads) thread.join();
  for (const bool one : good) EXPECT_TRUE(one);
}

TEST(EqualConstantTime, ComparesContentAndSize) {
  EXPECT_TRUE(equal_constant_time(counting(16), counting(16)));
  EXPECT_FALSE(equal_constant_time(counting(16), counting(15)));
  auto other = counting(16);
  other[15] ^= 1;
  EXPECT_FALSE(equal_constant_time(counting(16), other));
  EXPECT_TRUE(equal_constant_time({}, {}));
}

// Regression 17: secrets are wiped. The object lives in a buffer that outlasts it, so that what is left can be read.
TEST(SecretKey, Regression17_IsWipedWhenItDiesAndWhenItIsMovedFrom) {
  alignas(SecretKey) std::array<std::uint8_t, sizeof(SecretKey)> place{};
  auto* secret = new (place.data()) SecretKey(counting_key());
  EXPECT_EQ(secret->bytes(), counting_key());
  const SecretKey taken = std::move(*secret);
  EXPECT_EQ(taken.bytes(), counting_key());
  EXPECT_EQ(secret->bytes(), Key32{});
  *secret = taken;
  EXPECT_EQ(secret->bytes(), counting_key());
  secret->~SecretKey();
  EXPECT_TRUE(std::all_of(place.begin(), place.end(), [](std::uint8_t byte) { return byte == 0; }));
}

TEST(SystemRandom, FillsAndDoesNotRepeat) {
  SystemRandom random;
  Bytes a(300);
  Bytes b(300);
  random.fill(a);
  random.fill(b);
  EXPECT_NE(a, b);
  EXPECT_NE(generate_private_key(random), generate_private_key(random));
  const auto secret = generate_private_key(random);
  EXPECT_EQ(clamp(secret), secret);
}

}  // namespace
}  // namespace drpf::crypto
