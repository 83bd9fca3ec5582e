// A gateway's API on a loopback address, on the loop of who asks it: says what the test lets it say, and remembers what it was asked.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "client/connect/gateway_door.h"
#include "net/event_loop.h"
#include "net/http_server.h"

namespace drpf::client {

class MadeUpGateway {
 public:
  explicit MadeUpGateway(net::EventLoop& loop) : loop_(loop) {
    std::random_device random;  // the port is always the same, so the address is not: several tests may run at once
    while (!server_) {
      address_ = Address::v4(0x7f00'0000U | (0x10'0000U + random() % 0xe0'0000U));
      open();
    }
  }

  void open() {
    auto server = net::HttpServer::listen_tcp(
        loop_, Endpoint{address_, Port{gateway_api_port}},
        net::DeferringHandler([this](const net::Request& request, net::Respond respond) { take(request, std::move(respond)); }));
    if (server) server_ = std::move(*server);
  }
  void close() {
    sink.reset();
    server_.reset();
  }

  GatewayDoor door() const { return {address_, *parse_address("127.0.0.1"), "lo"}; }
  void answers(unsigned status, std::string body) { answers_.emplace_back(status, std::move(body)); }
  // True when it comes about in time.
  bool becomes(const std::function<bool()>& condition) { return loop_.run_until(condition, std::chrono::seconds(20)); }
  bool is_asked(std::size_t times) {
    return becomes([&] { return asked.size() >= times; });
  }
  bool is_streaming(std::size_t times) {
    return becomes([&] { return sinks >= times; });
  }
  void let_pass(std::chrono::milliseconds time) { loop_.run_for(time); }

  std::vector<std::string> asked;       // "POST /v1/self/leases {...}"; not the streams
  std::size_t streams = 0;              // that were opened
  unsigned stream_status = 200;         // of the next ones
  bool silent = false;                  // requests wait until speak()
  std::shared_ptr<net::LineSink> sink;  // of the stream that was opened last
  std::size_t sinks = 0;
  std::optional<Endpoint> asker;

  void speak() {
    silent = false;
    for (auto& respond : std::exchange(waiting_, {})) respond(next());
  }

 private:
  net::Response next() {
    net::Response response;
    if (answers_.empty()) return response;
    response.status = answers_.front().first;
    response.body = answers_.front().second;
    answers_.pop_front();
    return response;
  }
  void take(const net::Request& request, net::Respond respond) {
    asker = request.peer;
    std::string path;
    for (const auto& part : request.path) path += "/" + part;
    if (path == "/v1/self/events") {
      ++streams;
      net::Response response;
      response.status = stream_status;
      if (stream_status == 200)
        response.stream = [this](std::shared_ptr<net::LineSink> lines) -> std::shared_ptr<void> {
          sink = std::move(lines);
          ++sinks;
          return {};
        };
      return respond(std::move(response));
    }
    asked.push_back(request.method + " " + path + (request.body.empty() ? "" : " " + request.body));
    if (silent)
      waiting_.push_back(std::move(respond));
    else
      respond(next());
  }

  net::EventLoop& loop_;
  Address address_;
  std::deque<std::pair<unsigned, std::string>> answers_;
  std::vector<net::Respond> waiting_;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace drpf::client
