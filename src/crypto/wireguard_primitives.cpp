#include "crypto/wireguard_primitives.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/random.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

namespace drpf::crypto {
namespace {

constexpr std::size_t tag_size = 16;

struct Free {
  void operator()(EVP_CIPHER* p) const { EVP_CIPHER_free(p); }
  void operator()(EVP_CIPHER_CTX* p) const { EVP_CIPHER_CTX_free(p); }
  void operator()(EVP_MD* p) const { EVP_MD_free(p); }
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
  void operator()(EVP_MAC* p) const { EVP_MAC_free(p); }
  void operator()(EVP_MAC_CTX* p) const { EVP_MAC_CTX_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const { EVP_PKEY_CTX_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

// What is checked here fails only when memory runs out or the host's OpenSSL lacks an algorithm: nothing a peer can cause.
void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("OpenSSL refused ") + what + "; is it restricted to FIPS algorithms?");
}
int int_size(std::size_t size) {
  assert(size <= INT32_MAX);
  return static_cast<int>(size);
}

// Fetched once: a fetch per call takes locks that all threads share.
const EVP_CIPHER* chacha20_poly1305() {
  static const Owned<EVP_CIPHER> cipher(EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr));
  require(cipher != nullptr, "ChaCha20-Poly1305");
  return cipher.get();
}
const EVP_CIPHER* chacha20() {
  static const Owned<EVP_CIPHER> cipher(EVP_CIPHER_fetch(nullptr, "ChaCha20", nullptr));
  require(cipher != nullptr, "ChaCha20");
  return cipher.get();
}
const EVP_MD* blake2s() {
  static const Owned<EVP_MD> digest(EVP_MD_fetch(nullptr, "BLAKE2S-256", nullptr));
  require(digest != nullptr, "BLAKE2S-256");
  return digest.get();
}
EVP_MAC* blake2s_mac() {
  static const Owned<EVP_MAC> mac(EVP_MAC_fetch(nullptr, "BLAKE2SMAC", nullptr));
  require(mac != nullptr, "BLAKE2SMAC");
  return mac.get();
}
EVP_MAC* hmac() {
  static const Owned<EVP_MAC> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  require(mac != nullptr, "HMAC");
  return mac.get();
}

void keyed_blake2s(ByteView key, ByteView message, MutableByteView out) {
  const Owned<EVP_MAC_CTX> context(EVP_MAC_CTX_new(blake2s_mac()));
  std::size_t size = out.size();
  const std::array<OSSL_PARAM, 2> parameters{OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end()};
  require(context && EVP_MAC_init(context.get(), key.data(), key.size(), parameters.data()) == 1 &&
              EVP_MAC_update(context.get(), message.data(), message.size()) == 1 &&
              EVP_MAC_final(context.get(), out.data(), &size, out.size()) == 1,
          "BLAKE2SMAC");
}

// The context holds the key (and the direction) already.
void seal_with(EVP_CIPHER_CTX* context, const Nonce12& nonce, ByteView plain, ByteView associated, MutableByteView out) {
  int n = 0;
  bool good = EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1;
  if (good && !associated.empty()) good = EVP_EncryptUpdate(context, nullptr, &n, associated.data(), int_size(associated.size())) == 1;
  if (good && !plain.empty()) good = EVP_EncryptUpdate(context, out.data(), &n, plain.data(), int_size(plain.size())) == 1;
  const auto tag = out.subspan(plain.size(), tag_size);
  good = good && EVP_EncryptFinal_ex(context, tag.data(), &n) == 1 &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, int_size(tag_size), tag.data()) == 1;
  require(good, "to encrypt with ChaCha20-Poly1305");
}
bool open_with(EVP_CIPHER_CTX* context, const Nonce12& nonce, ByteView sealed, ByteView associated, MutableByteView out) {
  const auto body = sealed.first(sealed.size() - tag_size);
  std::array<std::uint8_t, tag_size> tag{};  // a copy, for SET_TAG wants it mutable
  std::copy_n(sealed.end() - tag_size, tag_size, tag.begin());
  int n = 0;
  require(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
              EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, int_size(tag_size), tag.data()) == 1,
          "to decrypt with ChaCha20-Poly1305");
  bool good = true;
  if (!associated.empty()) good = EVP_DecryptUpdate(context, nullptr, &n, associated.data(), int_size(associated.size())) == 1;
  if (good && !body.empty()) good = EVP_DecryptUpdate(context, out.data(), &n, body.data(), int_size(body.size())) == 1;
  return good && EVP_DecryptFinal_ex(context, tag.data(), &n) == 1;
}

