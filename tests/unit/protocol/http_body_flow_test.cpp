#include "protocol/http/body_flow.h"

#include <gtest/gtest.h>

namespace drpf::protocol::http {
namespace {

using Kind = Framing::Kind;

// The whole text, as many bytes at a time.
struct Flowed {
  std::string out;
  std::size_t consumed = 0;
  bool finished = false;
  bool failed = false;
};
Flowed flow(Framing from, bool chunked, std::string_view text, std::size_t at_once) {
  BodyFlow body(from, chunked);
  Flowed out;
  while (out.consumed < text.size() && !body.finished() && !body.failed()) {
    const auto taken = body.feed(text.substr(out.consumed, at_once), out.out);
    EXPECT_GT(taken, 0U);
    if (taken == 0) break;
    out.consumed += taken;
  }
  out.finished = body.finished();
  out.failed = body.failed();
  return out;
}

TEST(HttpBodyFlow, ALengthEndsWhereItSays) {
  const auto flowed = flow({Kind::length, 5}, false, "helloGET /", 3);
  EXPECT_EQ(flowed.out, "hello");
  EXPECT_EQ(flowed.consumed, 5U);
  EXPECT_TRUE(flowed.finished);
  EXPECT_TRUE(BodyFlow({Kind::length, 0}, false).finished());
  EXPECT_TRUE(BodyFlow({Kind::none, 0}, false).finished());
}

TEST(HttpBodyFlow, ChunksAreWrittenAnewWhereverTheyWereCut) {
  const std::string text = "5;a=\"b\"\r\nhello\r\n06\r\n world\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\nHost: a\r\n\r\nnext";
  for (std::size_t at_once = 1; at_once <= text.size(); ++at_once) {
    const auto flowed = flow({Kind::chunked, 0}, false, text, at_once);
    EXPECT_EQ(flowed.out, "hello world") << at_once;
    EXPECT_EQ(flowed.consumed, text.size() - 4) << at_once;
    EXPECT_TRUE(flowed.finished) << at_once;
  }
  EXPECT_EQ(flow({Kind::chunked, 0}, true, text, text.size()).out, "5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n");
}

TEST(HttpBodyFlow, WhatEndsWithTheConnectionCanBeChunked) {
  BodyFlow body({Kind::until_close, 0}, true);
  std::string out;
  EXPECT_EQ(body.feed("hello", out), 5U);
  EXPECT_FALSE(body.finished());
  EXPECT_TRUE(body.end(out));
  EXPECT_EQ(out, "5\r\nhello\r\n0\r\n\r\n");
}

TEST(HttpBodyFlow, OneThatIsCutOffSaysSo) {
  std::string out;
  BodyFlow length({Kind::length, 5}, false);
  length.feed("hell", out);
  EXPECT_FALSE(length.end(out));
  BodyFlow chunks({Kind::chunked, 0}, true);
  chunks.feed("5\r\nhello\r\n", out);
  EXPECT_FALSE(chunks.end(out));
  EXPECT_FALSE(chunks.finished());
}

TEST(HttpBodyFlow, ChunksWithTwoReadingsFailWhereverTheyWereCut) {
  for (const std::string bad : {"g\r\n", "\r\n", "0x5\r\nhello\r\n", "5 \r\nhello\r\n", " 5\r\nhello\r\n", "5\nhello\r\n",
                                "5\r\nhelloX\r\n", "5\r\nhello\n", "5\r\nhelloXX", "5\r\r\nhello", "1000000000000000\r\n", "5;\x01\r\n",
                                "0\r\nX : y\r\n\r\n", "0\r\n\n", "0\r\nfolded: a\r\n b\r\n\r\n"})
    for (const std::size_t at_once : {std::size_t{1}, std::size_t{3}, bad.size()}) {
      const auto flowed = flow({Kind::chunked, 0}, true, bad, at_once);
      EXPECT_TRUE(flowed.failed) << bad << " by " << at_once;
      EXPECT_FALSE(flowed.finished);
    }
  EXPECT_TRUE(flow({Kind::chunked, 0}, true, std::string(ChunkDecoder::size_line_bytes_max + 1, '1'), 7).failed);
  EXPECT_TRUE(flow({Kind::chunked, 0}, true, "0\r\nA: " + std::string(ChunkDecoder::trailer_bytes_max, 'a'), 100).failed);
}

TEST(HttpBodyFlow, NoTrailerFramesRoutesOrAuthorizes) {
  EXPECT_TRUE(may_trail("X-Checksum"));
  for (const auto* const name : {"content-length", "Transfer-Encoding", "HOST", "Authorization", "Set-Cookie", "Connection"})
    EXPECT_FALSE(may_trail(name)) << name;
}

}  // namespace
}  // namespace drpf::protocol::http
