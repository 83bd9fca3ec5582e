// mac1, mac2 and cookies: the cheap proofs that come before any public-key work (WireGuard paper, section 5.4.7).
#pragma once

#include <optional>

#include "core/address.h"
#include "core/bytes.h"
#include "core/random.h"
#include "core/time.h"
#include "crypto/secret_key.h"
#include "protocol/wireguard/constants.h"
#include "protocol/wireguard/messages.h"

namespace drpf::protocol::wireguard {

// Sender's side, one per peer: fills in the MACs of a handshake message and learns cookies from replies.
class MacSigner {
 public:
  explicit MacSigner(const crypto::Key32& remote_public);
  // `message` is a whole initiation or response whose last 32 bytes are still free.
  void sign(MutableByteView message, Time now);
  // True if the reply answers the last message signed; its cookie is used from then on. One reply per message.
  bool accept_reply(const CookieReply& reply, Time now);

 private:
  crypto::Key32 mac1_key_;
  crypto::Key32 cookie_key_;
  std::optional<crypto::Tag16> last_mac1_;
  std::optional<crypto::Tag16> cookie_;
  Time cookie_received_{};
};

// Receiver's side, one per device.
class MacChecker {
 public:
  explicit MacChecker(const crypto::Key32& own_public);
  // For initiations and responses of the right size.
  bool mac1_valid(ByteView message) const;
  bool mac2_valid(ByteView message, const Endpoint& from, Time now) const;
  // Answers `message`, whose mac1 must have been checked, with less than it is long. Renews the secret behind the cookies when it is too
  // old.
  Bytes make_reply(ByteView message, const Endpoint& from, Time now, Random& random);

 private:
  void renew_secret(Time now, Random& random);
  crypto::Tag16 cookie_for(const Endpoint& from) const;

  crypto::Key32 mac1_key_;
  crypto::Key32 cookie_key_;
  crypto::SecretKey secret_;
  std::optional<Time> secret_made_;
  // Nonces of one secret share their first part, drawn with it, and so one key for all replies; the rest of them counts. Under attack a
  // reply is what costs, and this saves two thirds of it.
  std::array<std::uint8_t, 16> nonce_begin_{};
  std::uint64_t nonce_count_ = 0;
  crypto::Key32 reply_key_{};
};

}  // namespace drpf::protocol::wireguard