Owned<EVP_CIPHER_CTX> aead_context(const Key32& key, bool encrypt) {
  Owned<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  require(context && EVP_CipherInit_ex2(context.get(), chacha20_poly1305(), key.data(), nullptr, encrypt ? 1 : 0, nullptr) == 1,
          "a ChaCha20-Poly1305 key");
  return context;
}

Nonce12 xchacha_nonce(ByteView nonce24) {
  Nonce12 nonce{};
  std::copy(nonce24.begin() + 16, nonce24.end(), nonce.begin() + 4);
  return nonce;
}

}  // namespace

Key32 blake2s_256(std::span<const ByteView> parts) {
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  bool good = context && EVP_DigestInit_ex2(context.get(), blake2s(), nullptr) == 1;
  for (const auto part : parts) good = good && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  Key32 out{};
  require(good && EVP_DigestFinal_ex(context.get(), out.data(), nullptr) == 1, "BLAKE2S-256");
  return out;
}

Tag16 blake2s_mac_128(ByteView key, ByteView message) {
  Tag16 out{};
  keyed_blake2s(key, message, out);
  return out;
}

Key32 blake2s_mac_256(ByteView key, ByteView message) {
  Key32 out{};
  keyed_blake2s(key, message, out);
  return out;
}

Key32 hmac_blake2s(ByteView key, std::span<const ByteView> parts) {
  static constexpr std::uint8_t empty_key = 0;
  const Owned<EVP_MAC_CTX> context(EVP_MAC_CTX_new(hmac()));
  std::string digest = "BLAKE2S-256";
  const std::array<OSSL_PARAM, 2> parameters{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
                                             OSSL_PARAM_construct_end()};
  // A null key would mean "the key of before", so an empty one needs an address too.
  bool good = context && EVP_MAC_init(context.get(), key.empty() ? &empty_key : key.data(), key.size(), parameters.data()) == 1;
  for (const auto part : parts) good = good && EVP_MAC_update(context.get(), part.data(), part.size()) == 1;
  Key32 out{};
  std::size_t size = 0;
  require(good && EVP_MAC_final(context.get(), out.data(), &size, out.size()) == 1, "HMAC-BLAKE2S-256");
  return out;
}

void kdf(ByteView key, ByteView input, std::span<Key32> outputs) {
  assert(!outputs.empty() && outputs.size() <= 3);
  const std::array<ByteView, 1> extract{input};
  auto secret = hmac_blake2s(key, extract);
  ByteView previous;
  std::uint8_t number = 0;
  for (auto& output : outputs) {
    ++number;
    const std::array<ByteView, 2> expand{previous, ByteView(&number, 1)};
    output = hmac_blake2s(secret, expand);
    previous = output;
  }
  cleanse(secret);
}

Key32 x25519_public(const Key32& private_key) {
  const Owned<EVP_PKEY> key(EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, private_key.data(), private_key.size()));
  Key32 out{};
  std::size_t size = out.size();
  require(key && EVP_PKEY_get_raw_public_key(key.get(), out.data(), &size) == 1, "an X25519 private key");
  return out;
}

std::optional<Key32> x25519(const Key32& private_key, const Key32& public_key) {
  const Owned<EVP_PKEY> own(EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, private_key.data(), private_key.size()));
  const Owned<EVP_PKEY> remote(EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, public_key.data(), public_key.size()));
  const Owned<EVP_PKEY_CTX> context(own ? EVP_PKEY_CTX_new_from_pkey(nullptr, own.get(), nullptr) : nullptr);
  require(context && remote && EVP_PKEY_derive_init(context.get()) == 1, "X25519");
  if (EVP_PKEY_derive_set_peer(context.get(), remote.get()) != 1) return std::nullopt;
  Key32 out{};
  std::size_t size = out.size();
  if (EVP_PKEY_derive(context.get(), out.data(), &size) != 1) return std::nullopt;  // OpenSSL refuses an all-zero result
  static constexpr Key32 zero{};
  if (equal_constant_time(out, zero)) return std::nullopt;
  return out;
}

