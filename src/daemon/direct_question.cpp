#include "daemon/direct_question.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "system/socket_address.h"

namespace drpf::daemon {

DirectQuestion::DirectQuestion(Protocol protocol, const Endpoint& at, ByteView datagram) : protocol_(protocol) {
  const auto address = system::to_socket_address(at);
  const int type = protocol == Protocol::tcp ? SOCK_STREAM : SOCK_DGRAM;
  system::Fd socket(::socket(address.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return;
  if (protocol == Protocol::tcp) {
    const linger reset_at_close{.l_onoff = 1, .l_linger = 0};
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset_at_close, sizeof reset_at_close);
  }
  if (::connect(socket.get(), address.get(), address.size) != 0 && errno != EINPROGRESS) return;
  if (protocol == Protocol::udp && ::send(socket.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) < 0) return;
  socket_ = std::move(socket);
}

bool DirectQuestion::answered() const {
  if (!socket_.valid()) return false;
  pollfd look{.fd = socket_.get(), .events = static_cast<short>(protocol_ == Protocol::tcp ? POLLOUT : POLLIN), .revents = 0};
  return ::poll(&look, 1, 0) > 0;  // also where there is an error: it came from the device
}

}  // namespace drpf::daemon
