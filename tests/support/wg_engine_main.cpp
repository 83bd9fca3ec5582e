// Runs the embedded engine alone on a TUN device, from a wg-style file, for tests in network namespaces. Prints READY, then every event,
// one per line; leaves on SIGTERM, tells its counters on SIGUSR1.
//
//   wg_engine FILE --interface NAME [--mtu N] [--offload automatic|no-uso|no-gso|none] [--speed N] [--admission SECONDS] [--crypto-workers
//   N]
//
// --speed: the protocol's clock runs N times as fast. --admission: new endpoint addresses are admitted after that time.
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <thread>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "core/encoding.h"
#include "crypto/wireguard_primitives.h"
#include "system/boot_clock.h"
#include "tunnel/wireguard/engine.h"

namespace {

using namespace drpf;
using namespace drpf::tunnel;

class FastClock final : public Clock {
 public:
  explicit FastClock(int speed) : speed_(speed), start_(real_.now()), wall_start_(real_.wall_now()) {}
  Time now() const override { return start_ + (real_.now() - start_) * speed_; }
  WallTime wall_now() const override { return wall_start_ + (real_.now() - start_) * speed_; }

 private:
  system::SystemClock real_;
  int speed_;
  Time start_;
  WallTime wall_start_;
};

[[noreturn]] void stop(const Error& error) {
  std::cerr << error.message << (error.cure.empty() ? "" : "; " + error.cure) << "\n";
  std::exit(1);
}

template <class T>
T must(Result<T> result) {
  if (!result) stop(result.error());
  return std::move(*result);
}

Key read_key(const std::string& text) {
  const auto bytes = must(from_base64(text));
  Key key{};
  if (bytes.size() != key.size()) stop(invalid("key_invalid", "'" + text + "' is not a key"));
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return key;
}

struct File {
  Key private_key{};
  Port port;
  std::vector<PeerConfig> peers;
};

File read_file(const std::string& path) {
  File file;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line == "[Peer]") file.peers.emplace_back();
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    auto key = line.substr(0, equals);
    auto value = line.substr(equals + 1);
    std::erase(key, ' ');
    std::erase(value, ' ');
    if (key == "PrivateKey") file.private_key = read_key(value);
    if (key == "ListenPort") file.port = must(parse_port(value));
    if (file.peers.empty()) continue;
    auto& peer = file.peers.back();
    if (key == "PublicKey") peer.public_key = read_key(value);
    if (key == "PresharedKey") peer.preshared_key = read_key(value);
    if (key == "Endpoint") peer.endpoint = must(parse_endpoint(value));
    if (key == "PersistentKeepalive") peer.keepalive_s = static_cast<std::uint16_t>(std::stoi(value));
    if (key == "AllowedIPs") {
      std::istringstream list(value);
      for (std::string one; std::getline(list, one, ',');) peer.allowed_ips.push_back(must(parse_prefix(one)));
    }
  }
  return file;
}

Offload read_offload(const std::string& text) {
  if (text == "no-uso") return Offload::no_uso;
  if (text == "no-gso") return Offload::no_gso;
  if (text == "none") return Offload::none;
  return Offload::automatic;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--mtu", "1420"},   {"--speed", "1"},    {"--offload", "automatic"},
                                             {"--interface", ""}, {"--admission", ""}, {"--crypto-workers", ""}};
  if (argc < 2) return 64;
  for (int i = 2; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const system::Fd signal_fd(::signalfd(-1, &signals, SFD_CLOEXEC));

  const auto file = read_file(argv[1]);
  const auto offload = read_offload(options["--offload"]);
  const auto name = options["--interface"];
  const int speed = std::stoi(options["--speed"]);
  auto log = std::make_shared<spdlog::logger>("wg_engine", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  crypto::SystemRandom random;
  const FastClock clock(speed);

  wireguard::EngineConfig config;
  config.private_key = file.private_key;
  config.mtu = static_cast<std::uint16_t>(std::stoi(options["--mtu"]));
  config.offload = offload;
  if (!options["--crypto-workers"].empty()) config.crypto_workers = static_cast<std::size_t>(std::stoi(options["--crypto-workers"]));
  config.require_admission = !options["--admission"].empty();
  config.control_socket_path = "/var/run/wireguard/" + name + ".sock";
  if (speed > 1) config.wait_max = std::chrono::milliseconds(20);
  const auto admission_delay =
      std::chrono::milliseconds(options["--admission"].empty() ? 0 : static_cast<int>(std::stod(options["--admission"]) * 1000));

  auto tun = must(system::Tun::open(wireguard::Engine::tun_options(name, config.mtu, offload)));
  auto sockets = must(system::UdpSockets::open(wireguard::Engine::udp_options(file.port, 0, offload)));
  std::atomic<wireguard::Engine*> running{nullptr};
  std::atomic<bool> failed{false};
  const auto admit_later = [&](const Key& key, const Endpoint& endpoint) {
    if (!config.require_admission) return;
    std::thread([&running, key, endpoint, admission_delay] {
      std::this_thread::sleep_for(admission_delay);
      if (auto* const engine = running.load()) engine->admit(key, endpoint.address);
    }).detach();
  };
  const auto fail_with = [&failed](const Error& error) {
    std::cout << "failed " << error.message << std::endl;
    failed = true;
    ::kill(::getpid(), SIGTERM);
  };
  const auto on_event = [&](const Event& event) {
    if (const auto* connected = std::get_if<PeerConnected>(&event)) {
      std::cout << "connected " << to_base64(connected->public_key) << " " << to_string(connected->endpoint) << std::endl;
      admit_later(connected->public_key, connected->endpoint);
    } else if (const auto* roamed = std::get_if<PeerRoamed>(&event)) {
      std::cout << "roamed " << to_base64(roamed->public_key) << " " << to_string(roamed->endpoint) << std::endl;
      admit_later(roamed->public_key, roamed->endpoint);
    } else if (const auto* gone = std::get_if<PeerDisconnected>(&event)) {
      std::cout << "disconnected " << to_base64(gone->public_key) << std::endl;
    } else if (const auto* broken = std::get_if<EngineFailed>(&event)) {
      fail_with(broken->error);
    } else if (const auto* interface = std::get_if<InterfaceGone>(&event)) {
      fail_with(interface->error);
    }
  };
  auto engine = must(wireguard::Engine::start(config, std::move(tun), std::move(sockets), random, clock, on_event, log));
  running = engine.get();
  for (const auto& peer : file.peers)
    if (const auto added = engine->add_peer(peer); !added) stop(added.error());
  std::cout << "READY" << std::endl;

  for (;;) {
    signalfd_siginfo info{};
    if (::read(signal_fd.get(), &info, sizeof info) != sizeof info || info.ssi_signo != SIGUSR1) break;
    for (const auto& counter : engine->counters()) std::cout << "counter " << counter.name << " " << counter.value << "\n";
    std::cout << "counters end" << std::endl;
  }
  running = nullptr;
  for (const auto& counter : engine->counters())
    if (counter.value != 0) std::cerr << counter.name << " " << counter.value << "\n";
  return failed ? 2 : 0;
}