bool is_usable_public_key(const Key32& public_key) {
  // Little-endian; the prime is 2^255 - 19.
  constexpr std::uint8_t prime_first = 0xed;
  const bool above_prime = public_key[31] == 0x7f && public_key[0] >= prime_first &&
                           std::all_of(public_key.begin() + 1, public_key.end() - 1, [](std::uint8_t byte) { return byte == 0xff; });
  Key32 any{};
  any[0] = 8;
  return public_key[31] < 0x80 && !above_prime && x25519(any, public_key).has_value();
}

Key32 clamp(Key32 private_key) {
  private_key[0] = static_cast<std::uint8_t>(private_key[0] & 248);
  private_key[31] = static_cast<std::uint8_t>((private_key[31] & 127) | 64);
  return private_key;
}

Key32 generate_private_key(Random& random) {
  Key32 key{};
  random.fill(key);
  return clamp(key);
}

Nonce12 nonce_of(std::uint64_t counter) {
  Nonce12 nonce{};
  for (std::size_t i = 4; i < nonce.size(); ++i, counter >>= 8) nonce[i] = static_cast<std::uint8_t>(counter);
  return nonce;
}

void chacha20_poly1305_seal(const Key32& key, std::uint64_t counter, ByteView plain, ByteView associated, MutableByteView out) {
  chacha20_poly1305_seal(key, nonce_of(counter), plain, associated, out);
}

bool chacha20_poly1305_open(const Key32& key, std::uint64_t counter, ByteView sealed, ByteView associated, MutableByteView out) {
  return chacha20_poly1305_open(key, nonce_of(counter), sealed, associated, out);
}

void chacha20_poly1305_seal(const Key32& key, const Nonce12& nonce, ByteView plain, ByteView associated, MutableByteView out) {
  assert(out.size() == plain.size() + tag_size);
  seal_with(aead_context(key, true).get(), nonce, plain, associated, out);
}

bool chacha20_poly1305_open(const Key32& key, const Nonce12& nonce, ByteView sealed, ByteView associated, MutableByteView out) {
  if (sealed.size() < tag_size) return false;
  assert(out.size() == sealed.size() - tag_size);
  return open_with(aead_context(key, false).get(), nonce, sealed, associated, out);
}

void xchacha20_poly1305_seal(const Key32& key, ByteView nonce24, ByteView plain, ByteView associated, MutableByteView out) {
  assert(nonce24.size() == 24);
  auto subkey = hchacha20(key, nonce24.first(16));
  chacha20_poly1305_seal(subkey, xchacha_nonce(nonce24), plain, associated, out);
  cleanse(subkey);
}

bool xchacha20_poly1305_open(const Key32& key, ByteView nonce24, ByteView sealed, ByteView associated, MutableByteView out) {
  assert(nonce24.size() == 24);
  auto subkey = hchacha20(key, nonce24.first(16));
  const bool good = chacha20_poly1305_open(subkey, xchacha_nonce(nonce24), sealed, associated, out);
  cleanse(subkey);
  return good;
}

// A ChaCha20 block is the permuted state plus the state it started from; taking the start away again leaves the permutation, which is
// what HChaCha20 is made of (draft-irtf-cfrg-xchacha, section 2.2).
Key32 hchacha20(const Key32& key, ByteView input16) {
  assert(input16.size() == 16);
  const Owned<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  static constexpr std::array<std::uint8_t, 64> zeros{};
  std::array<std::uint8_t, 64> block{};
  int n = 0;
  require(context && EVP_EncryptInit_ex2(context.get(), chacha20(), key.data(), input16.data(), nullptr) == 1 &&
              EVP_EncryptUpdate(context.get(), block.data(), &n, zeros.data(), int_size(zeros.size())) == 1,
          "ChaCha20");
  static constexpr std::array<std::uint32_t, 4> constants{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  ByteReader words(block);
  ByteReader input(input16);
  ByteWriter out;
  for (const auto constant : constants) out.u32_le(words.u32_le() - constant);
  words.skip(32);
  for (int i = 0; i < 4; ++i) out.u32_le(words.u32_le() - input.u32_le());
  Key32 result{};
  auto bytes = out.take();
  std::copy(bytes.begin(), bytes.end(), result.begin());
  cleanse(bytes);
  cleanse(block);
  return result;
}

bool equal_constant_time(ByteView a, ByteView b) { return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

void cleanse(MutableByteView secret) { OPENSSL_cleanse(secret.data(), secret.size()); }

void SystemRandom::fill(MutableByteView out) {
  while (!out.empty()) {
    const auto got = getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category(), "reading the kernel's random source");
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace drpf::crypto
