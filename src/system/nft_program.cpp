#include "system/nft_program.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "system/fd.h"
#include "system/netlink_socket.h"
#include "system/privileges.h"

namespace drpf::system {
namespace {

constexpr Duration answer_margin = std::chrono::seconds(2);  // beyond nft's own limit
constexpr Duration limit_max = std::chrono::minutes(5);

// What goes through the socket, both ways: this, then `size` bytes. Both ends are this program, so the host's own byte order is right.
struct Head {
  std::uint32_t kind = 0;   // a request: the task; an answer: an AnswerKind
  std::int32_t number = 0;  // a request: milliseconds; an answer: the exit code
  std::uint32_t size = 0;
  std::uint32_t size_of_errors = 0;
};

enum AnswerKind : std::uint32_t { answer_output = 1, answer_failure = 2 };

// The put-aside child as this process sees it: one for each process, as the process's capabilities are.
struct Aside {
  Process process;
  Fd socket;
};
std::unique_ptr<Aside>& aside() {
  static std::unique_ptr<Aside> one;
  return one;
}

bool send_whole(int fd, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const auto sent = ::send(fd, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

// False at the end of the stream, an error, or `wait_ms` of silence (-1: for ever).
bool receive_whole(int fd, void* data, std::size_t size, int wait_ms) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    pollfd ready{fd, POLLIN, 0};
    const int count = ::poll(&ready, 1, wait_ms);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    const auto received = ::recv(fd, at, size, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    at += received;
    size -= static_cast<std::size_t>(received);
  }
  return true;
}

Result<Output> run_directly(NftTask task, const std::string& text, Duration limit) {
  Command command;
  command.arguments =
      task == NftTask::apply ? std::vector<std::string>{"nft", "-f", "-"} : std::vector<std::string>{"nft", "-a", "list", "ruleset"};
  command.input = text;
  command.prepare = [] { return lend_to_program({Capability::net_admin}); };
  return run(command, limit);
}

// The child must not keep alive what was handed to the gateway (tunnel, listening sockets).
void close_all_but(int kept) {
  const auto close_range = [](int first, int last) {
    if (first <= last) ::syscall(SYS_close_range, first, last, 0);
  };
  close_range(STDERR_FILENO + 1, kept - 1);
  close_range(kept + 1, std::numeric_limits<int>::max());
}

bool send_answer(int socket, const Result<Output>& output) {
  Head answer;
  const std::string& out = output ? output->out : output.error().message;
  const std::string err = output ? output->err : std::string();
  answer.kind = output ? answer_output : answer_failure;
  answer.number = output ? output->exit_code : 0;
  answer.size = static_cast<std::uint32_t>(out.size());
  answer.size_of_errors = static_cast<std::uint32_t>(err.size());
  return send_whole(socket, &answer, sizeof answer) && send_whole(socket, out.data(), out.size()) &&
         send_whole(socket, err.data(), err.size());
}

// Nothing when the other end has gone or is silent.
std::optional<Result<Output>> receive_answer(int socket, int wait_ms) {
  Head answer;
  if (!receive_whole(socket, &answer, sizeof answer, wait_ms)) return std::nullopt;
  if (answer.size > Process::output_max || answer.size_of_errors > Process::output_max) return std::nullopt;
  Output output{answer.number, std::string(answer.size, '\0'), std::string(answer.size_of_errors, '\0')};
  if (!receive_whole(socket, output.out.data(), output.out.size(), wait_ms)) return std::nullopt;
  if (!receive_whole(socket, output.err.data(), output.err.size(), wait_ms)) return std::nullopt;
  if (answer.kind != answer_output) return fail(failure("nft", output.out));
  return output;
}

bool answer_one(int socket) {
  Head request;
  if (!receive_whole(socket, &request, sizeof request, -1)) return false;
  const auto task = static_cast<NftTask>(request.kind);
  if ((task != NftTask::apply && task != NftTask::list) || request.size > Process::input_max || request.number < 0) return false;
  std::string text(request.size, '\0');
  if (!receive_whole(socket, text.data(), text.size(), -1)) return false;
  const auto output = run_directly(task, text, std::min<Duration>(std::chrono::milliseconds(request.number), limit_max));
  return send_answer(socket, output);
}

Result<Output> run_aside(Aside& child, NftTask task, const std::string& text, Duration limit) {
  const auto gone = [&child] {
    child.socket = Fd();  // what comes later would be the answer to another question
    return fail(failure("nft_process_gone", "the process that runs nft for the gateway has ended or does not answer",
                        "restart the gateway: leases and open connections stay"));
  };
  if (!child.socket.valid()) return gone();
  if (text.size() > Process::input_max)
    return fail(invalid("input", fmt::format("{} bytes of input for nft are more than {}", text.size(), Process::input_max)));
  Head request;
  request.kind = static_cast<std::uint32_t>(task);
  request.number = static_cast<std::int32_t>(std::chrono::ceil<std::chrono::milliseconds>(std::min(limit, limit_max)).count());
  request.size = static_cast<std::uint32_t>(text.size());
  const int socket = child.socket.get();
  if (!send_whole(socket, &request, sizeof request) || !send_whole(socket, text.data(), text.size())) return gone();
  const auto wait_ms = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(limit + answer_margin).count());
  auto answer = receive_answer(socket, wait_ms);
  return answer ? std::move(*answer) : Result<Output>(gone());
}

}  // namespace

Result<Output> run_nft(NftTask task, const std::string& text, Duration limit) {
  if (aside()) return run_aside(*aside(), task, text, limit);
  return run_directly(task, text, limit);
}

Status put_nft_aside(const std::function<Status()>& prepare) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail(errno_failure(errno, "make a pair of sockets"));
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  auto child = Process::fork([&] {
    ours = Fd();
    close_all_but(theirs.get());
    // What ends the gateway comes to its whole process group; this child ends when the gateway has.
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, SIG_IGN);
    const auto prepared = prepare();
    if (!send_answer(theirs.get(), prepared ? Result<Output>(Output{}) : fail(prepared.error())) || !prepared) return 1;
    while (answer_one(theirs.get())) {}
    return 0;
  });
  if (!child) return fail(child.error());
  theirs = Fd();
  if (const auto prepared = receive_answer(ours.get(), -1); !prepared || !*prepared)
    return fail(failure("nft_process",
                        "the process that is to run nft does not start: " + (prepared ? prepared->error().message : "it has ended"),
                        "start the gateway as root, or as a user with CAP_NET_ADMIN"));
  aside() = std::make_unique<Aside>(Aside{std::move(*child), std::move(ours)});
  return {};
}

}  // namespace drpf::system
