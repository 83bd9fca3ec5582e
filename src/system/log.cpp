#include "system/log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <string>

namespace drpf::system {
namespace {

constexpr std::string_view words[] = {"debug", "info", "warning", "error"};
constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};
// SD_DEBUG, SD_INFO, SD_WARNING, SD_ERR of sd-daemon(3).
constexpr std::string_view prefixes[] = {"<7>", "<6>", "<4>", "<3>"};
constexpr std::string_view critical_prefix = "<2>";

// The message as the inside of a JSON string (RFC 8259 section 7): names and texts from outside may hold anything.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    constexpr std::string_view digits = "0123456789abcdef";
    for (const char c : message.payload) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out.push_back('\\');
        out.push_back(c);
      } else if (byte < 0x20) {
        out.append(std::string_view("\\u00"));
        out.push_back(digits[byte >> 4]);
        out.push_back(digits[byte & 15]);
      } else {
        out.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonMessage>(); }
};

// The message on one line: what it quotes cannot begin another one.
class LineMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    for (const char c : message.payload) out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<LineMessage>(); }
};

class Prefix final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    const auto* const level = std::find(std::begin(levels), std::end(levels), message.level);
    out.append(level == std::end(levels) ? critical_prefix : prefixes[level - std::begin(levels)]);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<Prefix>(); }
};

std::unique_ptr<spdlog::formatter> formatter_for(const LogOptions& options, bool journal) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<Prefix>('&').add_flag<JsonMessage>('*').add_flag<LineMessage>('~');
  const std::string prefix = journal ? "%&" : "";
  if (options.json)
    formatter->set_pattern(prefix + R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%*"})");
  else if (!options.program.empty())
    formatter->set_pattern(fmt::format("{}{}: %~", prefix, options.program));
  else
    formatter->set_pattern(journal ? "%&%~" : "%Y-%m-%dT%H:%M:%SZ %l: %~");
  return formatter;
}

class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit DescriptorSink(int descriptor) : descriptor_(descriptor) {
    struct stat file{};
    is_socket_ = ::fstat(descriptor, &file) == 0 && S_ISSOCK(file.st_mode);
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (lost_ > 0) {
      const auto text = fmt::format("{} lines of the log were lost: nobody read them", lost_);
      if (!put({message.logger_name, spdlog::level::warn, text})) {
        ++lost_;
        return;
      }
      lost_ = 0;
    }
    if (!put(message)) ++lost_;
  }
  void flush_() override {}  // nothing is kept back

  bool put(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    if (cut_) line.push_back('\n');  // the last one ended in the middle
    formatter_->format(message, line);
    std::string_view left(line.data(), line.size());
    while (!left.empty()) {
      const auto written = is_ready() ? write_part(left) : 0;
      if (written < 0) return true;  // there is nobody any more: nothing is lost to him
      if (written == 0) {
        cut_ = cut_ || left.size() < line.size();
        return false;
      }
      left.remove_prefix(static_cast<std::size_t>(written));
    }
    cut_ = false;
    return true;
  }

  // 0: it is not taken now.
  ssize_t write_part(std::string_view text) const {
    // A pipe that is ready takes PIPE_BUF bytes without waiting (pipe(7)).
    const auto size = std::min<std::size_t>(text.size(), PIPE_BUF);
    const auto written =
        is_socket_ ? ::send(descriptor_, text.data(), size, MSG_DONTWAIT | MSG_NOSIGNAL) : ::write(descriptor_, text.data(), size);
    return written < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : written;
  }

  bool is_ready() const {
    pollfd descriptor{descriptor_, POLLOUT, 0};
    const auto patience = lost_ > 0 ? Duration::zero() : log_wait_max;
    return ::poll(&descriptor, 1, static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(patience).count())) > 0;
  }

  int descriptor_;
  bool is_socket_ = false;
  bool cut_ = false;
  std::uint64_t lost_ = 0;
};

}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view word) {
  const auto* const found = std::find(std::begin(words), std::end(words), word);
  if (found == std::end(words)) return std::nullopt;
  return static_cast<LogLevel>(found - std::begin(words));
}

bool leads_to_journal(int descriptor) {
  const char* const named = std::getenv("JOURNAL_STREAM");
  struct stat file{};
  return named != nullptr && ::fstat(descriptor, &file) == 0 && named == fmt::format("{}:{}", file.st_dev, file.st_ino);
}

std::string_view journal_prefix(LogLevel level) { return prefixes[static_cast<std::size_t>(level)]; }

std::shared_ptr<spdlog::logger> make_log(const LogOptions& options, int descriptor) {
  auto log = std::make_shared<spdlog::logger>("drpf", std::make_shared<DescriptorSink>(descriptor));
  log->set_formatter(formatter_for(options, leads_to_journal(descriptor)));
  log->set_level(levels[static_cast<std::size_t>(options.level)]);
  spdlog::set_default_logger(log);
  return log;
}

void hold_standard_streams() {
  for (int opened = 0; opened >= 0 && opened <= STDERR_FILENO;) {
    opened = ::open("/dev/null", O_RDWR);
    if (opened > STDERR_FILENO) ::close(opened);
  }
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace drpf::system
