// The ends of a trial: sockets that live on one machine of the lab, raw packets, and a watch that sees what arrives there. Judges nothing.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "lab/stage/machine.h"
#include "system/fd.h"

namespace drpf::lab::selftest {

// Remembers the packets that arrived on any interface of a machine (not what it sent itself) since the last forget().
class Watch {
 public:
  static Result<Watch> on(const lab::Machine& machine);
  void forget();
  bool saw(std::string_view token);
  std::size_t count(std::string_view token);
  std::vector<std::string> with(std::string_view token);  // those packets, from their IP headers on
  bool sent(std::string_view token);                      // what the machine sent itself
  // Waits for a packet with the token in it.
  bool awaits(std::string_view token, Duration limit);

 private:
  explicit Watch(system::Fd socket) : socket_(std::move(socket)) {}
  void take();
  system::Fd socket_;
  std::vector<std::string> arrived_;
  std::vector<std::string> left_;
};

struct Datagram {
  Endpoint from;
  std::string text;
};

// UDP on one machine. `local` with port 0 = any.
class Udp {
 public:
  static Result<Udp> open(const lab::Machine& machine, const Endpoint& local, const std::string& device = {});
  void send(const Endpoint& to, const std::string& text) const;
  // The next datagram with this text; others are passed over.
  std::optional<Datagram> receive(std::string_view text, Duration limit) const;
  std::optional<Datagram> receive_any(Duration limit) const;
  Port port() const;

 private:
  explicit Udp(system::Fd socket) : socket_(std::move(socket)) {}
  system::Fd socket_;
};

class Tcp {
 public:
  static Result<Tcp> listen(const lab::Machine& machine, const Endpoint& local);
  static Result<Tcp> connect(const lab::Machine& machine, const Endpoint& local, const Endpoint& to, Duration limit,
                             const std::string& device = {});
  std::optional<Tcp> accept(Duration limit) const;
  bool send(const std::string& text) const;
  std::optional<std::string> receive(Duration limit) const;  // none = nothing came; empty = closed or reset
  Port port() const;
  Endpoint peer() const;

 private:
  explicit Tcp(system::Fd socket) : socket_(std::move(socket)) {}
  system::Fd socket_;
};

// Sends whole packets as they are.
class RawSender {
 public:
  static Result<RawSender> on(const lab::Machine& machine, Family family);
  void send(const Address& target, const std::string& packet) const;

 private:
  explicit RawSender(system::Fd socket) : socket_(std::move(socket)) {}
  system::Fd socket_;
};

}  // namespace drpf::lab::selftest
