#include "system/file_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_folder.h"

namespace drpf::system {
namespace {

TEST(FileLock, IsForOneAtATimeAndEndsWithItsDescriptor) {
  const test::TemporaryFolder folder;
  const auto path = folder / "lock";
  const auto second = open_lock_file(path);
  ASSERT_TRUE(second) << second.error().message;
  {
    const auto first = open_lock_file(path);
    ASSERT_TRUE(first);
    EXPECT_TRUE(take_lock(*first).value());
    EXPECT_FALSE(take_lock(*second).value());
    EXPECT_THAT(lock_holder(*second), testing::HasSubstr("process " + std::to_string(::getpid())));
    EXPECT_EQ(lock_holding_process(path), ::getpid());
  }
  EXPECT_EQ(lock_holding_process(path), std::nullopt);
  EXPECT_EQ(lock_holding_process(folder / "absent"), std::nullopt);
  EXPECT_TRUE(take_lock(*second, WhenLocked::wait).value());
}

TEST(FileLock, NobodyElseMayOpenItsFile) {
  const test::TemporaryFolder folder;
  const auto path = folder / "lock";
  const auto umask_before = ::umask(0);
  ASSERT_TRUE(open_lock_file(path));
  ::umask(umask_before);
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const auto open = open_lock_file(path);
  ASSERT_FALSE(open) << "whoever may read it could hold it";
  EXPECT_EQ(open.error().code, "lock_failed");
  EXPECT_FALSE(open.error().cure.empty());
}

TEST(FileLock, ALinkIsNotFollowed) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "precious") << "keep";
  std::filesystem::create_symlink(folder / "precious", folder / "lock");
  EXPECT_FALSE(open_lock_file(folder / "lock"));
  std::filesystem::create_symlink(folder / "absent", folder / "other");
  EXPECT_FALSE(open_lock_file(folder / "other"));
  EXPECT_FALSE(std::filesystem::exists(folder / "absent"));
}

}  // namespace
}  // namespace drpf::system
