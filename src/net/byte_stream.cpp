#include "net/byte_stream.h"

#include <sys/socket.h>

#include <array>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/completion_condition.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "system/socket_address.h"

namespace drpf::net {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// A socket on its way to the peer, or the error.
struct Opened {
  system::Fd fd;
  int error = 0;
};

Opened open_socket(int family, const StreamRoute& route) {
  system::Fd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return {{}, errno};
  const auto& device = route.device;
  if (device && ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, device->c_str(), static_cast<socklen_t>(device->size())) != 0)
    return {{}, errno};
  if (route.mark && ::setsockopt(fd.get(), SOL_SOCKET, SO_MARK, &*route.mark, sizeof *route.mark) != 0) return {{}, errno};
  if (route.source) {
    const auto source = system::to_socket_address(Endpoint{*route.source, Port{}});
    if (::bind(fd.get(), source.get(), source.size) != 0) return {{}, errno};
  }
  return {std::move(fd), 0};
}

}  // namespace

struct ByteStream::State : std::enable_shared_from_this<State> {
  explicit State(asio::io_context& io) : context(io), socket(io), read_timer(io), write_timer(io) {}

  // Reading, or connecting and writing: what is out, and how it ended when the deadline came first.
  struct Wait {
    bool out = false;
    bool late = false;
  };

  void adopt(system::Fd fd, int family) {
    error_code error;
    socket.assign(asio::generic::stream_protocol(family, 0), fd.get(), error);
    if (!error) fd.release();
  }

  // The stream is of no use after a deadline: half of something may be on its way.
  void begin(Wait& wait, asio::steady_timer& timer, Deadline deadline) {
    wait.out = true;
    timer.expires_at(deadline);
    if (deadline == no_deadline) return;
    timer.async_wait([self = shared_from_this(), &wait, &timer](const error_code& error) {
      if (error || !wait.out || timer.expiry() > std::chrono::steady_clock::now()) return;  // that of a wait before this one
      wait.late = true;
      error_code ignored;
      self->socket.cancel(ignored);
    });
  }

  static int end(Wait& wait, asio::steady_timer& timer, const error_code& error) {
    wait.out = false;
    timer.cancel();
    return std::exchange(wait.late, false) ? deadline_passed : error.value();
  }

  void finish_write(int error) {
    if (const auto call = std::exchange(done, nullptr)) call(error);
  }

  // Later, as everything else.
  void fail_write(int error) {
    asio::post(context, [self = shared_from_this(), error] { self->finish_write(error); });
  }

  void connect(const StreamPeer& peer, const StreamRoute& route, Deadline deadline) {
    system::SocketAddress address;
    if (const auto* path = std::get_if<std::string>(&peer)) {
      const auto of_path = system::to_socket_address(*path);
      if (!of_path) return fail_write(ENAMETOOLONG);
      address = *of_path;
    } else {
      address = system::to_socket_address(std::get<Endpoint>(peer));
    }
    auto opened = open_socket(address.family(), route);
    if (!opened.fd.valid()) return fail_write(opened.error);
    adopt(std::move(opened.fd), address.family());
    if (!socket.is_open()) return fail_write(EMFILE);
    begin(write_wait, write_timer, deadline);
    socket.async_connect(
        asio::generic::stream_protocol::endpoint(address.get(), address.size),
        [self = shared_from_this()](const error_code& error) { self->finish_write(end(self->write_wait, self->write_timer, error)); });
  }

  void read_some(Deadline deadline) {
    begin(read_wait, read_timer, deadline);
    socket.async_read_some(asio::buffer(buffer), [self = shared_from_this()](const error_code& error, std::size_t size) {
      const int number = end(self->read_wait, self->read_timer, error == asio::error::eof ? error_code{} : error);
      if (const auto call = std::exchange(self->received, nullptr)) call(number, {self->buffer.data(), number == 0 ? size : 0});
    });
  }

  void write_all(Deadline deadline) {
    begin(write_wait, write_timer, deadline);
    // The deadline may come between two parts, when there is no wait to cancel.
    const auto go_on = [this](const error_code& error, std::size_t size) {
      return write_wait.late ? 0 : asio::transfer_all()(error, size);
    };
    asio::async_write(socket, asio::buffer(text), go_on, [self = shared_from_this()](const error_code& error, std::size_t) {
      self->finish_write(end(self->write_wait, self->write_timer, error));
    });
  }

  void close() {
    done = nullptr;
    received = nullptr;
    read_timer.cancel();
    write_timer.cancel();
    error_code ignored;
    socket.close(ignored);
  }

  asio::io_context& context;
  asio::generic::stream_protocol::socket socket;
  asio::steady_timer read_timer;
  asio::steady_timer write_timer;
  Wait read_wait;
  Wait write_wait;
  std::array<char, read_max> buffer{};
  std::string text;  // that is being written
  Done done;
  Received received;
};

ByteStream::ByteStream(EventLoop& loop) : state_(std::make_shared<State>(loop.context())) {}

ByteStream::ByteStream(EventLoop& loop, system::Fd connected) : ByteStream(loop) {
  int family = AF_UNSPEC;
  socklen_t size = sizeof family;
  (void)::getsockopt(connected.get(), SOL_SOCKET, SO_DOMAIN, &family, &size);
  state_->adopt(std::move(connected), family);
}

ByteStream::~ByteStream() { close(); }

void ByteStream::connect(const StreamPeer& peer, const StreamRoute& route, Deadline deadline, Done done) {
  state_->done = std::move(done);
  state_->connect(peer, route, deadline);
}

void ByteStream::read_some(Deadline deadline, Received received) {
  state_->received = std::move(received);
  state_->read_some(deadline);
}

void ByteStream::write_all(std::string bytes, Deadline deadline, Done done) {
  state_->done = std::move(done);
  state_->text = std::move(bytes);
  state_->write_all(deadline);
}

void ByteStream::shut_down_writing() {
  error_code ignored;
  state_->socket.shutdown(asio::socket_base::shutdown_send, ignored);
}

void ByteStream::close() { state_->close(); }

}  // namespace drpf::net
