// Known answers: the WireGuard exchange and the Noise exchange on the same keys.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/encoding.h"
#include "crypto/transport_cipher.h"
#include "protocol/wireguard/cookie.h"
#include "protocol/wireguard/messages.h"
#include "protocol/wireguard/noise_handshake.h"
#include "protocol/wireguard/peer.h"

namespace drpf::protocol::wireguard {
namespace {

Bytes hex(std::string_view text) { return *from_hex(text); }
crypto::Key32 key(std::string_view text) {
  crypto::Key32 out{};
  const auto bytes = hex(text);
  EXPECT_EQ(bytes.size(), out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}
Bytes text(std::string_view characters) { return {characters.begin(), characters.end()}; }

const auto psk = crypto::SecretKey(key("54686973206973206d7920417573747269616e20706572737065637469766521"));
const auto initiator_identity = Identity::from_private(key("e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1"));
const auto responder_identity = Identity::from_private(key("4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893"));
const auto initiator_ephemeral = crypto::SecretKey(key("893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a"));
const auto responder_ephemeral = crypto::SecretKey(key("bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b"));
crypto::SecretKey static_static() {
  return crypto::SecretKey(*crypto::x25519(initiator_identity.private_key.bytes(), responder_identity.public_key));
}

constexpr std::string_view initiation_hex =
    "0100000044332211ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944001e21de9f98ddd8e2ad57527207feb56253c9c94a9e496782ecfc"
    "b2a75fbcaf752d6cf9956f6a4cc1a138d6de1e87238cbd2c462d6bf53d84c83619a6663feb6f8d477c30b0c2f2ef2b3aed1f2bbce3ebe3ae63d4699557582d22ca0000"
    "0000000000000000000000000000";
constexpr std::string_view response_hex =
    "02000000887766554433221195ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f1448088434f9895bc1259c89ff7a7c7f869b4cb1c8a44ed2cf20cf1"
    "d0a77241da4ffbc83500000000000000000000000000000000";
constexpr std::string_view from_initiator_key = "7a74d0adaa1882492a8eddc15272b5a5a230e111d86d430a5988596f2c4238ae";
constexpr std::string_view from_responder_key = "4dd78ec86daaa1034639ed326df9afecc3c47a881689e2a9f37a5e55a8131a2d";

// Gives out prepared bytes; running out of them is a failure.
class ScriptedRandom final : public Random {
 public:
  explicit ScriptedRandom(Bytes script) : script_(std::move(script)) {}
  void fill(MutableByteView out) override {
    ASSERT_LE(position_ + out.size(), script_.size());
    std::copy_n(script_.begin() + static_cast<std::ptrdiff_t>(position_), out.size(), out.begin());
    position_ += out.size();
  }

 private:
  Bytes script_;
  std::size_t position_ = 0;
};

Bytes concatenate(std::initializer_list<ByteView> parts) {
  Bytes out;
  for (const auto part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

const Endpoint initiator_endpoint{*parse_address("192.0.2.1"), Port(51820)};
const Endpoint responder_endpoint{*parse_address("192.0.2.2"), Port(51820)};
const Moment moment{Time(std::chrono::seconds(1000)), WallTime(std::chrono::seconds(0x6553f10a - 10))};

template <class T>
const T* find(const Actions& actions) {
  for (const auto& action : actions)
    if (const auto* found = std::get_if<T>(&action)) return found;
  return nullptr;
}

TEST(WireguardVectors, PublicKeys) {
  EXPECT_EQ(to_hex(initiator_identity.public_key), "6bc3822a2aa7f4e6981d6538692b3cdf3e6df9eea6ed269eb41d93c22757b75a");
  EXPECT_EQ(to_hex(responder_identity.public_key), "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62");
}

TEST(WireguardVectors, HandshakeOfTwoPeersGivesTheKnownMessagesAndKeys) {
  IndexTable indices_a;
  IndexTable indices_b;
  PeerSettings responder_as_peer;
  responder_as_peer.public_key = responder_identity.public_key;
  responder_as_peer.preshared_key = psk;
  responder_as_peer.endpoint = responder_endpoint;
  Peer a(initiator_identity, responder_as_peer, 1, indices_a);
  PeerSettings initiator_as_peer;
  initiator_as_peer.public_key = initiator_identity.public_key;
  initiator_as_peer.preshared_key = psk;
  Peer b(responder_identity, initiator_as_peer, 2, indices_b);

  // In the order in which Peer asks: ephemeral key, index, jitter of the retry.
  ScriptedRandom random_a(concatenate({initiator_ephemeral.bytes(), hex("44332211"), hex("00000000")}));
  const auto initiating = a.initiate(moment, random_a);
  const auto* initiation = find<SendDatagram>(initiating);
  ASSERT_NE(initiation, nullptr);
  EXPECT_EQ(initiation->to, responder_endpoint);
  EXPECT_EQ(to_hex(initiation->bytes), initiation_hex);

  auto received = ReceivedInitiation::open(responder_identity, initiation->bytes);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->remote_static(), initiator_identity.public_key);
  ScriptedRandom random_b(concatenate({responder_ephemeral.bytes(), hex("88776655")}));
  const auto responding = b.on_initiation(*received, initiator_endpoint, moment, random_b);
  const auto* response = find<SendDatagram>(responding);
  ASSERT_NE(response, nullptr);
  EXPECT_EQ(to_hex(response->bytes), response_hex);
  EXPECT_EQ(to_hex(b.last_timestamp()), "400000006553f10a00000000");
  const auto* session_b = find<NewSession>(responding);
  ASSERT_NE(session_b, nullptr);
  EXPECT_EQ(to_hex(session_b->receive_key.bytes()), from_initiator_key);
  EXPECT_EQ(to_hex(session_b->send_key.bytes()), from_responder_key);
  EXPECT_EQ(session_b->local_index, 0x55667788U);
  EXPECT_EQ(session_b->remote_index, 0x11223344U);

  ScriptedRandom unused({});
  const auto completing = a.on_response(response->bytes, responder_endpoint, moment, unused);
  const auto* session_a = find<NewSession>(completing);
  ASSERT_NE(session_a, nullptr);
  EXPECT_EQ(to_hex(session_a->send_key.bytes()), from_initiator_key);
  EXPECT_EQ(to_hex(session_a->receive_key.bytes()), from_responder_key);
  EXPECT_EQ(session_a->local_index, 0x11223344U);
  EXPECT_EQ(session_a->remote_index, 0x55667788U);
}

TEST(WireguardVectors, DataMessages) {
  Bytes keepalive(keepalive_size);
  write_data_header(keepalive, 0x55667788, 0);
  crypto::TransportCipher initiator_seals(key(from_initiator_key), crypto::TransportCipher::Direction::seal);
  initiator_seals.seal(0, MutableByteView(keepalive).subspan(data_header_size));
  EXPECT_EQ(to_hex(keepalive), "040000008877665500000000000000007b10d7058fd6195d3ef4f80e0a625b8b");

  Bytes hello(data_overhead + 16);
  write_data_header(hello, 0x11223344, 0);
  const auto plain = text("hello");
  std::copy(plain.begin(), plain.end(), hello.begin() + data_header_size);
  crypto::TransportCipher responder_seals(key(from_responder_key), crypto::TransportCipher::Direction::seal);
  responder_seals.seal(0, MutableByteView(hello).subspan(data_header_size));
  EXPECT_EQ(to_hex(hello), "040000004433221100000000000000002cab129cc9acd1866853c24c95dba95ccb3e4fffe076eab865f8ca93b2b2e65f");
  EXPECT_EQ(read_data_header(hello).receiver, 0x11223344U);
  EXPECT_EQ(read_data_header(hello).counter, 0U);
}

TEST(WireguardVectors, CookieAndMac2) {
  auto initiation = hex(initiation_hex);
  MacChecker checker(responder_identity.public_key);
  ASSERT_TRUE(checker.mac1_valid(initiation));
  Bytes script = hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
  const auto nonce = hex("404142434445464748494a4b4c4d4e4f5051525354555657");
  script.insert(script.end(), nonce.begin(), nonce.end());
  ScriptedRandom random(script);
  const Endpoint from{*parse_address("192.0.2.1"), Port(0xca6c)};
  const auto reply = checker.make_reply(initiation, from, moment.now, random);
  EXPECT_EQ(
      to_hex(reply),
      "0300000044332211404142434445464748494a4b4c4d4e4f5051525354555657d2469216006c7aa0faf204e146a5296549d06e191086e662d4d2a2db32743f41");

  MacSigner signer(responder_identity.public_key);
  std::fill(initiation.end() - 32, initiation.end(), std::uint8_t{0});
  signer.sign(initiation, moment.now);
  EXPECT_EQ(to_hex(initiation), initiation_hex);
  ASSERT_TRUE(signer.accept_reply(*decode_cookie_reply(reply), moment.now));
  signer.sign(initiation, moment.now);
  EXPECT_EQ(to_hex(ByteView(initiation).last(16)), "584a94e864044bc301623774d4f945e9");
  EXPECT_TRUE(checker.mac2_valid(initiation, from, moment.now));
}

TEST(NoiseVectors, CacophonyIkPsk2) {
  const auto prologue = text("John Galt");
  const auto first_payload = text("Ludwig von Mises");
  const auto second_payload = text("Murray Rothbard");
  NoiseInitiator initiator(initiator_identity, responder_identity.public_key, prologue);
  NoiseResponder responder(responder_identity, prologue);
  const auto first = initiator.write_first(initiator_ephemeral, static_static(), first_payload);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size(), 112U);
  EXPECT_EQ(responder.read_first_static(ByteView(*first).first(80)), initiator_identity.public_key);
  EXPECT_EQ(responder.read_first_payload(static_static(), ByteView(*first).subspan(80)), first_payload);
  const auto second = responder.write_second(responder_ephemeral, psk, second_payload);
  ASSERT_TRUE(second);
  EXPECT_EQ(
      to_hex(*second),
      "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843cb765f2caef0751b8f007572dab0322217755c0632f365717edbf34d33e87a");
  EXPECT_EQ(initiator.read_second(*second, psk), second_payload);
  EXPECT_EQ(to_hex(initiator.hash()), "f5191b875290abcd41347ac3622d9679688a7e980229cb937ef748336cfde0e5");
  EXPECT_EQ(initiator.hash(), responder.hash());

  const auto sealed = [](const crypto::SecretKey& secret, const Bytes& plain) {
    Bytes out(plain.size() + 16);
    crypto::chacha20_poly1305_seal(secret.bytes(), 0, plain, {}, out);
    return to_hex(out);
  };
  EXPECT_EQ(sealed(initiator.keys().send, text("F. A. Hayek")), "8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7");
  EXPECT_EQ(sealed(responder.keys().send, text("Carl Menger")), "07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef");
  EXPECT_EQ(initiator.keys().receive.bytes(), responder.keys().send.bytes());
  EXPECT_EQ(initiator.keys().send.bytes(), responder.keys().receive.bytes());
}

TEST(NoiseHandshake, AForgedAnswerDoesNotSpoilTheTrueOne) {
  NoiseInitiator initiator(initiator_identity, responder_identity.public_key, wireguard_prologue());
  NoiseResponder responder(responder_identity, wireguard_prologue());
  const auto first = *initiator.write_first(initiator_ephemeral, static_static(), {});
  ASSERT_TRUE(responder.read_first_static(ByteView(first).first(80)));
  ASSERT_TRUE(responder.read_first_payload(static_static(), ByteView(first).subspan(80)));
  const auto second = *responder.write_second(responder_ephemeral, psk, {});
  auto forged = second;
  forged.back() ^= 1;
  EXPECT_FALSE(initiator.read_second(forged, psk));
  EXPECT_FALSE(initiator.read_second(second, crypto::SecretKey{}));
  EXPECT_FALSE(initiator.read_second(ByteView(second).first(31), psk));
  EXPECT_FALSE(initiator.read_second(Bytes(48), psk)) << "a low-order ephemeral key";
  EXPECT_TRUE(initiator.read_second(second, psk));
}

}  // namespace
}  // namespace drpf::protocol::wireguard
