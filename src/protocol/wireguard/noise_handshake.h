// Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, both roles, over bytes. Prologue and payloads are parameters; indices, MACs and time stamps
// are not its business.
#pragma once

#include <optional>

#include "core/bytes.h"
#include "crypto/secret_key.h"

namespace drpf::protocol::wireguard {

struct Identity {
  crypto::SecretKey private_key;
  crypto::Key32 public_key{};
  static Identity from_private(const crypto::Key32& private_key);
};

struct TransportKeys {
  crypto::SecretKey send;
  crypto::SecretKey receive;
};

// The prologue that WireGuard uses.
ByteView wireguard_prologue();

// Chaining key, hash and cipher key (Noise specification, section 5.2).
class SymmetricState {
 public:
  explicit SymmetricState(ByteView prologue);
  void mix_hash(ByteView data);
  void mix_key(ByteView input);
  void mix_key_and_hash(ByteView input);
  void encrypt_and_hash(ByteView plain, Bytes& out);
  std::optional<Bytes> decrypt_and_hash(ByteView sealed);
  // First the initiator's sending key, then the responder's.
  std::pair<crypto::SecretKey, crypto::SecretKey> split() const;
  const crypto::Key32& hash() const { return hash_; }

 private:
  crypto::SecretKey chaining_key_;
  crypto::SecretKey cipher_key_;
  crypto::Key32 hash_{};
};

// `static_static` is DH(own static, remote static), which the caller keeps per peer. None = refused, e.g. a low-order key.
class NoiseInitiator {
 public:
  NoiseInitiator(const Identity& own, const crypto::Key32& remote_static, ByteView prologue);
  std::optional<Bytes> write_first(const crypto::SecretKey& ephemeral, const crypto::SecretKey& static_static, ByteView payload);
  // The payload. A message that fails leaves the state as it was, so that a forged answer cannot spoil the true one.
  std::optional<Bytes> read_second(ByteView message, const crypto::SecretKey& psk);
  TransportKeys keys() const;
  const crypto::Key32& hash() const { return state_.hash(); }

 private:
  Identity own_;
  crypto::Key32 remote_static_;
  SymmetricState state_;
  crypto::SecretKey ephemeral_;
};

class NoiseResponder {
 public:
  NoiseResponder(const Identity& own, ByteView prologue);
  // First 80 bytes of the first message: who sends it (not yet proven).
  std::optional<crypto::Key32> read_first_static(ByteView ephemeral_and_static);
  // The rest of it; success proves the sender.
  std::optional<Bytes> read_first_payload(const crypto::SecretKey& static_static, ByteView sealed);
  std::optional<Bytes> write_second(const crypto::SecretKey& ephemeral, const crypto::SecretKey& psk, ByteView payload);
  TransportKeys keys() const;
  const crypto::Key32& hash() const { return state_.hash(); }

 private:
  Identity own_;
  SymmetricState state_;
  crypto::Key32 remote_ephemeral_{};
  crypto::Key32 remote_static_{};
};

}  // namespace drpf::protocol::wireguard
