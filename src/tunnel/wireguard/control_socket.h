// The unix socket that `wg show` and `wg set` talk to. Runs in the handshake thread; never waits for a client.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "protocol/wireguard/control_request.h"
#include "system/fd.h"
#include "tunnel/wireguard/handshaker.h"

namespace drpf::tunnel::wireguard {

class ControlSocket {
 public:
  static constexpr std::size_t clients_max = 8;

  static Result<std::unique_ptr<ControlSocket>> open(const std::string& path, EngineState& state, Handshaker& handshaker,
                                                     const Key& private_key);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  std::vector<Handshaker::Watched> watched() const;
  void on_ready();

 private:
  struct Client {
    system::Fd fd;
    std::string in;
    std::string out;
    bool closing = false;
  };
  ControlSocket(std::string path, system::Fd listener, EngineState& state, Handshaker& handshaker, const Key& private_key)
      : path_(std::move(path)), listener_(std::move(listener)), state_(state), handshaker_(handshaker), private_key_(private_key) {}
  void accept_clients();
  void serve(Client& client);
  std::string answer(std::string_view request);
  int apply(const protocol::wireguard::ControlSet& set);
  std::string describe() const;

  std::string path_;
  system::Fd listener_;
  EngineState& state_;
  Handshaker& handshaker_;
  crypto::SecretKey private_key_;
  std::vector<Client> clients_;
};

}  // namespace drpf::tunnel::wireguard
