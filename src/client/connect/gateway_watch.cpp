#include "client/connect/gateway_watch.h"

#include <sys/socket.h>

#include <algorithm>

#include <fmt/format.h>

#include <boost/json.hpp>
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::client {
namespace {

Result<Report> ask(const net::HttpClient& client) {
  auto response = client.request("GET", "/v1/self");
  if (!response) return fail(response.error());
  if (response->status != 200) {
    return fail(failure("gateway_refused", fmt::format("the gateway answered {} to the question for this device's ports", response->status),
                        "Is this device still known there? drpf device list"));
  }
  return parse_report(response->body);
}

// A line of the stream says what happened; only one that carries the whole list spares the question.
bool carries_ports(const std::string& line) {
  boost::system::error_code error;
  const auto value = boost::json::parse(line, error);
  return !error && value.is_object() && value.get_object().if_contains("leases") != nullptr;
}

}  // namespace

net::HttpClient gateway_client(const GatewayDoor& door, Duration timeout) {
  net::HttpClient::Options options;
  options.timeout = timeout;
  options.body_bytes_max = report_size_max;
  options.device = door.interface;
  options.source = door.own;
  return net::HttpClient::over_tcp(Endpoint{door.gateway, Port{gateway_api_port}}, options);
}

GatewayWatch::GatewayWatch(GatewayDoor door, Listener listener) : door_(std::move(door)), listener_(std::move(listener)) {
  thread_ = std::thread([this] { run_loop(); });
}

GatewayWatch::~GatewayWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (open_ != nullptr) open_->cancel();
    changed_.notify_all();
  }
  thread_.join();
}

void GatewayWatch::hurry() {
  const std::lock_guard lock(mutex_);
  hurried_ = true;
  changed_.notify_all();
}

void GatewayWatch::restart() {
  const std::lock_guard lock(mutex_);
  hurried_ = true;
  if (open_ != nullptr) open_->cancel();
  changed_.notify_all();
}

bool GatewayWatch::wait(std::chrono::milliseconds delay) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, delay, [this] { return stopping_ || hurried_; });
  hurried_ = false;
  return !stopping_;
}

void GatewayWatch::run_loop() {
  auto delay = std::chrono::milliseconds(gateway_retry_first);
  bool lost_told = false;
  do {
    heard_ = false;
    const auto status = follow();
    if (heard_) {
      delay = gateway_retry_first;
      lost_told = false;
    }
    const std::unique_lock lock(mutex_);
    if (!stopping_ && !lost_told && !status) {
      lost_told = true;
      listener_.lost(status.error());
    }
    delay = std::min(delay * 2, std::chrono::milliseconds(gateway_retry_max));
  } while (wait(delay));
}

// Until the stream ends. Its first line says what is, each later one what is after a change.
Status GatewayWatch::follow() {
  const auto client = gateway_client(door_, gateway_request_time_max);
  auto stream = client.open_stream("/v1/self/events");
  if (!stream) return fail(stream.error());
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return {};
    open_ = &*stream;
  }
  const auto close = [this](Status status) {
    const std::lock_guard lock(mutex_);
    open_ = nullptr;
    return status;
  };
  if (stream->status() != 200) {
    return close(
        fail(failure("gateway_refused", fmt::format("the gateway answered {} to the request for this device's events", stream->status()),
                     "Is this device still known there? drpf device list")));
  }
  while (true) {
    const auto line = stream->next(gateway_silence_max);
    if (!line) return close(fail(line.error()));
    if (!*line) return close(fail(failure("stream_ended", "the gateway ended the stream of events")));
    auto report = carries_ports(**line) ? parse_report(**line) : ask(client);
    if (!report) return close(fail(report.error()));
    heard_ = true;
    listener_.report(std::move(*report));
  }
}

void send_sign_of_life(const GatewayDoor& door) {
  const auto from = system::to_socket_address(Endpoint{door.own, Port{}});
  const auto to = system::to_socket_address(Endpoint{door.gateway, Port{gateway_api_port}});
  const system::Fd socket(::socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // Each step may fail while the network is changing; there is another one in a moment.
  if (!socket.valid() || ::bind(socket.get(), from.get(), from.size) != 0) return;
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, door.interface.data(), static_cast<socklen_t>(door.interface.size())) != 0)
    return;
  (void)::sendto(socket.get(), nullptr, 0, MSG_NOSIGNAL, to.get(), to.size);
}

Status say_goodbye(const GatewayDoor& door) {
  const auto response = gateway_client(door, gateway_goodbye_time_max).request("POST", "/v1/self/disconnect", "{}");
  if (!response) return fail(response.error());
  if (response->status >= 300)
    return fail(failure("gateway_refused", fmt::format("the gateway answered {} to the good-bye", response->status)));
  return {};
}

}  // namespace drpf::client
