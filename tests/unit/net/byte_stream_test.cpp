#include "net/byte_stream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "support/temporary_folder.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::net {
namespace {

using namespace std::chrono_literals;

constexpr Duration stream_wait_max = 20s;

// A stream and the other end of it.
class ByteStreamPair : public testing::Test {
 protected:
  void SetUp() override {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    stream.emplace(loop, system::Fd(fds[0]));
    peer = system::Fd(fds[1]);
  }
  ByteStream::Received keep() {
    return [this](int number, std::string_view bytes) {
      error = number;
      text = bytes;
    };
  }
  ByteStream::Done remember() {
    return [this](int number) { error = number; };
  }
  bool ended() {
    return loop.run_until([this] { return error.has_value(); }, stream_wait_max);
  }

  EventLoop loop;
  std::optional<ByteStream> stream;
  system::Fd peer;
  std::optional<int> error;
  std::string text;
};

TEST_F(ByteStreamPair, ReadsWhatThereIsAndThenTheEnd) {
  ASSERT_EQ(::write(peer.get(), "hello", 5), 5);
  stream->read_some(ByteStream::no_deadline, keep());
  EXPECT_FALSE(error);  // not before the call has returned
  ASSERT_TRUE(ended());
  EXPECT_EQ(error, 0);
  EXPECT_EQ(text, "hello");
  peer = {};
  error.reset();
  stream->read_some(ByteStream::no_deadline, keep());
  ASSERT_TRUE(ended());
  EXPECT_EQ(error, 0);
  EXPECT_EQ(text, "");
}

TEST_F(ByteStreamPair, WritesAllThatDoesNotFitAtOnce) {
  const std::string much(4 << 20, 'x');
  stream->write_all(much, ByteStream::no_deadline, remember());
  std::size_t read = 0;
  std::array<char, 65536> chunk;
  while (!error) {
    loop.run_for(1ms);
    for (ssize_t size; (size = ::recv(peer.get(), chunk.data(), chunk.size(), MSG_DONTWAIT)) > 0;) read += static_cast<std::size_t>(size);
  }
  EXPECT_EQ(error, 0);
  for (ssize_t size; (size = ::recv(peer.get(), chunk.data(), chunk.size(), MSG_DONTWAIT)) > 0;) read += static_cast<std::size_t>(size);
  EXPECT_EQ(read, much.size());
}

TEST_F(ByteStreamPair, GoesOnReadingAfterItsOwnEnd) {
  stream->shut_down_writing();
  char byte = 0;
  EXPECT_EQ(::read(peer.get(), &byte, 1), 0);
  ASSERT_EQ(::write(peer.get(), "x", 1), 1);
  stream->read_some(ByteStream::no_deadline, keep());
  ASSERT_TRUE(ended());
  EXPECT_EQ(text, "x");
}

TEST_F(ByteStreamPair, AWaitEndsAtItsDeadline) {
  stream->read_some(std::chrono::steady_clock::now(), keep());
  ASSERT_TRUE(ended());
  EXPECT_EQ(error, ByteStream::deadline_passed);
  error.reset();
  stream->write_all(std::string(16 << 20, 'x'), std::chrono::steady_clock::now() + 1ms, remember());
  ASSERT_TRUE(ended());
  EXPECT_EQ(error, ByteStream::deadline_passed);
}

TEST_F(ByteStreamPair, CallsNothingOnceItIsGone) {
  ASSERT_EQ(::write(peer.get(), "x", 1), 1);
  stream->read_some(ByteStream::no_deadline, keep());
  stream->write_all("y", ByteStream::no_deadline, remember());
  stream.reset();
  loop.run_for(1ms);
  EXPECT_FALSE(error);
  char byte = 0;
  while (::read(peer.get(), &byte, 1) > 0) {}  // it is closed
}

TEST_F(ByteStreamPair, MayGoInsideItsOwnFunction) {
  ASSERT_EQ(::write(peer.get(), "x", 1), 1);
  stream->read_some(ByteStream::no_deadline, [this](int number, std::string_view) {
    stream.reset();
    error = number;
  });
  EXPECT_TRUE(ended());
}

TEST(ByteStreamConnect, ConnectsToAListenerAndSaysWhenThereIsNone) {
  const test::TemporaryFolder folder;
  const auto path = folder / "listener";
  const auto address = system::to_socket_address(path);
  ASSERT_TRUE(address);
  EventLoop loop;
  std::optional<int> error;
  const auto remember = [&](int number) { error = number; };
  ByteStream nobody(loop);
  nobody.connect(path, {}, ByteStream::no_deadline, remember);
  EXPECT_FALSE(error);
  ASSERT_TRUE(loop.run_until([&] { return error.has_value(); }, stream_wait_max));
  EXPECT_EQ(error, ENOENT);

  const system::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), address->get(), address->size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  error.reset();
  ByteStream stream(loop);
  stream.connect(path, {}, ByteStream::no_deadline, remember);
  ASSERT_TRUE(loop.run_until([&] { return error.has_value(); }, stream_wait_max));
  EXPECT_EQ(error, 0);
}

TEST(ByteStreamConnect, TellsOfAWayThatIsNotThere) {
  EventLoop loop;
  std::optional<int> error;
  StreamRoute route;
  route.source = *parse_address("192.0.2.1");
  ByteStream stream(loop);
  stream.connect(Endpoint{*parse_address("127.0.0.1"), Port{9}}, route, ByteStream::no_deadline, [&](int number) { error = number; });
  ASSERT_TRUE(loop.run_until([&] { return error.has_value(); }, stream_wait_max));
  EXPECT_EQ(error, EADDRNOTAVAIL);
}

}  // namespace
}  // namespace drpf::net
