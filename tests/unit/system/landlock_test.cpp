#include "system/landlock.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/temporary_folder.h"
#include "system/fd.h"
#include "system/socket_address.h"

namespace drpf::system {
namespace {

constexpr int not_confined = 255;

// What a child under these rules gets: 0 or an errno.
int under(const std::vector<FileRule>& rules, const std::function<int()>& attempt, bool abstract_sockets = false) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(not_confined);
    if (const auto restricted = restrict_files(rules, abstract_sockets); !restricted || !*restricted) ::_exit(not_confined);
    ::_exit(attempt() < 0 ? errno : 0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return WEXITSTATUS(status);
}

class Landlock : public ::testing::Test {
 protected:
  Landlock() {
    ::mkdir((folder_ / "own").c_str(), 0700);
    for (const auto* const name : {"own/book", "secret"}) std::ofstream(folder_ / name) << "x";
  }

  std::string at(const char* name) const { return folder_ / name; }
  std::function<int()> opens(const char* name, int flags) const {
    return [path = at(name), flags] { return ::open(path.c_str(), flags, 0600); };
  }

  const test::TemporaryFolder folder_;
};

TEST_F(Landlock, OnlyWhatIsNamedIsUsed) {
  ASSERT_GT(landlock_version(), 0) << "the kernel that the tests run on must have it";
  const std::vector<FileRule> rules{{at("own"), FileUse::keep}};
  EXPECT_EQ(under(rules, opens("own/book", O_RDWR)), 0);
  EXPECT_EQ(under(rules, opens("own/new", O_WRONLY | O_CREAT | O_EXCL)), 0);
  EXPECT_EQ(under(rules, [&] { return ::rename(at("own/new").c_str(), at("own/book").c_str()); }), 0);
  EXPECT_EQ(under(rules, opens("secret", O_RDONLY)), EACCES);
  EXPECT_EQ(under(rules, opens("secret", O_WRONLY | O_APPEND)), EACCES);
  EXPECT_EQ(under(rules, opens("made", O_WRONLY | O_CREAT)), EACCES);
  EXPECT_EQ(under(rules, [&] { return ::unlink(at("secret").c_str()); }), EACCES);
  EXPECT_EQ(under({{folder_ / "", FileUse::keep}}, opens("secret", O_RDONLY)), 0) << "it is the rules that refuse it";
}

TEST_F(Landlock, ReadingIsNotWriting) {
  const std::vector<FileRule> rules{{at("own"), FileUse::read}, {at("nothing"), FileUse::keep}, {at("secret"), FileUse::write}};
  EXPECT_EQ(under(rules, opens("own/book", O_RDONLY)), 0);
  EXPECT_EQ(under(rules, opens("own", O_RDONLY | O_DIRECTORY)), 0);
  EXPECT_EQ(under(rules, opens("own/book", O_WRONLY)), EACCES);
  EXPECT_EQ(under(rules, opens("own/new", O_WRONLY | O_CREAT)), EACCES);
  EXPECT_EQ(under(rules, opens("secret", O_RDWR | O_TRUNC)), 0) << "a single file";
}

TEST_F(Landlock, AFolderOfSocketsIsForThoseAlone) {
  const std::vector<FileRule> rules{{at("own"), FileUse::sockets}};
  const auto address = to_socket_address(at("own/socket"));
  ASSERT_TRUE(address);
  const auto binds = [&] {
    const Fd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    return ::bind(socket.get(), address->get(), address->size);
  };
  EXPECT_EQ(under(rules, binds), 0);
  EXPECT_EQ(under(rules, [&] { return ::unlink(at("own/socket").c_str()); }), 0);
  EXPECT_EQ(under(rules, opens("own/book", O_RDONLY)), EACCES);
  EXPECT_EQ(under({}, binds), EACCES);
}

TEST_F(Landlock, AbstractSocketsOfOthersAreOutOfReach) {
  constexpr int version_with_scopes = 6;
  const int kept = landlock_version() >= version_with_scopes ? EPERM : 0;
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const auto text = "drpf-test-" + std::to_string(::getpid());
  std::memcpy(name.sun_path + 1, text.data(), text.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  const auto* const address = reinterpret_cast<const sockaddr*>(&name);
  const Fd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(listener.get(), address, size), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  const auto connects = [&] { return ::connect(::socket(AF_UNIX, SOCK_STREAM, 0), address, size); };
  EXPECT_EQ(under({}, connects), kept);
  EXPECT_EQ(under({}, connects, true), 0);
}

}  // namespace
}  // namespace drpf::system
