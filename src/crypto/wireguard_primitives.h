// The cryptography that WireGuard is made of, as plain functions over bytes. The one place (with the rest of crypto/) that calls OpenSSL.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "core/bytes.h"
#include "core/random.h"

namespace drpf::crypto {

using Key32 = std::array<std::uint8_t, 32>;
using Tag16 = std::array<std::uint8_t, 16>;

Key32 blake2s_256(std::span<const ByteView> parts);
Tag16 blake2s_mac_128(ByteView key, ByteView message);
Key32 blake2s_mac_256(ByteView key, ByteView message);
Key32 hmac_blake2s(ByteView key, std::span<const ByteView> parts);
// HKDF of the WireGuard paper: n = outputs.size() in 1..3.
void kdf(ByteView key, ByteView input, std::span<Key32> outputs);

Key32 x25519_public(const Key32& private_key);
// None when the shared secret is all zero (low-order point): the message must be dropped.
std::optional<Key32> x25519(const Key32& private_key, const Key32& public_key);
// Spelled as key generators spell them (RFC 7748 section 5 lets others pass), and not of low order.
bool is_usable_public_key(const Key32& public_key);
Key32 clamp(Key32 private_key);
Key32 generate_private_key(Random& random);

using Nonce12 = std::array<std::uint8_t, 12>;
// WireGuard's nonce: 4 zero bytes, then the counter (LE).
Nonce12 nonce_of(std::uint64_t counter);

// out = ciphertext || tag, so out.size() == plain.size() + 16; in place is fine (out.data() == plain.data()).
void chacha20_poly1305_seal(const Key32& key, std::uint64_t counter, ByteView plain, ByteView associated, MutableByteView out);
// False, and out unspecified, when authentication fails. out.size() == sealed.size() - 16.
bool chacha20_poly1305_open(const Key32& key, std::uint64_t counter, ByteView sealed, ByteView associated, MutableByteView out);
void chacha20_poly1305_seal(const Key32& key, const Nonce12& nonce, ByteView plain, ByteView associated, MutableByteView out);
bool chacha20_poly1305_open(const Key32& key, const Nonce12& nonce, ByteView sealed, ByteView associated, MutableByteView out);
void xchacha20_poly1305_seal(const Key32& key, ByteView nonce24, ByteView plain, ByteView associated, MutableByteView out);
bool xchacha20_poly1305_open(const Key32& key, ByteView nonce24, ByteView sealed, ByteView associated, MutableByteView out);
Key32 hchacha20(const Key32& key, ByteView input16);

bool equal_constant_time(ByteView a, ByteView b);
void cleanse(MutableByteView secret);

// The kernel's random source.
class SystemRandom final : public Random {
 public:
  void fill(MutableByteView out) override;
};

}  // namespace drpf::crypto
