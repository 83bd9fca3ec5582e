// Hostile datagrams against the WireGuard machines: decoders, gate, handshake and cookies of a responder and of an initiator that waits
// for its answer. Keys, clock and random source are fixed, so a finding repeats.
//
// First byte: bits 0 under load, 1 give the message a valid mac1 for the responder, 2 the same for the initiator. The rest: the datagram.
#include <cstdint>
#include <cstdlib>
#include <map>

#include "protocol/wireguard/handshake_gate.h"
#include "protocol/wireguard/peer.h"

namespace {

using namespace drpf;
using namespace drpf::protocol::wireguard;

// The vectors' keys, so that recorded messages are authentic.
constexpr crypto::Key32 initiator_private{0xe6, 0x1e, 0xf9, 0x91, 0x9c, 0xde, 0x45, 0xdd, 0x5f, 0x82, 0x16, 0x64, 0x04, 0xbd, 0x08, 0xe3,
                                          0x8b, 0xce, 0xb5, 0xdf, 0xdf, 0xde, 0xd0, 0xa3, 0x4c, 0x8d, 0xf7, 0xed, 0x54, 0x22, 0x14, 0xd1};
constexpr crypto::Key32 responder_private{0x4a, 0x3a, 0xcb, 0xfd, 0xb1, 0x63, 0xde, 0xc6, 0x51, 0xdf, 0xa3, 0x19, 0x4d, 0xec, 0xe6, 0x76,
                                          0xd4, 0x37, 0x02, 0x9c, 0x62, 0xa4, 0x08, 0xb4, 0xc5, 0xea, 0x91, 0x14, 0x24, 0x6e, 0x48, 0x93};
constexpr crypto::Key32 initiator_ephemeral{0x89, 0x3e, 0x28, 0xb9, 0xdc, 0x6c, 0xa8, 0xd6, 0x11, 0xab, 0x66, 0x47, 0x54, 0xb8, 0xce, 0xb7,
                                            0xba, 0xc5, 0x11, 0x73, 0x49, 0xa4, 0x43, 0x9a, 0x6b, 0x05, 0x69, 0xda, 0x97, 0x7c, 0x46, 0x4a};
constexpr std::string_view psk_text = "This is my Austrian perspective!";  // the pre-shared key of the Noise vector
constexpr std::uint32_t initiator_index = 0x11223344;

// The initiator's ephemeral key and index first, as in the vectors; then an endless sequence.
class FixedRandom final : public Random {
 public:
  void fill(MutableByteView out) override {
    if (fills_ == 0 && out.size() == initiator_ephemeral.size()) {
      std::copy(initiator_ephemeral.begin(), initiator_ephemeral.end(), out.begin());
    } else if (fills_ == 1 && out.size() == 4) {
      for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<std::uint8_t>(initiator_index >> (8 * i));
    } else {
      for (auto& byte : out) {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        byte = static_cast<std::uint8_t>(state_ >> 56);
      }
    }
    ++fills_;
  }

 private:
  unsigned fills_ = 0;
  std::uint64_t state_ = 1;
};

void must(bool good) {
  if (!good) std::abort();
}

const Moment moment{Time(std::chrono::seconds(1000)), WallTime(std::chrono::seconds(0x6553f10a - 10))};

struct World {
  World() {
    responder.emplace(responder_identity, settings_for(initiator_identity), 1, responder_indices);
    initiator.emplace(initiator_identity, settings_for(responder_identity), 2, initiator_indices);
    must(initiator->initiate(moment, random).size() == 1);
    must(initiator_indices.find(initiator_index) == 2U);
  }
  PeerSettings settings_for(const Identity& remote) const {
    PeerSettings settings;
    settings.public_key = remote.public_key;
    std::copy(psk_text.begin(), psk_text.end(), settings.preshared_key.bytes().begin());
    settings.endpoint = from;
    return settings;
  }

  Identity initiator_identity = Identity::from_private(initiator_private);
  Identity responder_identity = Identity::from_private(responder_private);
  Endpoint from{Address::v4(0xc0000201), Port(51820)};
  FixedRandom random;
  IndexTable responder_indices;
  IndexTable initiator_indices;
  std::optional<Peer> responder;
  std::optional<Peer> initiator;
};

// A message decoded and encoded is the same message.
void check_codecs(ByteView datagram) {
  if (const auto message = decode_initiation(datagram)) must(std::ranges::equal(encode(*message), datagram));
  if (const auto message = decode_response(datagram)) must(std::ranges::equal(encode(*message), datagram));
  if (const auto message = decode_cookie_reply(datagram)) must(std::ranges::equal(encode(*message), datagram));
  if (classify(datagram) == MessageType::data) {
    const auto header = read_data_header(datagram);
    Bytes again(datagram.begin(), datagram.end());
    write_data_header(again, header.receiver, header.counter);
    must(std::ranges::equal(again, datagram));
  }
}

void deliver(World& world, Peer& peer, const Identity& own, ByteView datagram, bool loaded) {
  const Endpoint stranger{Address::v4(0xcb007109), Port(7)};
  HandshakeGate gate(own.public_key);
  const auto verdict = gate.check(datagram, stranger, loaded ? under_load_from : 0, moment.now, world.random);
  if (const auto* reply = std::get_if<GateReply>(&verdict)) must(decode_cookie_reply(reply->cookie_reply).has_value());
  const auto* pass = std::get_if<GatePass>(&verdict);
  if (pass == nullptr) return;
  Actions actions;
  if (pass->type == MessageType::initiation) {
    if (auto received = ReceivedInitiation::open(own, datagram)) actions = peer.on_initiation(*received, stranger, moment, world.random);
  } else if (pass->type == MessageType::response) {
    actions = peer.on_response(datagram, stranger, moment, world.random);
  } else {
    actions = peer.on_cookie_reply(datagram, moment);
  }
  bool dropped = false;
  bool session = false;
  for (const auto& action : actions) {
    dropped = dropped || std::holds_alternative<Drop>(action);
    session = session || std::holds_alternative<NewSession>(action);
  }
  must(!dropped || actions.size() == 1);
  // Only what answers us proves an address: an initiation may have been recorded.
  must((peer.endpoint() == stranger) == (session && pass->type == MessageType::response));
  if (const auto timeout = peer.next_timeout()) peer.on_timeout({*timeout, moment.wall}, world.random);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto options = data[0];
  Bytes datagram(data + 1, data + size);
  World world;
  check_codecs(datagram);
  const auto type = classify(datagram);
  const bool has_macs = type == MessageType::initiation || type == MessageType::response;
  if (has_macs && (options & 2) != 0) MacSigner(world.responder_identity.public_key).sign(datagram, moment.now);
  if (has_macs && (options & 4) != 0) MacSigner(world.initiator_identity.public_key).sign(datagram, moment.now);
  deliver(world, *world.responder, world.responder_identity, datagram, (options & 1) != 0);
  deliver(world, *world.initiator, world.initiator_identity, datagram, (options & 1) != 0);
  return 0;
}
