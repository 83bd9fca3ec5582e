#include "api/json_text.h"

#include <gtest/gtest.h>

#include "api/error_json.h"

namespace drpf::api {
namespace {

TEST(Printable, LeavesTextAlone) {
  EXPECT_EQ(printable("nas-1 \xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80"), "nas-1 \xc3\xbc \xe2\x82\xac \xf0\x9f\x98\x80");
}

TEST(Printable, ShowsWhatWouldMoveTheCursor) {
  EXPECT_EQ(printable("a\x1b[2J\r\n\tb\x7f"), R"(a\x1b[2J\x0d\x0a\x09b\x7f)");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            R"(\xc2\x9b31m)");  // C1 control
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "gpj"),
            R"(\xe2\x80\xaegpj)");  // right-to-left override
  EXPECT_EQ(printable(std::string_view("\0", 1)), R"(\x00)");
}

TEST(Printable, ShowsWhatIsNoUtf8) {
  EXPECT_EQ(printable("\xff"), R"(\xff)");
  EXPECT_EQ(printable("\xc0\xaf"), R"(\xc0\xaf)");          // overlong
  EXPECT_EQ(printable("\xed\xa0\x80"), R"(\xed\xa0\x80)");  // surrogate
  EXPECT_EQ(printable("\xe2\x82"), R"(\xe2\x82)");          // cut short
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), R"(\xf4\x90\x80\x80)");
}

TEST(Printable, KeepsTheLinesOfATextAndNothingElse) {
  EXPECT_EQ(printable_lines("a\n\x1b[2Jb\n"), "a\n\\x1b[2Jb\n");
  EXPECT_EQ(printable_lines(""), "");
  EXPECT_EQ(printable_lines("\r\n"), "\\x0d\n");
}

TEST(Rfc3339, IsUtcWithWholeSeconds) {
  EXPECT_EQ(rfc3339_utc(WallTime(std::chrono::seconds(0))), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339_utc(WallTime(std::chrono::milliseconds(1'772'366'400'999))), "2026-03-01T12:00:00Z");
}

TEST(ErrorJson, ComesBackWhole) {
  const auto error = error_from_json(409, R"({"error":{"code":"port_taken","message":"m","cure":"c"}})");
  EXPECT_EQ(error.kind, Error::Kind::refusal);
  EXPECT_EQ(error.code, "port_taken");
  EXPECT_EQ(error.message, "m");
  EXPECT_EQ(error.cure, "c");
  for (const auto& [status, kind] : {std::pair{400U, Error::Kind::invalid},
                                     {403U, Error::Kind::not_permitted},
                                     {404U, Error::Kind::not_found},
                                     {422U, Error::Kind::configuration},
                                     {500U, Error::Kind::failure},
                                     {503U, Error::Kind::unavailable}})
    EXPECT_EQ(error_from_json(status, R"({"error":{"code":"c"}})").kind, kind) << status;
  for (const auto* body : {"", "<html>", "[]", "{}", R"({"error":1})"}) EXPECT_EQ(error_from_json(502, body).code, "http_502") << body;
}

}  // namespace
}  // namespace drpf::api
