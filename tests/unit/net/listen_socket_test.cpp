#include "net/listen_socket.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>

#include "net/name_lookup.h"
#include "random_port.h"
#include "support/temporary_folder.h"
#include "system/socket_address.h"

namespace drpf::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(ListenOnUnixSocket, OneGatewayAnswersOnAPath) {
  const test::TemporaryFolder folder;
  const auto path = folder / "api.sock";
  {
    const auto first = listen_on_unix_socket(path);
    ASSERT_TRUE(first) << first.error().message;
    struct stat file{};
    ASSERT_EQ(::stat(path.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0777, 0660U);
    const auto second = listen_on_unix_socket(path);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, "already_running");
  }
  EXPECT_TRUE(listen_on_unix_socket(path)) << "what a killed gateway left is no obstacle";
}

// Any user may hold the lock of a folder that he may look into.
TEST(ListenOnUnixSocket, WhoHoldsTheFoldersLockKeepsNobodyFromStarting) {
  const test::TemporaryFolder folder;
  const system::Fd held(::open((folder / "").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  EXPECT_TRUE(listen_on_unix_socket(folder / "api.sock"));
}

TEST(ListenOnUnixSocket, NoFileOfOthersIsTouched) {
  const test::TemporaryFolder folder;
  const auto path = folder / "api.sock";
  std::ofstream(path) << "precious";
  const auto refused = listen_on_unix_socket(path);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "listen_failed");
  EXPECT_THAT(refused.error().message, HasSubstr("the file exists and is no socket"));
  std::string text;
  std::ifstream(path) >> text;
  EXPECT_EQ(text, "precious");
}

TEST(ListenOnUnixSocket, SaysWhatIsWrongWithThePath) {
  const auto nowhere = listen_on_unix_socket("/no/such/folder/api.sock");
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().message, HasSubstr("opening the folder /no/such/folder"));
  EXPECT_FALSE(listen_on_unix_socket("/tmp/" + std::string(200, 'x')));
}

TEST(ListenOnTcp, EachFamilyHasThePortForItself) {
  const auto port = random_port();
  const auto v4 = listen_on_tcp({*parse_address("0.0.0.0"), port}, "lo");
  ASSERT_TRUE(v4) << v4.error().message;
  const auto v6 = listen_on_tcp({*parse_address("::"), port}, "lo");
  EXPECT_TRUE(v6) << v6.error().message;
  const auto taken = listen_on_tcp({*parse_address("0.0.0.0"), port}, "lo");
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, "listen_failed");
  EXPECT_THAT(taken.error().cure, HasSubstr("another program has this port"));
}

TEST(ListenOnTcp, AnAddressMayComeUpLater) {
  EXPECT_TRUE(listen_on_tcp({*parse_address("198.51.100.77"), random_port()}, std::nullopt));
  EXPECT_TRUE(listen_on_tcp({*parse_address("2001:db8::77"), random_port()}, std::nullopt));
}

TEST(ListenOnTcp, APortIsFreeAgainAtOnce) {
  const auto port = random_port();
  const Endpoint here{*parse_address("127.0.0.1"), port};
  {
    const auto listening = listen_on_tcp(here, std::nullopt);
    ASSERT_TRUE(listening);
    const auto at = system::to_socket_address(here);
    const system::Fd visitor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(visitor.get(), at.get(), at.size), 0);
    const system::Fd accepted(::accept(listening->get(), nullptr, nullptr));
    EXPECT_TRUE(accepted.valid());  // closed first by the server, so that the kernel keeps the connection for a while
  }
  EXPECT_TRUE(listen_on_tcp(here, std::nullopt));
}

TEST(ListenOnTcp, NamesAnInterfaceThatIsNotThere) {
  const auto refused = listen_on_tcp({*parse_address("127.0.0.1"), random_port()}, "no-such-link");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("binding to the interface no-such-link"));
}

using Found = Result<std::vector<Address>>;

TEST(NameLookup, FindsWhatTheSystemKnows) {
  EventLoop loop;
  std::optional<Found> found;
  const auto lookup = look_up_name(loop, "localhost", [&](Found answer) { found = std::move(answer); });
  EXPECT_FALSE(found) << "later";
  ASSERT_TRUE(loop.run_until([&] { return found.has_value(); }, 20s));
  ASSERT_TRUE(*found) << found->error().message;
  ASSERT_FALSE((*found)->empty());
  std::set<Address> each;
  for (const auto& address : **found) {
    EXPECT_TRUE(address.is_loopback());
    EXPECT_TRUE(each.insert(address).second) << "each once";
  }
}

TEST(NameLookup, AnAddressIsItsOwnAnswer) {
  EventLoop loop;
  std::optional<Found> found;
  const auto lookup = look_up_name(loop, "2001:db8::1", [&](Found answer) { found = std::move(answer); });
  ASSERT_TRUE(loop.run_until([&] { return found.has_value(); }, 20s));
  EXPECT_THAT(found->value(), testing::ElementsAre(*parse_address("2001:db8::1")));
}

TEST(NameLookup, SaysWhyThereIsNone) {
  EventLoop loop;
  std::optional<Found> found;
  const auto lookup =
      look_up_name(loop, std::string(64, 'a') + ".x", [&](Found answer) { found = std::move(answer); });  // DNS cannot carry it
  ASSERT_TRUE(loop.run_until([&] { return found.has_value(); }, 60s));
  ASSERT_FALSE(*found);
  EXPECT_EQ(found->error().code, "name_not_found");
  EXPECT_NE(found->error().message, "");
  EXPECT_EQ(found->error().message.find('\n'), std::string::npos);
  EXPECT_EQ(found->error().message.find('!'), std::string::npos);
}

TEST(NameLookup, WhoIsNotWaitedForIsNotCalled) {
  EventLoop loop;
  bool called = false;
  auto lookup = look_up_name(loop, "localhost", [&](const Found&) { called = true; });
  lookup.cancel();
  loop.run_for(50ms);
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace drpf::net
