// A program's own interface for its listening port: asks for it, sets it, looks whether it was taken. Lives on the loop; each of its
// requests has a time limit. Decides neither which port nor when.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "client/ports/inform_wish.h"
#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "net/event_loop.h"

namespace drpf::client {

inline constexpr std::chrono::seconds inform_request_time_max{5};
inline constexpr std::size_t inform_answer_size_max = 4 * 1024 * 1024;

// One thing is asked at a time. Nothing is called any more once the door is gone; the function that is told may destroy it.
class ListeningPortDoor {
 public:
  enum class Outcome : std::uint8_t { was_so, set };
  using WhenSet = std::function<void(Result<Outcome>)>;
  using WhenReopened = std::function<void(Status)>;

  virtual ~ListeningPortDoor() = default;
  // Code "login_refused": asking again with the same words would only get this machine banned. All else may pass.
  virtual void set(Port port, WhenSet done) = 0;
  // The program has this port in its settings and does not listen on it: makes it open its sockets anew, where there is a way to.
  virtual void reopen(Port, WhenReopened done) { done({}); }
};

// qBittorrent: its Web API. Keeps the session between calls.
std::unique_ptr<ListeningPortDoor> qbittorrent_door(net::EventLoop& loop, const InformWish& wish, const Endpoint& endpoint);
// Transmission: its RPC. Keeps the session's number between calls.
std::unique_ptr<ListeningPortDoor> transmission_door(net::EventLoop& loop, const InformWish& wish, const Endpoint& endpoint);

}  // namespace drpf::client
