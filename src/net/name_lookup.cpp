#include "net/name_lookup.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "system/fd.h"
#include "system/process.h"
#include "system/socket_address.h"

namespace drpf::net {
namespace {

// What the child says: a line for each address, or one with its reason; then an empty one. It fits into a pipe, whole.
constexpr char reason_mark = '!';
constexpr std::string_view answer_end = "\n\n";
constexpr std::size_t answer_bytes_max = 4096;

std::string ask_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0)
    return std::string(1, reason_mark) + ::gai_strerror(error) + std::string(answer_end);
  std::vector<std::string> found;
  for (const addrinfo* entry = list; entry != nullptr && found.size() < name_addresses_max; entry = entry->ai_next) {
    const auto endpoint = system::from_socket_address(entry->ai_addr, entry->ai_addrlen);
    if (!endpoint) continue;
    if (auto text = to_string(endpoint->address); std::find(found.begin(), found.end(), text) == found.end())
      found.push_back(std::move(text));
  }
  std::string answer;
  for (const auto& text : found) answer += text + "\n";
  return answer.empty() ? std::string(1, reason_mark) + "no address" + std::string(answer_end) : answer + "\n";
}

Result<std::vector<Address>> parse(std::string_view answer) {
  const auto refused = [](std::string_view why) { return fail(failure("name_not_found", std::string(why))); };
  if (answer.starts_with(reason_mark)) return refused(answer.substr(1, answer.find('\n') - 1));
  std::vector<Address> found;
  for (auto end = answer.find('\n'); end != std::string_view::npos && end != 0; end = answer.find('\n')) {
    if (const auto address = parse_address(answer.substr(0, end))) found.push_back(*address);
    answer.remove_prefix(end + 1);
  }
  if (found.empty()) return refused("the resolver did not answer");
  return found;
}

struct Lookup final : Watch::State, std::enable_shared_from_this<Lookup> {
  void cancel() override {
    readable.cancel();
    limit.cancel();
    found = nullptr;
    child = {};
  }
  void end(Result<std::vector<Address>> result) {
    const auto self = shared_from_this();
    const auto call = std::exchange(found, nullptr);
    cancel();
    if (call) call(std::move(result));
  }
  void read() {
    std::array<char, answer_bytes_max> chunk;
    const auto size = ::read(pipe.get(), chunk.data(), chunk.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (size > 0) answer.append(chunk.data(), static_cast<std::size_t>(size));
    if (size <= 0 || answer.ends_with(answer_end) || answer.size() > answer_bytes_max) end(parse(answer));
  }

  system::Fd pipe;
  system::Process child;
  std::string answer;
  NameFound found;
  Watch readable;
  Timer limit;
};

}  // namespace

Watch look_up_name(EventLoop& loop, const std::string& host, NameFound found) {
  auto lookup = std::make_shared<Lookup>();
  lookup->found = std::move(found);
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
    lookup->pipe = system::Fd(ends[0]);
    const system::Fd write_end(ends[1]);
    auto child = system::Process::fork([&host, out = write_end.get()] {
      const auto answer = ask_system(host);
      return ::write(out, answer.data(), answer.size()) == static_cast<ssize_t>(answer.size()) ? 0 : 1;
    });
    if (child) lookup->child = std::move(*child);
  }
  auto* raw = lookup.get();  // what waits goes with it
  if (lookup->child.pid() > 0) lookup->readable = loop.watch_readable(lookup->pipe.get(), [raw] { raw->read(); });
  lookup->limit = loop.after(lookup->child.pid() > 0 ? Duration(name_lookup_time_max) : Duration::zero(),
                             [raw] { raw->end(fail(failure("name_not_found", "the resolver did not answer"))); });
  return Watch(std::move(lookup));
}

}  // namespace drpf::net
