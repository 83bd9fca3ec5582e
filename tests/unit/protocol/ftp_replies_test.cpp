#include "protocol/ftp/replies.h"

#include <gtest/gtest.h>

namespace drpf::protocol::ftp {
namespace {

TEST(FtpReplies, OneLineOrMany) {
  const auto one = read_reply("220 welcome\r\n331 next");
  ASSERT_TRUE(one.reply);
  EXPECT_EQ(one.reply->code, 220U);
  EXPECT_EQ(one.reply->text, "welcome");
  EXPECT_EQ(one.reply->size, 13U);
  const std::string many = "220-first\r\n 220 not yet\r\n221 nor this\r\n220 last\r\n";
  const auto whole = read_reply(many);
  ASSERT_TRUE(whole.reply);
  EXPECT_EQ(whole.reply->text, "last");
  EXPECT_EQ(whole.reply->size, many.size());
  for (std::size_t size = 0; size < many.size(); ++size) {
    const auto cut = read_reply(std::string_view(many).substr(0, size));
    EXPECT_FALSE(cut.reply) << size;
    EXPECT_EQ(cut.trouble, ReplyTrouble::incomplete) << size;
  }
  EXPECT_EQ(read_reply("226\r\n").reply->text, "");
}

TEST(FtpReplies, WhatIsNoReply) {
  for (const auto& bad : {std::string("hello\r\n"), std::string("22 x\r\n"), std::string("099 x\r\n"), std::string("700 x\r\n"),
                          std::string("220x\r\n"), std::string("\r\n"), std::string("220-") + std::string(reply_bytes_max, 'x')}) {
    const auto read = read_reply(bad);
    EXPECT_FALSE(read.reply) << bad;
    EXPECT_EQ(read.trouble, ReplyTrouble::malformed) << bad;
  }
}

TEST(FtpReplies, PortsOfDataConnections) {
  EXPECT_EQ(extended_passive_port("Entering Extended Passive Mode (|||6446|)"), Port{6446});
  EXPECT_EQ(extended_passive_port("(!!!99!)"), Port{99});
  for (const auto* const bad : {"", "(|||0|)", "(|||65536|)", "(||6446|)", "(|||6446", "(111644|)", "(|||a|)", "(||||)"})
    EXPECT_FALSE(extended_passive_port(bad)) << bad;
  EXPECT_EQ(passive_port("Entering Passive Mode (127,0,0,1,25,46)."), Port{6446});
  for (const auto* const bad : {"", "(1,2,3,4,5)", "(1,2,3,4,5,6,7)", "(1,2,3,4,256,1)", "(1,2,3,4,0,0)", "(1,2,3,4,5,", "x"})
    EXPECT_FALSE(passive_port(bad)) << bad;
  EXPECT_EQ(size_of_file("1024"), 1024U);
  EXPECT_FALSE(size_of_file("1024 bytes"));
  EXPECT_FALSE(size_of_file("9999999999999999999"));
}

TEST(FtpReplies, ListingsOfUnixAndWindows) {
  const auto entries = read_listing(
      "total 8\r\ndrwxr-xr-x 2 ftp ftp 4096 Nov 30 12:00 a folder\r\n-rw-r--r-- 1 ftp ftp 12 Jan  1 2025 file.txt\r\nlrwxrwxrwx 1 ftp ftp "
      "4 Jan  1 2025 link -> file\r\n"
      "11-30-26  12:00PM       <DIR>          Windows\r\n11-30-26  12:00PM                  7 b.txt\r\n\r\nsomething else\r\ndrwxr-xr-x 2 "
      "ftp ftp 4096 Nov 30 12:00 ..\r\n");
  ASSERT_EQ(entries.size(), 6U);
  EXPECT_EQ(entries[0].name, "a folder");
  EXPECT_TRUE(entries[0].folder);
  EXPECT_EQ(entries[1].name, "file.txt");
  EXPECT_EQ(entries[1].size, "12");
  EXPECT_EQ(entries[1].when, "Jan 1 2025");
  EXPECT_EQ(entries[2].name, "link");
  EXPECT_TRUE(entries[3].folder && entries[3].name == "Windows");
  EXPECT_TRUE(entries[4].size == "7" && entries[4].name == "b.txt");
  EXPECT_EQ(entries[5].name, "something else");
}

TEST(FtpReplies, NoSegmentEndsACommand) {
  EXPECT_EQ(decoded_segment("a%20b"), "a b");
  EXPECT_EQ(decoded_segment("%C3%A4"), "\xc3\xa4");
  for (const auto* const bad : {"%0d%0aDELE x", "%0A", "%00", "%ff", "%", "%1", "%zz"}) EXPECT_FALSE(decoded_segment(bad)) << bad;
}

}  // namespace
}  // namespace drpf::protocol::ftp
