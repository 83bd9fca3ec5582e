#include "api_client/admin_client.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace drpf::api_client {
namespace {

TEST(TextOf, WhatMovesTheCursorIsNoTextOfATerminal) {
  const auto answer =
      boost::json::parse(R"({"name":"a\u001b]0;owned\u0007b","config":"[Interface]\n\u001b[2JDNS = 1\n","number":7,"none":null})");
  EXPECT_EQ(text_of(answer, "name"), "a\\x1b]0;owned\\x07b");
  EXPECT_EQ(text_of(answer, "config"), "[Interface]\\x0a\\x1b[2JDNS = 1\\x0a");
  EXPECT_EQ(lines_of(answer, "config"), "[Interface]\n\\x1b[2JDNS = 1\n");
  EXPECT_EQ(text_of(answer, "number"), "7");
  EXPECT_EQ(lines_of(answer, "number"), "");
  EXPECT_EQ(text_of(answer, "none"), "");
}

}  // namespace
}  // namespace drpf::api_client
