// Reads a stream of lines with blocking calls, on an event loop of its own.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "net/http_client.h"

namespace drpf::test {

class LineReader {
 public:
  // Returns once the server has answered, or the stream has ended; see error().
  LineReader(const net::HttpClient& client, std::string_view target) {
    net::LineListener listener;
    listener.answered = [this](unsigned status) { status_ = status; };
    listener.line = [this](std::string line) { lines_.push_back(std::move(line)); };
    listener.ended = [this](Status status) { ended_ = std::move(status); };
    stream_ = client.open_stream(loop_, target, std::move(listener));
    while (status_ == 0 && !ended_) loop_.run_for(turn);
  }

  unsigned status() const { return status_; }  // 0: no answer
  // The next line; none at the stream's end or after cancel().
  Result<std::optional<std::string>> next() {
    while (lines_.empty() && !ended_) loop_.run_for(turn);
    if (!lines_.empty()) {
      auto line = std::move(lines_.front());
      lines_.pop_front();
      return line;
    }
    if (!*ended_) return fail(ended_->error());
    return std::nullopt;
  }
  // From any thread.
  void cancel() {
    loop_.post([this] {
      stream_.cancel();
      ended_ = Status{};
    });
  }

 private:
  static constexpr Duration turn = std::chrono::milliseconds(5);
  net::EventLoop loop_;
  unsigned status_ = 0;
  std::deque<std::string> lines_;
  std::optional<Status> ended_;
  net::Watch stream_;
};

}  // namespace drpf::test
