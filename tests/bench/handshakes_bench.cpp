// What handshakes cost the gateway, in one thread and without a network: each proof before public-key work, whole handshakes, and the
// memory of a device that has shaken hands. Prints one JSON object a line.
//   handshakes_bench [DEVICES]        (default 10000)
#include <fmt/format.h>
#include <malloc.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <vector>

#include "crypto/wireguard_primitives.h"
#include "protocol/wireguard/handshake_gate.h"
#include "protocol/wireguard/peer.h"
#include "tunnel/wireguard/peer_state.h"

namespace {

using namespace drpf;
using namespace drpf::protocol::wireguard;

constexpr int repetitions = 20'000;
const Endpoint gateway_at{Address::v4(0xc6336401), Port(51820)};

class FixedClock {
 public:
  Moment moment() const { return {now, WallTime(std::chrono::seconds(1'700'000'000) + now.time_since_epoch())}; }
  void advance(Duration duration) { now += duration; }
  Time now{std::chrono::seconds(1000)};
};

Endpoint device_at(std::uint32_t number) { return {Address::v4(0x0a000000 + number), Port(51820)}; }

template <class Work>
double microseconds_each(int count, Work work) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) work(i);
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / count;
}

std::size_t heap_bytes() {
  ::malloc_trim(0);
  const auto info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

void proofs(Random& random) {
  const auto own = Identity::from_private(crypto::generate_private_key(random)).public_key;
  MacSigner signer(own);
  Bytes message(initiation_size);
  random.fill(message);
  message[0] = 1;
  message[1] = message[2] = message[3] = 0;
  const Time now{std::chrono::seconds(1000)};
  signer.sign(message, now);
  HandshakeGate calm(own);
  auto wrong = message;
  wrong[20] ^= 1;
  fmt::print("{{\"what\":\"a message with a false mac1\",\"us\":{:.2f}}}\n",
             microseconds_each(repetitions, [&](int) { (void)calm.check(wrong, gateway_at, 0, now, random); }));
  HandshakeGate loaded(own);
  fmt::print("{{\"what\":\"a true mac1 under load, answered with a cookie\",\"us\":{:.2f}}}\n", microseconds_each(repetitions, [&](int i) {
               (void)loaded.check(message, device_at(static_cast<std::uint32_t>(i)), handshake_queue_max, now, random);
             }));
  auto guessed = message;
  random.fill(MutableByteView(guessed).last(mac_size));
  fmt::print("{{\"what\":\"the same with a guessed mac2\",\"us\":{:.2f}}}\n", microseconds_each(repetitions, [&](int i) {
               (void)loaded.check(guessed, device_at(static_cast<std::uint32_t>(i)), handshake_queue_max, now, random);
             }));
}

struct Device {
  std::unique_ptr<Peer> peer;  // its own machine
  crypto::Key32 public_key{};
};

// Every device shakes hands once; what is timed is the gateway's part: reading the initiation, the answer, and the keys.
void handshakes(std::uint32_t count, Random& random) {
  const auto gateway = Identity::from_private(crypto::generate_private_key(random));
  FixedClock clock;
  IndexTable device_indices;
  std::vector<Device> devices(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto identity = Identity::from_private(crypto::generate_private_key(random));
    PeerSettings settings;
    settings.public_key = gateway.public_key;
    settings.endpoint = gateway_at;
    devices[i] = {std::make_unique<Peer>(identity, settings, i, device_indices), identity.public_key};
  }
  std::vector<Bytes> initiations(count);
  for (std::uint32_t i = 0; i < count; ++i)
    for (auto& action : devices[i].peer->initiate(clock.moment(), random))
      if (auto* const send = std::get_if<SendDatagram>(&action)) initiations[i] = std::move(send->bytes);

  // As the engine's handshake thread keeps them: the machine, what the packet threads see, and the sessions with their ciphers.
  struct Kept {
    std::unique_ptr<Peer> machine;
    std::unique_ptr<tunnel::wireguard::PeerState> state;
    std::vector<std::unique_ptr<tunnel::wireguard::Session>> sessions;
  };
  IndexTable indices;
  std::vector<Kept> kept(count);
  const auto before = heap_bytes();
  for (std::uint32_t i = 0; i < count; ++i) {
    PeerSettings settings;
    settings.public_key = devices[i].public_key;
    kept[i].machine = std::make_unique<Peer>(gateway, settings, i, indices);
    kept[i].state = std::make_unique<tunnel::wireguard::PeerState>(i, devices[i].public_key);
  }
  const auto idle = heap_bytes();
  std::uint32_t answered = 0;
  const auto each = microseconds_each(static_cast<int>(count), [&](int n) {
    const auto i = static_cast<std::uint32_t>(n);
    auto received = ReceivedInitiation::open(gateway, initiations[i]);
    if (!received) return;
    for (auto& action : kept[i].machine->on_initiation(*received, device_at(i), clock.moment(), random)) {
      if (auto* const fresh = std::get_if<NewSession>(&action))
        kept[i].sessions.push_back(std::make_unique<tunnel::wireguard::Session>(
            fresh->local_index, fresh->remote_index, fresh->facts, *kept[i].state, fresh->send_key.bytes(), fresh->receive_key.bytes()));
      if (std::holds_alternative<SendDatagram>(action)) ++answered;
    }
  });
  const auto connected = heap_bytes();
  fmt::print("{{\"what\":\"handshakes answered\",\"devices\":{},\"us each\":{:.1f},\"per second and core\":{:.0f}}}\n", answered, each,
             1e6 / each);
  fmt::print("{{\"what\":\"memory of a device, bytes\",\"never seen\":{},\"after one handshake\":{}}}\n", (idle - before) / count,
             (connected - before) / count);
}

}  // namespace

int main(int argc, char** argv) {
  crypto::SystemRandom random;
  proofs(random);
  handshakes(argc > 1 ? static_cast<std::uint32_t>(std::atoi(argv[1])) : 10'000, random);
}
