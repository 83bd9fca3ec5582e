#include "client/ports/inform_wish.h"

#include <sys/stat.h>

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temporary_folder.h"

namespace drpf::client {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(InformWish, ReadsUrlPortAndFile) {
  const auto plain = parse_inform_wish("qbittorrent=http://127.0.0.1:8080");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->program, InformedProgram::qbittorrent);
  EXPECT_EQ(plain->name(), "qbittorrent at 127.0.0.1:8080");
  EXPECT_EQ(plain->which, 1U);
  const auto full = parse_inform_wish("transmission=http://me%40home@[::1]:9091/rpc/,port=3,password-file=/etc/p");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->program, InformedProgram::transmission);
  EXPECT_EQ(full->name(), "transmission at [::1]:9091");
  EXPECT_EQ(full->user, "me@home");
  EXPECT_EQ(full->path, "/rpc");
  EXPECT_EQ(full->which, 3U);
  EXPECT_EQ(full->password_file, "/etc/p");
  EXPECT_FALSE(full->password_on_command_line);
  const auto secret = parse_inform_wish("qbittorrent=http://a:b%3Ac@localhost/ui");
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->password, "b:c");
  EXPECT_EQ(secret->port, Port{80});
  EXPECT_TRUE(secret->password_on_command_line);
}

TEST(InformWish, RefusesWhatItCannotDoAndNeverRepeatsAPassword) {
  for (const auto* text : {"",
                           "qbittorrent",
                           "deluge=http://127.0.0.1",
                           "qbittorrent=127.0.0.1:8080",
                           "qbittorrent=https://127.0.0.1",
                           "qbittorrent=http://",
                           "qbittorrent=http://:8080",
                           "qbittorrent=http://a:b@",
                           "qbittorrent=http://h:0",
                           "qbittorrent=http://h:65536",
                           "qbittorrent=http://h:x",
                           "qbittorrent=http://[::1",
                           "qbittorrent=http://[::1]8080",
                           "qbittorrent=http://h,port=0",
                           "qbittorrent=http://h,port=",
                           "qbittorrent=http://h,colour=red",
                           "qbittorrent=http://h,password-file=/x",
                           "qbittorrent=http://a:b@h,password-file=/x",
                           "qbittorrent=http://a%4@h",
                           "qbittorrent=http://h\r\nX: y",
                           "qbittorrent=http://a b/"})
    EXPECT_FALSE(parse_inform_wish(text)) << text;
  EXPECT_THAT(parse_inform_wish("qbittorrent=http://ann:secret@h,port=0").error().message, Not(HasSubstr("secret")));
}

TEST(InformWish, TakesThePasswordFromAFileThatNobodyElseMayRead) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "password";
  std::ofstream(path) << "very secret\r\nsecond line\n";
  auto wish = *parse_inform_wish("qbittorrent=http://ann@h,password-file=" + path);
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  EXPECT_THAT(find_password(wish).error().cure, HasSubstr("chmod 600"));
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  ASSERT_TRUE(find_password(wish));
  EXPECT_EQ(wish.password, "very secret");
  wish.password_file = folder / "absent";
  EXPECT_FALSE(find_password(wish));
}

TEST(InformWish, TakesThePasswordFromTheEnvironment) {
  auto wish = *parse_inform_wish("transmission=http://ann@h");
  ASSERT_EQ(::unsetenv("DRPF_TRANSMISSION_PASSWORD"), 0);
  EXPECT_THAT(find_password(wish).error().cure, HasSubstr("DRPF_TRANSMISSION_PASSWORD"));
  ASSERT_EQ(::setenv("DRPF_TRANSMISSION_PASSWORD", "from outside", 1), 0);
  ASSERT_TRUE(find_password(wish));
  EXPECT_EQ(wish.password, "from outside");
  auto nobody = *parse_inform_wish("transmission=http://h");
  ASSERT_TRUE(find_password(nobody));
  EXPECT_EQ(nobody.password, "");
  ::unsetenv("DRPF_TRANSMISSION_PASSWORD");
}

}  // namespace
}  // namespace drpf::client
