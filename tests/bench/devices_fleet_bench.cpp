// Many WireGuard devices in one process: they shake hands with a gateway, and then send keepalives and new handshakes as idle devices do.
//   devices_fleet_bench GATEWAY_IPV4 PORT PUBLIC_KEY COUNT RATE
// Prints their public keys, a line each; reads as many preshared keys from its standard input; lets them come at RATE a second; prints
// {"connected","seconds"} when every device has heard of the gateway, and goes on until its standard input ends.
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "core/encoding.h"
#include "crypto/transport_cipher.h"
#include "protocol/wireguard/messages.h"
#include "protocol/wireguard/peer.h"
#include "system/boot_clock.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace {

using namespace drpf;
using namespace drpf::protocol::wireguard;

constexpr auto keepalive = std::chrono::seconds(25);
constexpr int come_every_ms = 10;

class Fleet {
 public:
  Fleet(const Endpoint& gateway, const crypto::Key32& gateway_key, std::uint32_t count) : gateway_(system::to_socket_address(gateway)) {
    fd_ = system::Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int size = 8 << 20;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    for (std::uint32_t id = 0; id < count; ++id) {
      const auto identity = Identity::from_private(crypto::generate_private_key(random_));
      PeerSettings settings;
      settings.public_key = gateway_key;
      settings.endpoint = gateway;
      settings.persistent_keepalive = keepalive;
      devices_.push_back({std::make_unique<Peer>(identity, settings, id, indices_), {}, {}, false, {}});
      fmt::print("{}\n", to_base64(identity.public_key));
    }
    std::fflush(stdout);
  }

  bool read_preshared_keys() {
    for (auto& device : devices_) {
      std::array<char, 64> line{};
      std::size_t size = 0;
      while (::read(STDIN_FILENO, &line[size], 1) == 1 && line[size] != '\n')  // no byte beyond it: poll() is to see the input's end
        if (++size == line.size()) return false;
      const auto bytes = from_base64({line.data(), size});
      crypto::Key32 key{};
      if (!bytes || bytes->size() != key.size()) return false;
      std::copy(bytes->begin(), bytes->end(), key.begin());
      device.machine->set_preshared_key(crypto::SecretKey(key));
    }
    return true;
  }

