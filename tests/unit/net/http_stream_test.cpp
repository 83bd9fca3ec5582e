// Answers that are streams of lines.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "support/line_reader.h"
#include "unit/net/http_over_unix.h"

namespace drpf::net {
namespace {

using namespace std::chrono_literals;

TEST_F(HttpOverUnix, StreamsLinesAndHeartbeatsAndLetsGoOfTheSubscription) {
  HttpLimits limits;
  limits.heartbeat = 10ms;
  std::shared_ptr<LineSink> sink;
  std::promise<void> released;
  start(
      [&](const Request&) {
        Response response;
        response.stream = [&](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
          sink = to;
          to->write("first");
          return {new int(0), [&](void* keeper) {
                    delete static_cast<int*>(keeper);
                    released.set_value();
                  }};
        };
        return response;
      },
      limits);
  {
    test::LineReader stream(client(), "/v1/events");
    EXPECT_EQ(stream.status(), 200U);
    EXPECT_EQ(*stream.next(), "first");
    thread_->call([&] {
      sink->write("second");
      sink->write("third");
    });
    EXPECT_EQ(*stream.next(), "second");
    EXPECT_EQ(*stream.next(), "third");
  }
  EXPECT_EQ(released.get_future().wait_for(10s), std::future_status::ready);
  thread_->call([&] { sink = nullptr; });
}

TEST_F(HttpOverUnix, AStreamEndsWhenItsWriterClosesIt) {
  start([&](const Request&) {
    Response response;
    response.stream = [](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
      to->write("last");
      to->close();
      to->write("too late");
      return nullptr;
    };
    return response;
  });
  test::LineReader stream(client(), "/");
  ASSERT_EQ(stream.status(), 200U);
  EXPECT_EQ(*stream.next(), "last");
  EXPECT_EQ(*stream.next(), std::nullopt);
}

TEST_F(HttpOverUnix, CutsOffAReaderThatDoesNotRead) {
  HttpLimits limits;
  limits.stream_bytes = 4096;
  std::promise<std::shared_ptr<LineSink>> opened;
  std::promise<void> released;
  start(
      [&](const Request&) {
        Response response;
        response.stream = [&](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
          opened.set_value(std::move(to));
          return {new int(0), [&](void* keeper) {
                    delete static_cast<int*>(keeper);
                    released.set_value();
                  }};
        };
        return response;
      },
      limits);
  test::LineReader stream(client(), "/");
  ASSERT_EQ(stream.status(), 200U);
  auto sink = opened.get_future().get();
  const std::string line(1000, 'x');
  thread_->call([&] {
    for (int i = 0; i < 10; ++i) sink->write(line);
  });
  EXPECT_EQ(released.get_future().wait_for(10s), std::future_status::ready);
  thread_->call([&] { sink = nullptr; });
}

// What waits behind it is limited, not a line itself: of all ports of a device it is some megabytes.
TEST_F(HttpOverUnix, OneLineMayBeLongerThanWhatMayWait) {
  HttpLimits limits;
  limits.stream_bytes = 4096;
  const std::string longest(300'000, 'x');
  start(
      [&](const Request&) {
        Response response;
        response.stream = [&](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
          to->write(longest);
          to->close();
          return nullptr;
        };
        return response;
      },
      limits);
  test::LineReader stream(client(), "/");
  EXPECT_EQ(*stream.next(), longest);
  EXPECT_EQ(*stream.next(), std::nullopt);
}

TEST_F(HttpOverUnix, StatesAreMadeWhenTheReaderIsReadyAndTheLastOneCounts) {
  std::shared_ptr<LineSink> sink;
  int made = 0;
  start([&](const Request&) {
    Response response;
    response.stream = [&](std::shared_ptr<LineSink> to) -> std::shared_ptr<void> {
      sink = to;
      to->state([&] { return ++made, std::string("first"); });
      return nullptr;
    };
    return response;
  });
  test::LineReader stream(client(), "/");
  EXPECT_EQ(*stream.next(), "first");
  thread_->call([&] {
    for (int i = 1; i <= 1000; ++i) sink->state([&made, i] { return ++made, "state " + std::to_string(i); });
  });
  EXPECT_EQ(*stream.next(), "state 1000");
  EXPECT_EQ(made, 2);
  thread_->call([&] {
    sink->state([] { return std::string(); });  // there is nothing to say any more
    sink->state([] { return std::string("last"); });
    sink->close();
    sink = nullptr;
  });
  EXPECT_EQ(*stream.next(), "last");
  EXPECT_EQ(*stream.next(), std::nullopt);
}

TEST_F(HttpOverUnix, AStreamsReaderCanBeCalledAwayFromAnotherThread) {
  start([&](const Request&) {
    Response response;
    response.stream = [](std::shared_ptr<LineSink>) -> std::shared_ptr<void> { return nullptr; };
    return response;
  });
  test::LineReader stream(client(), "/");
  ASSERT_EQ(stream.status(), 200U);
  std::thread other([&] { stream.cancel(); });
  EXPECT_EQ(*stream.next(), std::nullopt);
  other.join();
}

TEST_F(HttpOverUnix, AStreamThatIsSilentTooLongIsAnError) {
  start([&](const Request&) {
    Response response;
    response.stream = [](std::shared_ptr<LineSink>) -> std::shared_ptr<void> { return nullptr; };
    return response;
  });
  HttpClient::Options options;
  options.silence_max = 20ms;
  test::LineReader stream(HttpClient::over_unix(path_, options), "/");
  ASSERT_EQ(stream.status(), 200U);
  const auto line = stream.next();
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code, "stream_silent");
}

}  // namespace
}  // namespace drpf::net
