#include "protocol/wireguard/cookie.h"

#include <algorithm>
#include <cassert>
#include <string_view>

namespace drpf::protocol::wireguard {
namespace {

constexpr std::size_t mac1_from_end = 2 * mac_size;
constexpr std::size_t mac2_from_end = mac_size;

crypto::Key32 labelled_key(std::string_view label, const crypto::Key32& public_key) {
  const Bytes label_bytes(label.begin(), label.end());
  const std::array<ByteView, 2> parts{ByteView(label_bytes), ByteView(public_key)};
  return crypto::blake2s_256(parts);
}
crypto::Key32 mac1_key_of(const crypto::Key32& public_key) { return labelled_key("mac1----", public_key); }
crypto::Key32 cookie_key_of(const crypto::Key32& public_key) { return labelled_key("cookie--", public_key); }

}  // namespace

MacSigner::MacSigner(const crypto::Key32& remote_public)
    : mac1_key_(mac1_key_of(remote_public)), cookie_key_(cookie_key_of(remote_public)) {}

void MacSigner::sign(MutableByteView message, Time now) {
  assert(message.size() > mac1_from_end);
  const auto mac1 = crypto::blake2s_mac_128(mac1_key_, message.first(message.size() - mac1_from_end));
  std::copy(mac1.begin(), mac1.end(), message.end() - mac1_from_end);
  last_mac1_ = mac1;
  crypto::Tag16 mac2{};
  // Not up to its last second: the message still has to travel.
  if (cookie_ && now - cookie_received_ < cookie_lifetime - cookie_latency)
    mac2 = crypto::blake2s_mac_128(*cookie_, message.first(message.size() - mac2_from_end));
  std::copy(mac2.begin(), mac2.end(), message.end() - mac2_from_end);
}

bool MacSigner::accept_reply(const CookieReply& reply, Time now) {
  if (!last_mac1_) return false;
  crypto::Tag16 cookie{};
  if (!crypto::xchacha20_poly1305_open(cookie_key_, reply.nonce, reply.sealed_cookie, *last_mac1_, cookie)) return false;
  cookie_ = cookie;
  cookie_received_ = now;
  last_mac1_.reset();
  return true;
}

MacChecker::MacChecker(const crypto::Key32& own_public) : mac1_key_(mac1_key_of(own_public)), cookie_key_(cookie_key_of(own_public)) {}

bool MacChecker::mac1_valid(ByteView message) const {
  if (message.size() <= mac1_from_end) return false;
  const auto expected = crypto::blake2s_mac_128(mac1_key_, message.first(message.size() - mac1_from_end));
  return crypto::equal_constant_time(expected, message.subspan(message.size() - mac1_from_end, mac_size));
}

bool MacChecker::mac2_valid(ByteView message, const Endpoint& from, Time now) const {
  if (message.size() <= mac1_from_end || !secret_made_ || now - *secret_made_ > cookie_secret_lifetime) return false;
  const auto mac2 = message.last(mac2_from_end);
  if (std::all_of(mac2.begin(), mac2.end(), [](auto byte) { return byte == 0; })) return false;  // none: that is no secret
  const auto expected = crypto::blake2s_mac_128(cookie_for(from), message.first(message.size() - mac2_from_end));
  return crypto::equal_constant_time(expected, mac2);
}

Bytes MacChecker::make_reply(ByteView message, const Endpoint& from, Time now, Random& random) {
  if (!secret_made_ || now - *secret_made_ > cookie_secret_lifetime) renew_secret(now, random);
  ByteReader reader(message);
  reader.skip(4);
  CookieReply reply;
  reply.receiver = reader.u32_le();
  // XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha, section 2.3) with its first step done beforehand: nonce_of() is 4 zero bytes and the rest.
  std::copy(nonce_begin_.begin(), nonce_begin_.end(), reply.nonce.begin());
  const auto rest = crypto::nonce_of(nonce_count_++);
  std::copy(rest.begin() + 4, rest.end(), reply.nonce.begin() + nonce_begin_.size());
  const auto mac1 = message.subspan(message.size() - mac1_from_end, mac_size);
  crypto::chacha20_poly1305_seal(reply_key_, rest, cookie_for(from), mac1, reply.sealed_cookie);
  return encode(reply);
}

void MacChecker::renew_secret(Time now, Random& random) {
  random.fill(secret_.bytes());
  random.fill(nonce_begin_);
  nonce_count_ = random.u64();
  reply_key_ = crypto::hchacha20(cookie_key_, nonce_begin_);
  secret_made_ = now;
}

// Source address and port: with the address alone, one host behind a NAT could use up another's allowance.
crypto::Tag16 MacChecker::cookie_for(const Endpoint& from) const {
  ByteWriter source;
  source.bytes(from.address.bytes()).u16_be(from.port.value());
  return crypto::blake2s_mac_128(secret_.bytes(), source.view());
}

}  // namespace drpf::protocol::wireguard
