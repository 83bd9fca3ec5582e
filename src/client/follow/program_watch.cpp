#include "client/follow/program_watch.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>

#include <fmt/format.h>

#include "client/follow/program_scan.h"
#include "system/boot_clock.h"
#include "system/privileges.h"
#include "system/seccomp.h"

namespace drpf::client {
namespace {

using system::Capability;

constexpr std::string_view end_line = "end";
constexpr std::string_view blind_line = "blind";
constexpr std::size_t text_max = followed_sockets_max * 400;  // a line is shorter than that
constexpr int pipe_in_child = 3;

bool write_whole(std::string_view text) {
  while (!text.empty()) {
    const auto written = ::write(pipe_in_child, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// The child: until its parent is gone.
int watch(const std::vector<std::string>& programs, int pipe, pid_t parent) {
  // Of what the parent has open it needs the pipe alone.
  if (::dup2(pipe, pipe_in_child) < 0 || ::syscall(SYS_close_range, pipe_in_child + 1, UINT_MAX, 0) != 0) return 1;
  for (const int number : {SIGINT, SIGHUP, SIGTERM, SIGPIPE}) ::signal(number, SIG_IGN);  // it ends with its parent
  auto scan = ProgramScan::open(programs);
  if (!scan) return 1;
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // what it may do is nobody else's
  // The first to look at what another user's process has open, the second to open the folder in /proc where that stands.
  if (!system::give_up_privileges({Capability::sys_ptrace, Capability::dac_read_search}, std::nullopt)) return 1;
  if (!system::restrict_syscalls(system::SyscallPolicy::gateway)) return 1;
  const bool sees_all = system::has_capability(Capability::sys_ptrace) && system::has_capability(Capability::dac_read_search);
  if (!sees_all && !write_whole(std::string(blind_line) + "\n")) return 0;

  const system::SystemClock clock;
  std::optional<std::vector<FollowedSocket>> told;
  while (::getppid() == parent) {
    if (auto seen = scan->look(clock.now()); seen && told != *seen) {
      told = std::move(*seen);
      if (!write_whole(program_watch_text(*told))) return 0;
    }
    timespec pause{};
    pause.tv_sec = program_watch_period.count();
    ::nanosleep(&pause, nullptr);
  }
  return 0;
}

}  // namespace

std::string program_watch_text(const std::vector<FollowedSocket>& sockets) {
  std::string text;
  for (const auto& socket : sockets)
    text += fmt::format("socket {} {} {} {} {}\n", socket.program, to_string(socket.protocol), to_string(socket.address),
                        to_string(socket.port), socket.interface);
  return text + std::string(end_line) + "\n";
}

Result<FollowedSocket> parse_program_watch_line(std::string_view line) {
  std::array<std::string_view, 6> words;
  std::size_t count = 0;
  for (auto rest = line; count < words.size(); ++count) {
    const auto blank = rest.find(' ');
    words[count] = rest.substr(0, blank);
    if (blank == std::string_view::npos) {
      ++count;
      break;
    }
    rest.remove_prefix(blank + 1);
    if (count + 1 == words.size()) count = words.size() + 1;  // a seventh word
  }
  const auto malformed = [&] {
    return fail(failure("watch_confused", fmt::format("what looks for programs says '{}'", line.substr(0, 100))));
  };
  // Only programs that a rule names are looked for, and such a name is plain.
  const bool plain = std::all_of(words[1].begin(), words[1].end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (count != words.size() || words[0] != "socket" || words[1].empty() || !plain) return malformed();
  const auto protocol = parse_protocol(words[2]);
  const auto address = parse_address(words[3]);
  const auto port = parse_port(words[4]);
  std::uint32_t interface = 0;
  const auto [end, error] = std::from_chars(words[5].data(), words[5].data() + words[5].size(), interface);
  if (!protocol || !address || !port || port->is_zero() || error != std::errc{} || end != words[5].data() + words[5].size())
    return malformed();
  return FollowedSocket{std::string(words[1]), *protocol, *address, *port, interface};
}

Result<ProgramWatch> ProgramWatch::start(std::vector<std::string> programs) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(failure("no_pipe", fmt::format("cannot make a pipe: {}", std::strerror(errno))));
  system::Fd read_end(ends[0]);
  const system::Fd write_end(ends[1]);
  ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
  auto process = system::Process::fork([&, parent = ::getpid()] { return watch(programs, write_end.get(), parent); });
  if (!process) return fail(process.error());
  return ProgramWatch(std::move(*process), std::move(read_end));
}

void ProgramWatch::listen(net::EventLoop& loop, Listener listener) {
  listener_ = std::move(listener);
  watch_ = loop.watch_readable(pipe_.get(), [this] { read(); });
}

void ProgramWatch::read() {
  std::array<char, 16384> chunk;
  const auto size = ::read(pipe_.get(), chunk.data(), chunk.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0 || text_.size() > text_max) {
    watch_.cancel();
    return listener_.ended(failure("watch_ended", "the process that looks for programs has ended: their ports are followed no more",
                                   "Connect again; if it happens again, it is a fault of drpf's, or somebody ends it."));
  }
  text_.append(chunk.data(), static_cast<std::size_t>(size));
  for (auto end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
    const auto line = text_.substr(0, end);
    text_.erase(0, end + 1);
    take(line);
  }
}

void ProgramWatch::take(std::string_view line) {
  if (line == end_line) return listener_.seen(std::exchange(sockets_, {}));
  if (line == blind_line) {
    return listener_.note(
        "only programs of this user are followed: to see those of others takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH (docs/connect.md)");
  }
  auto socket = parse_program_watch_line(line);
  if (socket) sockets_.push_back(std::move(*socket));
}

}  // namespace drpf::client
