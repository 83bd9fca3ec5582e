// ChaCha20-Poly1305 for the packet path: in place, without associated data, the key changed between packets as often as one likes.
// Intel's multi-buffer library does it in half the time where the processor has AVX-512; OpenSSL does it everywhere.
#pragma once

#include <cstdint>
#include <memory>

#include "core/bytes.h"
#include "crypto/wireguard_primitives.h"

namespace drpf::crypto {

// Not thread-safe: each thread has its own.
class TransportCipher {
 public:
  enum class Direction : std::uint8_t { seal, open };
  enum class Library : std::uint8_t { openssl, multi_buffer };

  // The faster one that works here; decided once, by the processor and by whether both give the same bytes.
  static Library best_library();

  TransportCipher(const Key32& key, Direction direction, Library library = best_library());
  ~TransportCipher();
  TransportCipher(TransportCipher&&) noexcept;
  TransportCipher& operator=(TransportCipher&&) noexcept;

  void set_key(const Key32& key);
  // buffer = plaintext followed by 16 free bytes; afterwards ciphertext || tag. nonce = 4 zero bytes || counter (LE).
  void seal(std::uint64_t counter, MutableByteView buffer_with_tag);
  // buffer = ciphertext || tag; on true the first size-16 bytes are the plaintext, on false they are worth nothing.
  bool open(std::uint64_t counter, MutableByteView buffer_with_tag);

  class Implementation;

 private:
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace drpf::crypto
