// One side of a conversation: a watched stream with what was read and is not used yet. Reads and writes what is possible now; waiting is
// the conversation's. Its buffers are there while something is in them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/address.h"
#include "core/bytes.h"
#include "proxy/poller.h"
#include "proxy/task.h"

namespace drpf::proxy {

enum class Progress : std::uint8_t { some, blocked, ended, failed };

class Stream {
 public:
  static constexpr std::size_t read_max = 16 * 1024;

  Channel channel;
  std::string in;   // read, and not used yet
  std::string out;  // to be written

  // Appends to `in`.
  Progress read_some();
  // As much of `out` as goes: `some` when it is empty then.
  Progress write_some();
  void take(std::size_t size) {
    in.erase(0, size);
    if (in.empty()) in.shrink_to_fit();
  }
  void end_writing();
  // The other side sees a reset: what it has read is not all there was.
  void abort();
};

// All of `out`; false where that does not go on until the deadline.
Task<bool> write_out(Poller& poller, Stream& stream, Deadline deadline);
// At least one byte more in `in`; false at the end, after an error, at the deadline.
Task<bool> read_more(Poller& poller, Stream& stream, Deadline deadline);
// Ends writing, and reads away what still comes, so that what was written last is not lost by a reset.
Task<void> linger(Poller& poller, Stream& stream, Deadline deadline);

std::string_view as_text(ByteView bytes);
ByteView as_bytes(std::string_view text);

// The two ends of a socket; nothing where the kernel says none.
std::optional<Endpoint> local_end(int fd);
std::optional<Endpoint> remote_end(int fd);

}  // namespace drpf::proxy
