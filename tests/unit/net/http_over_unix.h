// A server on a unix socket in a folder of its own, on a thread of its own, and bytes to it as they are.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "net/http_client.h"
#include "net/http_server.h"
#include "support/loop_thread.h"
#include "support/temporary_folder.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::net {

class HttpOverUnix : public testing::Test {
 protected:
  void start(HttpHandler handler, HttpLimits limits = {}) {
    auto server = HttpServer::listen_unix(loop_, path_, std::move(handler), limits);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
    thread_.emplace(loop_);
  }
  void TearDown() override {
    if (thread_) thread_->call([this] { server_.reset(); });
    thread_.reset();
  }
  HttpClient client() const { return HttpClient::over_unix(path_); }
  // Sends bytes as they are and reads until the server closes.
  std::string raw(const std::string& text, bool say_end = false) const {
    const auto fd = connected();
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    if (say_end) ::shutdown(fd.get(), SHUT_WR);
    std::string answer;
    std::array<char, 4096> chunk;
    for (ssize_t size; (size = ::recv(fd.get(), chunk.data(), chunk.size(), 0)) > 0;)
      answer.append(chunk.data(), static_cast<std::size_t>(size));
    return answer;
  }
  system::Fd connected() const {
    system::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = system::to_socket_address(path_);
    EXPECT_EQ(::connect(fd.get(), address->get(), address->size), 0);
    const timeval patience{20, 0};
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_ / "drpf.sock";
  EventLoop loop_;
  std::unique_ptr<HttpServer> server_;
  std::optional<test::LoopThread> thread_;
};

}  // namespace drpf::net
