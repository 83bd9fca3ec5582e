#include "system/supervised_child.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace drpf::system {
namespace {

// What goes over the control socket, one byte each. To this process with the new child's end of its stream.
constexpr char ready = 'r';
constexpr char refused = 'f';     // followed by the reason
constexpr char replace_it = 'k';  // to the supervisor

struct Ends {
  Fd ours;
  Fd theirs;
};

Result<Ends> socket_pair(int type) {
  int ends[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0)
    return fail(failure("socketpair", std::string("cannot make a pair of sockets: ") + std::strerror(errno)));
  return Ends{Fd(ends[0]), Fd(ends[1])};
}

// A child must not keep alive what was handed to its parent (tunnel, listening sockets).
void close_all_but(int kept) {
  const auto close_range = [](int first, int last) {
    if (first <= last) ::syscall(SYS_close_range, first, last, 0);
  };
  close_range(STDERR_FILENO + 1, kept - 1);
  close_range(kept + 1, std::numeric_limits<int>::max());
}

bool send_with(int control, const std::string& words, int passed) {
  iovec part{const_cast<char*>(words.data()), words.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
  if (passed >= 0) {
    message.msg_control = space.data();
    message.msg_controllen = space.size();
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &passed, sizeof passed);
  }
  ssize_t sent;
  while ((sent = ::sendmsg(control, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {}
  return sent >= 0;
}

struct News {
  std::string words;  // empty: the other end is closed
  Fd passed;
  bool no_room = false;  // one was passed, and this process has as many descriptors as it may
};

Fd something_open() { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

// Nothing when none came within the limit.
// `spare` makes room for what is passed.
std::optional<News> receive_news(int control, int wait_ms, Fd* spare = nullptr) {
  pollfd waiting{control, POLLIN, 0};
  int count;
  while ((count = ::poll(&waiting, 1, wait_ms)) < 0 && errno == EINTR) {}
  if (count <= 0) return std::nullopt;
  std::array<char, 512> buffer;
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space.data();
  message.msg_controllen = space.size();
  ssize_t received;
  if (spare != nullptr) *spare = Fd();
  while ((received = ::recvmsg(control, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {}
  News news;
  if (received <= 0) return news;
  news.words.assign(buffer.data(), static_cast<std::size_t>(received));
  if (const auto* header = CMSG_FIRSTHDR(&message); header != nullptr && header->cmsg_level == SOL_SOCKET &&
                                                    header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
    int passed = -1;
    std::memcpy(&passed, CMSG_DATA(header), sizeof passed);
    news.passed = Fd(passed);
  }
  news.no_room = (message.msg_flags & MSG_CTRUNC) != 0;
  return news;
}

void pause_before_respawn() {
  const timespec delay{0, std::chrono::nanoseconds(SupervisedChild::respawn_delay).count()};
  ::nanosleep(&delay, nullptr);
}

// Until the child has ended, by itself or because it is to be replaced. False: nobody needs one any more.
bool watch_over(Process& child, int control) {
  const Fd ended(static_cast<int>(::syscall(SYS_pidfd_open, child.pid(), 0)));
  for (;;) {
    std::array<pollfd, 2> waiting{pollfd{ended.get(), POLLIN, 0}, pollfd{control, POLLIN, 0}};
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return false;
    if (waiting[1].revents != 0) {
      const auto order = receive_news(control, 0);
      if (order && order->words.empty()) return false;
      if (order && order->words[0] == replace_it) return true;  // the caller's Process kills it
    }
    if (waiting[0].revents != 0) return true;
  }
}

int supervise(int control, const std::function<Status()>& prepare, const std::function<void(int)>& serve) {
  // What ends the parent comes to its whole process group; this ends when the parent has.
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, SIG_IGN);
  if (const auto prepared = prepare(); !prepared) {
    send_with(control, refused + prepared.error().message, -1);
    return 1;
  }
  for (;;) {
    auto pair = socket_pair(SOCK_STREAM);
    if (!pair) return 1;
    auto child = Process::fork([&] {
      for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, SIG_IGN);
      close_all_but(pair->theirs.get());
      serve(pair->theirs.get());
      return 0;
    });
    if (!child) return 1;
    pair->theirs = Fd();
    if (!send_with(control, std::string(1, ready), pair->ours.get())) return 0;
    pair->ours = Fd();
    if (!watch_over(*child, control)) return 0;
    child->kill();
    pause_before_respawn();
  }
}

int milliseconds(Duration limit) { return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(limit).count()); }

}  // namespace

Result<SupervisedChild> SupervisedChild::start(const std::function<Status()>& prepare, const std::function<void(int socket)>& serve) {
  auto pair = socket_pair(SOCK_SEQPACKET);
  if (!pair) return fail(pair.error());
  auto supervisor = Process::fork([&] {
    pair->ours = Fd();
    close_all_but(pair->theirs.get());
    return supervise(pair->theirs.get(), prepare, serve);
  });
  if (!supervisor) return fail(supervisor.error());
  pair->theirs = Fd();
  auto first = receive_news(pair->ours.get(), -1);
  if (!first || !first->passed.valid())
    return fail(failure("child_not_started", first && first->words.size() > 1 ? first->words.substr(1) : "it has ended"));
  SupervisedChild started(std::move(*supervisor), std::move(pair->ours));
  started.socket_ = std::move(first->passed);
  started.spare_ = something_open();
  return started;
}

void SupervisedChild::replace() {
  socket_ = Fd();  // what comes later would be the answer to another question
  if (!lost_ && !send_with(control_.get(), std::string(1, replace_it), -1)) lost_ = true;
}

bool SupervisedChild::take_up(Duration limit) {
  no_room_ = false;
  for (int wait_ms = milliseconds(limit); !lost_; wait_ms = 0) {
    auto news = receive_news(control_.get(), wait_ms, &spare_);
    if (!news) break;
    if (news->no_room) {
      // The child is there and cannot be spoken to: another one is sent for, when there may be room again.
      no_room_ = true;
      replace();
      break;
    }
    if (news->passed.valid()) {
      socket_ = std::move(news->passed);  // perhaps of one that has been replaced meanwhile: then there is more news
      ++taken_up_;
    } else {
      lost_ = true;
    }
  }
  if (lost_) socket_ = Fd();
  if (!spare_.valid()) spare_ = something_open();
  return socket_.valid();
}

}  // namespace drpf::system
