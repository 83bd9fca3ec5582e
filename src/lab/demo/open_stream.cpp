#include "lab/demo/open_stream.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "lab/demo/limits.h"
#include "lab/stage/sockets.h"
#include "system/fd.h"

namespace drpf::lab::demo {

using namespace lab;

namespace {

constexpr int stream_buffer = 32 * 1024;  // small, so that the sender has to go on sending all the time
constexpr std::size_t piece = 10 * 1024;
constexpr auto pace = std::chrono::milliseconds(10);  // one piece each: about a megabyte per second
constexpr std::size_t header_max = 4096;

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// One read; false at the end of the connection or on an error.
bool read_some(const system::Fd& socket, std::string& buffer, OpenStream::Progress& progress) {
  buffer.resize(progress.hurry ? std::size_t{256} * 1024 : piece);
  const ssize_t count = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
  if (count <= 0) return false;
  buffer.resize(static_cast<std::size_t>(count));
  const std::int64_t now = now_ns();
  if (progress.last_byte_ns != 0) progress.longest_pause_ns = std::max(progress.longest_pause_ns.load(), now - progress.last_byte_ns);
  progress.last_byte_ns = now;
  return true;
}

bool download(const system::Fd& socket, const std::string& path, std::string_view expected, OpenStream::Progress& progress) {
  const std::string request = fmt::format("GET {} HTTP/1.0\r\nHost: home\r\n\r\n", path);
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) return false;
  std::string header;
  std::string buffer;
  while (!progress.complete) {
    if (!read_some(socket, buffer, progress)) return false;
    std::string_view body = buffer;
    if (!header.ends_with("\r\n\r\n")) {
      header += buffer;
      const std::size_t end = header.find("\r\n\r\n");
      if (end == std::string::npos) {
        if (header.size() > header_max) return false;
        continue;
      }
      body.remove_prefix(buffer.size() - (header.size() - (end + 4)));
      header.resize(end + 4);
      if (!header.starts_with("HTTP/1.1 200")) return false;
    }
    if (!expected.starts_with(body)) return false;
    expected.remove_prefix(body.size());
    progress.bytes += body.size();
    progress.complete = expected.empty();
    if (!progress.hurry) std::this_thread::sleep_for(pace);
  }
  return true;
}

}  // namespace

Result<OpenStream> OpenStream::start(const Endpoint& from, const std::string& path, const std::string& expected) {
  void* shared = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return fail(failure("mmap", fmt::format("cannot share memory with a child: {}", std::strerror(errno))));
  auto* progress = new (shared) Progress;
  OpenStream stream(progress, {});
  const system::Fd socket(::socket(from.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &stream_buffer, sizeof stream_buffer);
  if (const Reach reach = try_connect(socket, from, limits::request); reach != Reach::open) {
    return fail(failure("connect", fmt::format("{} is {}", drpf::to_string(from), to_string(reach))));
  }
  Result<system::Process> child = system::Process::fork([&] {
    const bool whole = download(socket, path, expected, *progress);
    if (!whole) progress->wrong = true;
    return whole ? 0 : 1;
  });
  if (!child) return fail(child.error());
  stream.child_ = std::move(*child);
  return stream;
}

OpenStream::OpenStream(OpenStream&& other) noexcept : progress_(std::exchange(other.progress_, nullptr)), child_(std::move(other.child_)) {}

OpenStream::~OpenStream() {
  child_.kill();
  if (progress_ != nullptr) ::munmap(progress_, sizeof(Progress));
}

}  // namespace drpf::lab::demo
