// One connected stream of bytes, over TCP or a unix socket: connecting, reading and writing that wait on the loop, each with its deadline.
// Knows nothing of what the bytes mean, and looks no names up.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "core/address.h"
#include "net/event_loop.h"
#include "system/fd.h"

namespace drpf::net {

using StreamPeer = std::variant<std::string, Endpoint>;  // path of a unix socket, or TCP

// By which way a stream leaves.
struct StreamRoute {
  std::optional<std::string> device = std::nullopt;  // SO_BINDTODEVICE
  std::optional<std::uint32_t> mark = std::nullopt;  // SO_MARK
  std::optional<Address> source = std::nullopt;      // bind before connecting
};

// The stream ends with the object, or with close(): it is closed, and no function given to it is called any more. No function is called
// before the call that it was given to has returned. Destroying the stream from inside such a function is fine. Must be destroyed on the
// loop's thread (or after run() has returned), and before the loop.
class ByteStream {
 public:
  static constexpr std::size_t read_max = 16 * 1024;
  // What a wait that was too long ends with; the kernel gives no stream of ours this number.
  static constexpr int deadline_passed = ETIME;

  using Deadline = std::chrono::steady_clock::time_point;
  static constexpr Deadline no_deadline = Deadline::max();
  using Done = std::function<void(int error)>;  // 0, or errno
  // The bytes are there until the function returns; none of them without an error: the peer has ended its side.
  using Received = std::function<void(int error, std::string_view bytes)>;

  explicit ByteStream(EventLoop& loop);
  // One that somebody has accepted.
  ByteStream(EventLoop& loop, system::Fd connected);
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;
  ~ByteStream();

  // Once, and first. The error may be that of any step, also of those before connect(2).
  void connect(const StreamPeer& peer, const StreamRoute& route, Deadline deadline, Done done);
  // What there is, at least one byte. One read at a time; it may run beside a write.
  void read_some(Deadline deadline, Received received);
  // All of it. One write at a time.
  void write_all(std::string bytes, Deadline deadline, Done done);
  // No more is written: the peer reads the end. Reading goes on.
  void shut_down_writing();
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the waits that are out, which may outlive the owner by one turn of the loop
};

}  // namespace drpf::net
