#include "client/follow/program_watch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::client {
namespace {

using testing::Contains;
using testing::IsEmpty;

FollowedSocket socket(const char* program, Protocol protocol, const char* address, std::uint16_t port) {
  return {program, protocol, *parse_address(address), Port{port}, 0};
}

TEST(ProgramWatchLine, SaysWhatWasSeen) {
  auto seen = socket("some.server-1", Protocol::udp, "fd77::2", 27015);
  seen.interface = 7;
  EXPECT_EQ(program_watch_text({seen}), "socket some.server-1 udp fd77::2 27015 7\nend\n");
  const auto read = parse_program_watch_line("socket some.server-1 udp fd77::2 27015 7");
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, seen);
  for (const auto* line :
       {"", "end", "socket", "socket a tcp 0.0.0.0", "socket a tcp 0.0.0.0 0 0", "socket a tcp 0.0.0.0 1", "socket a tcp 0.0.0.0 1 -1",
        "socket a tcp 0.0.0.0 1 ", "socket a tcp 0.0.0.0 70000 0", "socket a sctp 0.0.0.0 1 0", "socket a tcp here 1 0",
        "socket a tcp 0.0.0.0 1 0 more", "socket  tcp 0.0.0.0 1 0", "sockets a tcp 0.0.0.0 1 0"})
    EXPECT_FALSE(parse_program_watch_line(line)) << line;
}

// A listener of this process, which calls itself something for the time of the test.
TEST(ProgramWatch, SeesAListenerComeAndGo) {
  std::array<char, 16> name{};
  ::prctl(PR_GET_NAME, name.data());
  ::prctl(PR_SET_NAME, "drpf-follow-me");
  net::EventLoop loop;
  auto watch = ProgramWatch::start({"drpf-follow-me"});
  ASSERT_TRUE(watch);
  std::vector<FollowedSocket> seen;
  int looks = 0;
  std::vector<std::string> complaints;
  ProgramWatch::Listener listener;
  listener.seen = [&](std::vector<FollowedSocket> sockets) {
    seen = std::move(sockets);
    ++looks;
    loop.stop();
  };
  listener.note = [](const std::string&) {};  // where the test runs as an ordinary user
  listener.ended = [&](const Error& error) {
    complaints.push_back(error.message);
    loop.stop();
  };
  watch->listen(loop, listener);
  const auto give_up = loop.after(std::chrono::seconds(20), [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(looks, 1);
  {
    const system::Fd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(tcp.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(tcp.get(), 1), 0);
    ASSERT_EQ(::getsockname(tcp.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    loop.run();
    EXPECT_THAT(seen, Contains(socket("drpf-follow-me", Protocol::tcp, "127.0.0.1", ::ntohs(address.sin_port))));
  }
  loop.run();
  EXPECT_THAT(seen, IsEmpty());
  EXPECT_THAT(complaints, IsEmpty());
  ::prctl(PR_SET_NAME, name.data());
}

}  // namespace
}  // namespace drpf::client
