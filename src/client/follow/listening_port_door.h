// A program's own interface for its listening port: asks for it, sets it, looks whether it was taken. Blocking, with a time limit; decides
// neither which port nor when.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "client/ports/inform_wish.h"
#include "core/address.h"
#include "core/port.h"
#include "core/result.h"

namespace drpf::client {

inline constexpr std::chrono::seconds inform_request_time_max{5};
inline constexpr std::size_t inform_answer_size_max = 4 * 1024 * 1024;

class ListeningPortDoor {
 public:
  enum class Outcome : std::uint8_t { was_so, set };

  virtual ~ListeningPortDoor() = default;
  // Code "login_refused": asking again with the same words would only get this machine banned. All else may pass.
  virtual Result<Outcome> set(Port port) = 0;
  // The program has this port in its settings and does not listen on it: makes it open its sockets anew, where there is a way to.
  virtual Status reopen(Port) { return {}; }
};

// qBittorrent: its Web API. Keeps the session between calls.
std::unique_ptr<ListeningPortDoor> qbittorrent_door(const InformWish& wish, const Endpoint& endpoint);
// Transmission: its RPC. Keeps the session's number between calls.
std::unique_ptr<ListeningPortDoor> transmission_door(const InformWish& wish, const Endpoint& endpoint);

}  // namespace drpf::client