  void run(std::uint32_t rate) {
    const auto began = clock_.now();
    std::size_t come = 0;
    for (bool told = false;;) {
      const auto due = static_cast<std::size_t>(std::chrono::duration<double>(clock_.now() - began).count() * rate);
      for (; come < std::min(due, devices_.size()); ++come)
        perform(static_cast<PeerId>(come), devices_[come].machine->start(moment(), random_));
      pollfd ready[2] = {{fd_.get(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
      ::poll(ready, 2, come_every_ms);
      if (ready[1].revents != 0) return;
      receive();
      for (const auto now = clock_.now(); !timers_.empty() && timers_.begin()->first <= now;) {
        const auto id = timers_.begin()->second;
        perform(id, devices_[id].machine->on_timeout(moment(), random_));
      }
      if (told || connected_ < devices_.size()) continue;
      told = true;
      fmt::print("{{\"connected\":{},\"seconds\":{:.2f}}}\n", connected_, std::chrono::duration<double>(clock_.now() - began).count());
      std::fflush(stdout);
    }
  }

 private:
  struct Session {
    std::uint32_t remote_index;
    SessionFacts facts;
    crypto::SecretKey send_key;
    crypto::SecretKey receive_key;
    std::uint64_t next_counter = 0;
  };
  struct Device {
    std::unique_ptr<Peer> machine;
    std::map<std::uint32_t, Session> sessions;
    std::optional<std::uint32_t> sending;
    bool connected = false;
    std::optional<Time> timer;
  };

  Moment moment() const { return {clock_.now(), clock_.wall_now()}; }

  void send(ByteView bytes) { (void)::sendto(fd_.get(), bytes.data(), bytes.size(), 0, gateway_.get(), gateway_.size); }

  void send_keepalive(PeerId id) {
    auto& device = devices_[id];
    if (!device.sending) return;
    auto& session = device.sessions.at(*device.sending);
    Bytes message(keepalive_size);
    write_data_header(message, session.remote_index, session.next_counter);
    seals_.set_key(session.send_key.bytes());
    seals_.seal(session.next_counter, MutableByteView(message).subspan(data_header_size));
    ++session.next_counter;
    send(message);
    perform(id, device.machine->on_batch_sent({*device.sending, session.next_counter, false}, moment(), random_));
  }

  void perform(PeerId id, Actions actions) {
    auto& device = devices_[id];
    for (auto& action : actions) {
      if (const auto* message = std::get_if<SendDatagram>(&action)) {
        send(message->bytes);
      } else if (auto* fresh = std::get_if<NewSession>(&action)) {
        device.sessions.emplace(fresh->local_index,
                                Session{fresh->remote_index, fresh->facts, std::move(fresh->send_key), std::move(fresh->receive_key)});
      } else if (const auto* with = std::get_if<SendWith>(&action)) {
        device.sending = with->local_index;
        if (!std::exchange(device.connected, true)) ++connected_;
      } else if (const auto* retired = std::get_if<RetireSession>(&action)) {
        if (device.sending == retired->local_index) device.sending.reset();
        device.sessions.erase(retired->local_index);
      } else if (std::holds_alternative<SendKeepalive>(action)) {
        send_keepalive(id);
      }
    }
    if (device.timer) timers_.erase({*device.timer, id});
    device.timer = device.machine->next_timeout();
    if (device.timer) timers_.insert({*device.timer, id});
  }

  void receive() {
    std::array<std::uint8_t, 2048> buffer{};
    for (ssize_t size = 0; (size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0)) >= 0;) {
      const auto bytes = MutableByteView(buffer).first(static_cast<std::size_t>(size));
      const auto type = classify(bytes);
      if (!type) continue;
      if (*type == MessageType::response) {
        const auto id = indices_.find(decode_response(bytes)->receiver);
        if (id) perform(*id, devices_[*id].machine->on_response(bytes, *devices_[*id].machine->endpoint(), moment(), random_));
      } else if (*type == MessageType::cookie_reply) {
        const auto id = indices_.find(decode_cookie_reply(bytes)->receiver);
        if (id) perform(*id, devices_[*id].machine->on_cookie_reply(bytes, moment()));
      } else if (*type == MessageType::data) {
        on_data(bytes);
      }
    }
  }

  void on_data(MutableByteView bytes) {
    const auto header = read_data_header(bytes);
    const auto id = indices_.find(header.receiver);
    if (!id) return;
    const auto session = devices_[*id].sessions.find(header.receiver);
    if (session == devices_[*id].sessions.end()) return;
    opens_.set_key(session->second.receive_key.bytes());
    if (!opens_.open(header.counter, bytes.subspan(data_header_size))) return;
    perform(*id, devices_[*id].machine->on_batch_received({header.receiver, bytes.size() > keepalive_size, {}}, moment(), random_));
  }

  system::SystemClock clock_;
  crypto::SystemRandom random_;
  system::Fd fd_;
  system::SocketAddress gateway_;
  IndexTable indices_;
  std::vector<Device> devices_;
  std::set<std::pair<Time, PeerId>> timers_;
  crypto::TransportCipher seals_{{}, crypto::TransportCipher::Direction::seal};
  crypto::TransportCipher opens_{{}, crypto::TransportCipher::Direction::open};
  std::size_t connected_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 64;
  const auto address = parse_address(argv[1]);
  const auto port = parse_port(argv[2]);
  const auto key = from_base64(argv[3]);
  if (!address || !port || !key || key->size() != sizeof(crypto::Key32)) return 64;
  crypto::Key32 gateway_key{};
  std::copy(key->begin(), key->end(), gateway_key.begin());
  Fleet fleet({*address, *port}, gateway_key, static_cast<std::uint32_t>(std::atoi(argv[4])));
  if (!fleet.read_preshared_keys()) return 65;
  fleet.run(static_cast<std::uint32_t>(std::atoi(argv[5])));
}
