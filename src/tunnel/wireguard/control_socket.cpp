#include "tunnel/wireguard/control_socket.h"

#include <spdlog/logger.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

namespace drpf::tunnel::wireguard {

using namespace protocol::wireguard;

namespace {

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(invalid("control_socket_path_invalid", "the path '" + path + "' is too long for a unix socket",
                        "use at most " + std::to_string(sizeof address.sun_path - 1) + " characters"));
  path.copy(address.sun_path, path.size());
  return address;
}

Error socket_failure(const char* what, const std::string& path) {
  return failure("control_socket_failed", std::string(what) + " the control socket '" + path + "' failed: " + std::strerror(errno));
}

bool somebody_listens(const sockaddr_un& address) {
  const system::Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return probe.valid() && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

Result<std::unique_ptr<ControlSocket>> ControlSocket::open(const std::string& path, EngineState& state, Handshaker& handshaker,
                                                           const Key& private_key) {
  const auto address = address_of(path);
  if (!address) return fail(address.error());
  if (somebody_listens(*address))
    return fail(failure("control_socket_in_use", "another program serves the control socket '" + path + "'",
                        "stop it or use another interface name"));
  const auto directory = std::filesystem::path(path).parent_path();
  if (!directory.empty() && ::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    return fail(socket_failure("making the directory of", path));
  ::unlink(path.c_str());  // of an earlier run
  system::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return fail(socket_failure("opening", path));
  // The file takes over this mode, so there is no moment at which others may connect; umask() would be for the whole process.
  if (::fchmod(listener.get(), 0600) != 0 || ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return fail(socket_failure("binding", path));
  if (::listen(listener.get(), static_cast<int>(clients_max)) != 0) return fail(socket_failure("listening on", path));
  return std::unique_ptr<ControlSocket>(new ControlSocket(path, std::move(listener), state, handshaker, private_key));
}

ControlSocket::~ControlSocket() { ::unlink(path_.c_str()); }

std::vector<Handshaker::Watched> ControlSocket::watched() const {
  std::vector<Handshaker::Watched> all;
  if (clients_.size() < clients_max) all.push_back({listener_.get(), POLLIN});
  for (const auto& client : clients_) all.push_back({client.fd.get(), static_cast<short>(client.out.empty() ? POLLIN : POLLOUT)});
  return all;
}

void ControlSocket::on_ready() {
  accept_clients();
  for (auto& client : clients_) serve(client);
  std::erase_if(clients_, [](const Client& client) { return client.closing; });
}

void ControlSocket::accept_clients() {
  while (clients_.size() < clients_max) {
    system::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) return;
    clients_.push_back({std::move(fd), {}, {}, false});
  }
}

void ControlSocket::serve(Client& client) {
  std::array<char, 16384> buffer;
  while (client.out.empty() && !client.closing) {
    const auto size = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (size <= 0 || client.in.size() + static_cast<std::size_t>(size) > control_request_max) {
      client.closing = true;
      return;
    }
    client.in.append(buffer.data(), static_cast<std::size_t>(size));
    if (const auto end = client.in.find("\n\n"); end != std::string::npos) {
      client.out = answer(std::string_view(client.in).substr(0, end));
      client.in.erase(0, end + 2);
    }
  }
  while (!client.out.empty()) {
    const auto size = ::send(client.fd.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL);
    if (size < 0) {
      client.closing = errno != EAGAIN && errno != EINTR;
      return;
    }
    client.out.erase(0, static_cast<std::size_t>(size));
  }
}

std::string ControlSocket::answer(std::string_view request) {
  const auto parsed = parse_control_request(request);
  if (!parsed) {
    state_.log->info("{}", parsed.error().message);
    return control_answer(EINVAL);
  }
  if (const auto* const set = std::get_if<ControlSet>(&*parsed)) return control_answer(apply(*set));
  return describe();
}

// The key and the port belong to who made the engine; everything else may be changed. What is answered is in force.
int ControlSocket::apply(const ControlSet& set) {
  if (set.private_key && crypto::clamp(*set.private_key) != crypto::clamp(private_key_.bytes())) return EOPNOTSUPP;
  if (set.listen_port && *set.listen_port != 0 && *set.listen_port != state_.sockets.port().value()) return EOPNOTSUPP;
  if (set.fwmark && !state_.sockets.set_fwmark(*set.fwmark)) return EPERM;
  handshaker_.change([&] {
    if (set.replace_peers) handshaker_.remove_all_peers();
    for (const auto& peer : set.peers) {
      if (peer.remove) {
        handshaker_.remove_peer(peer.public_key);
        continue;
      }
      PeerChange change;
      change.public_key = peer.public_key;
      change.update_only = peer.update_only;
      change.preshared_key = peer.preshared_key;
      change.endpoint = peer.endpoint;
      change.keepalive_s = peer.keepalive_s;
      change.replace_allowed_ips = peer.replace_allowed_ips;
      change.allowed_ips_add = peer.allowed_ips_add;
      change.allowed_ips_remove = peer.allowed_ips_remove;
      handshaker_.change_peer(change);
    }
  });
  return 0;
}

std::string ControlSocket::describe() const {
  ControlState out;
  out.private_key = private_key_.bytes();
  out.listen_port = state_.sockets.port().value();
  out.fwmark = state_.sockets.fwmark();
  for (auto& details : handshaker_.details()) {
    ControlPeerState peer;
    const auto& status = details.status;
    peer.public_key = status.public_key;
    peer.preshared_key = details.preshared_key;
    peer.endpoint = status.endpoint;
    if (status.last_handshake) peer.last_handshake_ns = status.last_handshake->time_since_epoch().count();
    peer.bytes_sent = status.bytes_sent;
    peer.bytes_received = status.bytes_received;
    peer.keepalive_s = details.keepalive_s;
    peer.allowed_ips = std::move(details.allowed_ips);
    out.peers.push_back(std::move(peer));
  }
  return control_answer(out);
}

}  // namespace drpf::tunnel::wireguard
