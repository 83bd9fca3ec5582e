#include "system/whole_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drpf::system {
namespace {

class WholeFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "drpf_ports_XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  static std::string read(const std::filesystem::path& path) {
    std::ifstream file(path);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  std::filesystem::path folder;
};

TEST_F(WholeFile, IsReplacedAsAWholeAndReadableByAll) {
  const auto path = folder / "ports";
  const auto umask_before = ::umask(077);
  ASSERT_TRUE(replace_file(path, "20000\n20001\n"));
  ::umask(umask_before);
  EXPECT_EQ(read(path), "20000\n20001\n");
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0644U);
  std::ifstream held(path);  // a reader that opened the old one goes on seeing it whole
  ASSERT_TRUE(replace_file(path, ""));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(held), {}), "20000\n20001\n");
  EXPECT_EQ(read(path), "");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST_F(WholeFile, DoesNotFollowALink) {
  std::ofstream(folder / "precious") << "keep";
  std::filesystem::create_symlink(folder / "precious", folder / "ports");
  ASSERT_TRUE(replace_file(folder / "ports", "1\n"));
  EXPECT_EQ(read(folder / "precious"), "keep");
  EXPECT_FALSE(std::filesystem::is_symlink(folder / "ports"));
}

// Somebody who may write into the folder (a spool of metrics) has put a link where an unfinished file would be.
TEST_F(WholeFile, NothingThatWasPutBesideIsWrittenTo) {
  std::ofstream(folder / "precious") << "keep";
  const auto pid = std::to_string(::getpid());
  for (const std::string beside : {"ports.new", "ports.tmp", ".ports.new"})
    std::filesystem::create_symlink(folder / "precious", folder / beside);
  std::filesystem::create_symlink(folder / "precious", folder / ("ports." + pid + ".new"));
  ASSERT_TRUE(replace_file(folder / "ports", "1\n"));
  EXPECT_EQ(read(folder / "precious"), "keep");
  EXPECT_EQ(read(folder / "ports"), "1\n");
}

TEST_F(WholeFile, HasTheModeThatItIsToHave) {
  ASSERT_TRUE(replace_file(folder / "secret", "1\n", private_file_mode));
  struct stat status{};
  ASSERT_EQ(::stat((folder / "secret").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(WholeFile, SaysWhatItCouldNotWrite) {
  const auto status = replace_file(folder / "absent" / "ports", "1\n");
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, testing::HasSubstr("absent"));
  EXPECT_FALSE(status.error().cure.empty());
}

}  // namespace
}  // namespace drpf::system
