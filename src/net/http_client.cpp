#include "net/http_client.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace drpf::net {
namespace {

std::string name_of(const StreamPeer& server) {
  if (const auto* path = std::get_if<std::string>(&server)) return *path;
  return to_string(std::get<Endpoint>(server));
}

// "the gateway at 10.77.0.1:5351"
std::string called(const StreamPeer& server, const HttpClient::Options& options) { return options.who + " at " + name_of(server); }

Error unreachable(const StreamPeer& server, const HttpClient::Options& options, int error) {
  const auto what = "cannot reach " + called(server, options) + ": " + std::strerror(error);
  if (error == EACCES || error == EPERM)
    return not_permitted("no_permission", what, "run it as root, or join the group that owns the socket");
  if (std::holds_alternative<std::string>(server))
    return unavailable("gateway_unreachable", what,
                       "the gateway is not running, or its socket is elsewhere: start it with `drpf gateway`, or give --socket PATH");
  if (options.who != HttpClient::Options{}.who)
    return failure("server_unreachable", what, "check that it runs, and that this is the address where it listens");
  return unavailable("gateway_unreachable", what, "check that the tunnel is up and that the gateway runs");
}

// One exchange on its way: connects, sends, and reads until its end. What is done with what was read is for the kind of exchange.
class Conversation : public Watch::State, public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(EventLoop& loop, StreamPeer server, HttpClient::Options options, std::optional<std::uint64_t> body_bytes_max)
      : exchange_(called(server, options), body_bytes_max),
        loop_(loop),
        stream_(loop),
        server_(std::move(server)),
        options_(std::move(options)),
        deadline_(std::chrono::steady_clock::now() + options_.timeout) {}

  void start(const ClientRequest& request) {
    const auto of_server = std::holds_alternative<Endpoint>(server_) ? name_of(server_) : "localhost";
    auto text = exchange_.encode(request, options_.host.value_or(of_server));
    if (!text) {
      refused_ = loop_.after(Duration::zero(), [self = shared_from_this(), error = text.error()] { self->end(fail(error)); });
      return;
    }
    stream_.connect(server_, options_.route, deadline_, [self = shared_from_this(), text = std::move(*text)](int error) mutable {
      if (error != 0) return self->end_with(error, unreachable(self->server_, self->options_, error));
      self->send(std::move(text));
    });
  }

  void cancel() override {
    cancelled_ = true;
    stream_.close();
    refused_.cancel();
  }

 protected:
  // Something new is in the exchange. False: the conversation has ended, or been cancelled meanwhile.
  virtual bool look() = 0;
  virtual void ended(Status status) = 0;

  // Nothing of this may be used afterwards: who hears of it may destroy it.
  void end(Status status) {
    cancel();
    ended(std::move(status));
  }
  bool cancelled() const { return cancelled_; }

  HttpExchange exchange_;

 private:
  void send(std::string text) {
    stream_.write_all(std::move(text), deadline_, [self = shared_from_this()](int error) {
      // A server that refused early may have closed: its answer is there to be read.
      if (error != 0 && error != EPIPE && error != ECONNRESET)
        return self->end_with(error, unavailable("gateway_unreachable", "sending to " + called(self->server_, self->options_) +
                                                                            " failed: " + std::strerror(error)));
      self->receive();
    });
  }

  bool is_open_stream() const { return streams() && exchange_.head_is_complete(); }
  virtual bool streams() const = 0;

  void receive() {
    const auto deadline = is_open_stream() ? std::chrono::steady_clock::now() + options_.silence_max : deadline_;
    stream_.read_some(deadline, [self = shared_from_this()](int error, std::string_view bytes) {
      if (error == ByteStream::deadline_passed) return self->end_with(error, {});
      const bool closed = error != 0 || bytes.empty();
      if (const auto taken = closed ? self->exchange_.take_end() : self->exchange_.take(bytes); !taken) return self->end(taken);
      if (self->look()) self->receive();
    });
  }

  void end_with(int number, Error error) {
    if (number != ByteStream::deadline_passed) return end(fail(std::move(error)));
    const auto server = called(server_, options_);
    if (is_open_stream())
      return end(fail(failure("stream_silent", server + " has been silent for too long", "the connection to it is broken: connect again")));
    end(fail(unavailable("gateway_timeout", server + " did not answer in time",
                         "look into the gateway's log; it may be overloaded or stopped")));
  }

  EventLoop& loop_;
  ByteStream stream_;
  StreamPeer server_;
  HttpClient::Options options_;
  ByteStream::Deadline deadline_;
  Timer refused_;
  bool cancelled_ = false;
};

class WholeAnswer final : public Conversation {
 public:
  using Conversation::Conversation;
  HttpClient::Done done;

 private:
  bool streams() const override { return false; }
  bool look() override {
    if (!exchange_.is_complete()) return true;
    end({});
    return false;
  }
  void ended(Status status) override {
    const auto call = std::exchange(done, nullptr);
    if (!status) return call(fail(status.error()));
    call(exchange_.take_response());
  }
};

class Lines final : public Conversation {
 public:
  using Conversation::Conversation;
  LineListener listener;

 private:
  bool streams() const override { return true; }
  bool look() override {
    if (!exchange_.head_is_complete()) return true;
    if (!std::exchange(answered_, true)) listener.answered(exchange_.status());
    while (!cancelled()) {
      auto line = exchange_.next_line();
      if (!line) break;
      listener.line(std::move(*line));
    }
    if (cancelled()) return false;
    if (exchange_.is_complete()) {
      end({});
      return false;
    }
    if (const auto sane = exchange_.check_line(); !sane) {
      end(sane);
      return false;
    }
    return true;
  }
  void ended(Status status) override {
    const auto call = std::exchange(listener.ended, nullptr);
    call(std::move(status));
  }
  bool answered_ = false;
};

}  // namespace

Watch HttpClient::request(EventLoop& loop, const ClientRequest& request, Done done) const {
  auto conversation = std::make_shared<WholeAnswer>(loop, server_, options_, options_.body_bytes_max);
  conversation->done = std::move(done);
  conversation->start(request);
  return Watch(std::move(conversation));
}

Watch HttpClient::open_stream(EventLoop& loop, std::string_view target, LineListener listener) const {
  auto conversation = std::make_shared<Lines>(loop, server_, options_, std::nullopt);
  conversation->listener = std::move(listener);
  ClientRequest request;
  request.target = target;
  conversation->start(request);
  return Watch(std::move(conversation));
}

Result<ClientResponse> HttpClient::request(const ClientRequest& request) const {
  EventLoop loop;
  std::optional<Result<ClientResponse>> answer;
  const auto call = this->request(loop, request, [&](Result<ClientResponse> got) {
    answer = std::move(got);
    loop.stop();
  });
  loop.run();
  return std::move(*answer);
}

Result<ClientResponse> HttpClient::request(std::string_view method, std::string_view target, std::string_view body) const {
  ClientRequest request;
  request.method = method;
  request.target = target;
  request.body = body;
  return this->request(request);
}

}  // namespace drpf::net
