#include "system/nft_program.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "system/netlink_socket.h"
#include "system/nft_table.h"
#include "system/privileges.h"
#include "system/supervised_child.h"

namespace drpf::system {
namespace {

constexpr Duration answer_margin = std::chrono::seconds(2);  // beyond nft's own limit
constexpr Duration limit_max = std::chrono::minutes(5);
constexpr Duration child_wait_max = std::chrono::seconds(1);  // for the one that comes after one that has ended
constexpr int begin_wait_ms = 1000;                           // until a child says that it begins

// What goes through the socket, both ways: this, then `size` bytes. Both ends are this program, so the host's own byte order is right.
struct Head {
  std::uint32_t kind = 0;   // a request: the task; an answer: an AnswerKind
  std::int32_t number = 0;  // a request: milliseconds; an answer: the exit code
  std::uint32_t size = 0;
  std::uint32_t size_of_errors = 0;
};

enum AnswerKind : std::uint32_t { answer_output = 1, answer_failure = 2, answer_begun = 3 };

// One for each process, as the process's capabilities are.
std::unique_ptr<SupervisedChild>& aside() {
  static std::unique_ptr<SupervisedChild> one;
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

enum class Received : std::uint8_t { all, ended, silent };

// Silent after `wait_ms` in which nothing came (-1: never).
Received receive_whole(int fd, void* data, std::size_t size, int wait_ms) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    pollfd ready{fd, POLLIN, 0};
    const int count = ::poll(&ready, 1, wait_ms);
    if (count < 0 && errno == EINTR) continue;
    if (count == 0) return Received::silent;
    if (count < 0) return Received::ended;
    const auto received = ::recv(fd, at, size, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return Received::ended;
    at += received;
    size -= static_cast<std::size_t>(received);
  }
  return Received::all;
}

Result<Output> run_once(std::vector<std::string> arguments, const std::string& input, Duration limit) {
  Command command;
  command.arguments = std::move(arguments);
  command.input = input;
  command.prepare = [] { return lend_to_program({Capability::net_admin}); };
  return run(command, limit);
}

Result<Output> list_others(const std::string& own_table, Duration limit) {
  auto reader = NftTable::open({});
  if (!reader) return fail(reader.error());
  const auto tables = reader->tables();
  if (!tables) return fail(tables.error());
  Output all;
  for (const auto& table : *tables) {
    if (table == own_table) {
      all.out += "table " + table + " {\n}\n";
      continue;
    }
    const auto space = table.find(' ');
    const auto listed = run_once({"nft", "-a", "list", "table", table.substr(0, space), table.substr(space + 1)}, {}, limit);
    if (!listed) return listed;
    if (listed->exit_code == 0) all.out += listed->out;  // else it has gone meanwhile
  }
  return all;
}

Result<Output> run_directly(NftTask task, const std::string& text, Duration limit) {
  if (task == NftTask::list_others) return list_others(text, limit);
  if (task == NftTask::list) return run_once({"nft", "-a", "list", "ruleset"}, {}, limit);
  return run_once({"nft", "-f", "-"}, text, limit);
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

struct Answer {
  Received how = Received::ended;
  Result<Output> output = Output{};  // where all of it was received
};

Answer receive_answer(int socket, int wait_ms) {
  Head head;
  if (const auto how = receive_whole(socket, &head, sizeof head, wait_ms); how != Received::all) return {how};
  if (head.size > Process::output_max || head.size_of_errors > Process::output_max) return {Received::ended};
  Output output{head.number, std::string(head.size, '\0'), std::string(head.size_of_errors, '\0')};
  for (auto* text : {&output.out, &output.err})
    if (const auto how = receive_whole(socket, text->data(), text->size(), wait_ms); how != Received::all) return {how};
  if (head.kind != answer_output) return {Received::all, fail(failure("nft", output.out))};
  return {Received::all, std::move(output)};
}

bool answer_one(int socket) {
  Head request;
  if (receive_whole(socket, &request, sizeof request, -1) != Received::all) return false;
  const auto task = static_cast<NftTask>(request.kind);
  if (task < NftTask::apply || task > NftTask::list_others || request.size > Process::input_max || request.number < 0) return false;
  std::string text(request.size, '\0');
  if (receive_whole(socket, text.data(), text.size(), -1) != Received::all) return false;
  Head begun;
  begun.kind = answer_begun;
  if (!send_whole(socket, &begun, sizeof begun)) return false;
  const auto output = run_directly(task, text, std::min<Duration>(std::chrono::milliseconds(request.number), limit_max));
  return send_answer(socket, output);
}

// A child that ended may have done what it was asked: all that nft is asked for here is the same when it is done twice.
constexpr int children_asked_max = 2;

Result<Output> run_aside(SupervisedChild& child, NftTask task, const std::string& text, Duration limit) {
  if (text.size() > Process::input_max)
    return fail(invalid("input", fmt::format("{} bytes of input for nft are more than {}", text.size(), Process::input_max)));
  Head request;
  request.kind = static_cast<std::uint32_t>(task);
  request.number = static_cast<std::int32_t>(std::chrono::ceil<std::chrono::milliseconds>(std::min(limit, limit_max)).count());
  request.size = static_cast<std::uint32_t>(text.size());
  const auto wait_ms = static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(limit + answer_margin).count());
  for (int asked = 0; asked < children_asked_max; ++asked) {
    if (!child.connected() && !child.take_up(child_wait_max)) break;
    Head begun;
    if (!send_whole(child.socket(), &request, sizeof request) || !send_whole(child.socket(), text.data(), text.size())) {
      child.hang_up();
      continue;
    }
    if (const auto how = receive_whole(child.socket(), &begun, sizeof begun, begin_wait_ms); how != Received::all) {
      how == Received::silent ? child.replace() : child.hang_up();
      continue;
    }
    auto answer = receive_answer(child.socket(), wait_ms);
    if (answer.how == Received::all) return std::move(answer.output);
    if (answer.how == Received::silent) {
      child.replace();
      return fail(failure("nft_process_silent",
                          "the process that runs nft for the gateway does not answer; another one is started in its place",
                          "see what keeps nft: time nft list ruleset"));
    }
    child.hang_up();
  }
  if (child.no_room()) return fail(errno_failure(EMFILE, "speak to the process that runs nft for the gateway"));
  if (!child.lost())
    return fail(failure("nft_process_gone", "the process that runs nft for the gateway ends whenever it is asked",
                        "see what ends it (memory?): journalctl -k"));
  return fail(failure("nft_process_gone", "the process that runs nft for the gateway has been killed together with its supervisor",
                      "restart the gateway: leases and open connections stay"));
}

}  // namespace

Result<Output> run_nft(NftTask task, const std::string& text, Duration limit) {
  if (aside()) return run_aside(*aside(), task, text, limit);
  return run_directly(task, text, limit);
}

Status put_nft_aside(const std::function<Status()>& prepare) {
  auto child = SupervisedChild::start(prepare, [](int socket) {
    while (answer_one(socket)) {}
  });
  if (!child)
    return fail(failure("nft_process", "the process that is to run nft does not start: " + child.error().message,
                        "start the gateway as root, or as a user with CAP_NET_ADMIN"));
  aside() = std::make_unique<SupervisedChild>(std::move(*child));
  return {};
}

int nft_process_news() { return aside() ? aside()->news() : -1; }

NftProcess look_after_nft() {
  if (!aside()) return NftProcess::standing;
  const auto before = aside()->taken_up();
  aside()->take_up(Duration::zero());
  if (aside()->lost()) return NftProcess::lost;
  return aside()->taken_up() == before ? NftProcess::standing : NftProcess::replaced;
}

}  // namespace drpf::system
