// A visitor's long download through a leased port, read in a child so that it goes on whatever the show does meanwhile. Compares every
// byte.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "core/address.h"
#include "core/result.h"
#include "core/time.h"
#include "system/process.h"

namespace drpf::lab::demo {

class OpenStream {
 public:
  struct Progress {
    std::atomic<std::uint64_t> bytes{0};            // received and equal to what was sent
    std::atomic<std::int64_t> last_byte_ns{0};      // steady clock
    std::atomic<std::int64_t> longest_pause_ns{0};  // between two reads that brought something
    std::atomic<bool> hurry{false};                 // read as fast as it comes
    std::atomic<bool> wrong{false};                 // a byte differed, or the connection broke
    std::atomic<bool> complete{false};
  };

  // GET `path`; `expected` is the body. Reads about a megabyte per second until hurry().
  static Result<OpenStream> start(const Endpoint& from, const std::string& path, const std::string& expected);
  OpenStream(OpenStream&& other) noexcept;
  OpenStream& operator=(OpenStream&&) = delete;
  ~OpenStream();

  const Progress& progress() const { return *progress_; }
  void hurry() { progress_->hurry = true; }
  bool running() { return child_.running(); }

 private:
  OpenStream(Progress* progress, system::Process child) : progress_(progress), child_(std::move(child)) {}
  Progress* progress_;  // shared with the child
  system::Process child_;
};

}  // namespace drpf::lab::demo
