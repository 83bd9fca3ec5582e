#include "protocol/wireguard/noise_handshake.h"
#include "protocol/wireguard/messages.h"

#include <algorithm>
#include <string_view>

namespace drpf::protocol::wireguard {
namespace {

constexpr std::string_view construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
constexpr std::string_view identifier = "WireGuard v1 zx2c4 Jason@zx2c4.com";
constexpr std::size_t key_size = 32;

template <std::size_t N>
constexpr std::array<std::uint8_t, N> to_bytes(std::string_view text) {
  std::array<std::uint8_t, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = static_cast<std::uint8_t>(text[i]);
  return out;
}
constexpr auto construction_bytes = to_bytes<construction.size()>(construction);
constexpr auto identifier_bytes = to_bytes<identifier.size()>(identifier);

crypto::Key32 hash_of(ByteView a, ByteView b = {}) {
  const std::array<ByteView, 2> parts{a, b};
  return crypto::blake2s_256(parts);
}

std::optional<crypto::SecretKey> shared_secret(const crypto::SecretKey& own, const crypto::Key32& remote) {
  auto secret = crypto::x25519(own.bytes(), remote);
  if (!secret) return std::nullopt;
  crypto::SecretKey result(*secret);
  crypto::cleanse(*secret);
  return result;
}

}  // namespace

Identity Identity::from_private(const crypto::Key32& private_key) {
  return {crypto::SecretKey(private_key), crypto::x25519_public(private_key)};
}

ByteView wireguard_prologue() { return identifier_bytes; }

SymmetricState::SymmetricState(ByteView prologue) : chaining_key_(hash_of(construction_bytes)), hash_(chaining_key_.bytes()) {
  mix_hash(prologue);
}

void SymmetricState::mix_hash(ByteView data) { hash_ = hash_of(hash_, data); }

void SymmetricState::mix_key(ByteView input) {
  std::array<crypto::Key32, 2> outputs{};
  crypto::kdf(chaining_key_.bytes(), input, outputs);
  chaining_key_.bytes() = outputs[0];
  cipher_key_.bytes() = outputs[1];
  for (auto& output : outputs) crypto::cleanse(output);
}

void SymmetricState::mix_key_and_hash(ByteView input) {
  std::array<crypto::Key32, 3> outputs{};
  crypto::kdf(chaining_key_.bytes(), input, outputs);
  chaining_key_.bytes() = outputs[0];
  mix_hash(outputs[1]);
  cipher_key_.bytes() = outputs[2];
  for (auto& output : outputs) crypto::cleanse(output);
}

// In this pattern every key encrypts one message only, so the nonce is always 0.
void SymmetricState::encrypt_and_hash(ByteView plain, Bytes& out) {
  Bytes sealed(plain.size() + tag_size);
  crypto::chacha20_poly1305_seal(cipher_key_.bytes(), 0, plain, hash_, sealed);
  mix_hash(sealed);
  out.insert(out.end(), sealed.begin(), sealed.end());
}

std::optional<Bytes> SymmetricState::decrypt_and_hash(ByteView sealed) {
  if (sealed.size() < tag_size) return std::nullopt;
  Bytes plain(sealed.size() - tag_size);
  if (!crypto::chacha20_poly1305_open(cipher_key_.bytes(), 0, sealed, hash_, plain)) return std::nullopt;
  mix_hash(sealed);
  return plain;
}

std::pair<crypto::SecretKey, crypto::SecretKey> SymmetricState::split() const {
  std::array<crypto::Key32, 2> outputs{};
  crypto::kdf(chaining_key_.bytes(), {}, outputs);
  std::pair<crypto::SecretKey, crypto::SecretKey> keys{crypto::SecretKey(outputs[0]), crypto::SecretKey(outputs[1])};
  for (auto& output : outputs) crypto::cleanse(output);
  return keys;
}

NoiseInitiator::NoiseInitiator(const Identity& own, const crypto::Key32& remote_static, ByteView prologue)
    : own_(own), remote_static_(remote_static), state_(prologue) {
  state_.mix_hash(remote_static_);
}

// -> e, es, s, ss
std::optional<Bytes> NoiseInitiator::write_first(const crypto::SecretKey& ephemeral, const crypto::SecretKey& static_static,
                                                 ByteView payload) {
  ephemeral_ = ephemeral;
  const auto ephemeral_public = crypto::x25519_public(ephemeral_.bytes());
  const auto ephemeral_static = shared_secret(ephemeral_, remote_static_);
  if (!ephemeral_static) return std::nullopt;
  Bytes message(ephemeral_public.begin(), ephemeral_public.end());
  state_.mix_hash(ephemeral_public);
  state_.mix_key(ephemeral_public);
  state_.mix_key(ephemeral_static->bytes());
  state_.encrypt_and_hash(own_.public_key, message);
  state_.mix_key(static_static.bytes());
  state_.encrypt_and_hash(payload, message);
  return message;
}

// <- e, ee, se, psk
std::optional<Bytes> NoiseInitiator::read_second(ByteView message, const crypto::SecretKey& psk) {
  ByteReader reader(message);
  const auto remote_ephemeral = reader.array<key_size>();
  if (reader.failed()) return std::nullopt;
  const auto ephemeral_ephemeral = shared_secret(ephemeral_, remote_ephemeral);
  const auto static_ephemeral = shared_secret(own_.private_key, remote_ephemeral);
  if (!ephemeral_ephemeral || !static_ephemeral) return std::nullopt;
  auto state = state_;
  state.mix_hash(remote_ephemeral);
  state.mix_key(remote_ephemeral);
  state.mix_key(ephemeral_ephemeral->bytes());
  state.mix_key(static_ephemeral->bytes());
  state.mix_key_and_hash(psk.bytes());
  auto payload = state.decrypt_and_hash(reader.rest());
  if (payload) state_ = std::move(state);
  return payload;
}

TransportKeys NoiseInitiator::keys() const {
  auto [from_initiator, from_responder] = state_.split();
  return {std::move(from_initiator), std::move(from_responder)};
}

NoiseResponder::NoiseResponder(const Identity& own, ByteView prologue) : own_(own), state_(prologue) { state_.mix_hash(own_.public_key); }

std::optional<crypto::Key32> NoiseResponder::read_first_static(ByteView ephemeral_and_static) {
  ByteReader reader(ephemeral_and_static);
  remote_ephemeral_ = reader.array<key_size>();
  const auto sealed_static = reader.bytes(key_size + tag_size);
  if (reader.failed()) return std::nullopt;
  const auto static_ephemeral = shared_secret(own_.private_key, remote_ephemeral_);
  if (!static_ephemeral) return std::nullopt;
  state_.mix_hash(remote_ephemeral_);
  state_.mix_key(remote_ephemeral_);
  state_.mix_key(static_ephemeral->bytes());
  const auto remote_static = state_.decrypt_and_hash(sealed_static);
  if (!remote_static) return std::nullopt;
  std::copy(remote_static->begin(), remote_static->end(), remote_static_.begin());
  return remote_static_;
}

std::optional<Bytes> NoiseResponder::read_first_payload(const crypto::SecretKey& static_static, ByteView sealed) {
  state_.mix_key(static_static.bytes());
  return state_.decrypt_and_hash(sealed);
}

std::optional<Bytes> NoiseResponder::write_second(const crypto::SecretKey& ephemeral, const crypto::SecretKey& psk, ByteView payload) {
  const auto ephemeral_public = crypto::x25519_public(ephemeral.bytes());
  const auto ephemeral_ephemeral = shared_secret(ephemeral, remote_ephemeral_);
  const auto ephemeral_static = shared_secret(ephemeral, remote_static_);
  if (!ephemeral_ephemeral || !ephemeral_static) return std::nullopt;
  Bytes message(ephemeral_public.begin(), ephemeral_public.end());
  state_.mix_hash(ephemeral_public);
  state_.mix_key(ephemeral_public);
  state_.mix_key(ephemeral_ephemeral->bytes());
  state_.mix_key(ephemeral_static->bytes());
  state_.mix_key_and_hash(psk.bytes());
  state_.encrypt_and_hash(payload, message);
  return message;
}

TransportKeys NoiseResponder::keys() const {
  auto [from_initiator, from_responder] = state_.split();
  return {std::move(from_responder), std::move(from_initiator)};
}

}  // namespace drpf::protocol::wireguard
