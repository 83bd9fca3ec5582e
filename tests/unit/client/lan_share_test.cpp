#include "client/share/lan_share.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "support/fake_clock.h"
#include "support/temporary_folder.h"

namespace drpf::client {
namespace {

// The network that is to be shared is not there: nothing of this machine is touched.
class LanShareTest : public testing::Test {
 protected:
  ~LanShareTest() override { std::fclose(out_); }
  LanShareSettings settings() const {
    LanShareSettings settings;
    settings.lan = "drpf-nolan";
    settings.gateway = {*parse_address("10.77.0.1"), *parse_address("10.77.0.2"), "drpf-notun"};
    settings.note_path = folder_ / "note";
    return settings;
  }
  std::size_t said(std::string_view words) {
    std::fflush(out_);
    std::rewind(out_);
    std::string text(10'000, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), out_));
    std::size_t times = 0;
    for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++times;
    return times;
  }

  test::TemporaryFolder folder_;
  net::EventLoop loop_;
  tests::FakeClock clock_;
  std::FILE* out_ = std::tmpfile();
  Screen screen_{false, system::LogLevel::info, out_, out_};
};

TEST_F(LanShareTest, ANetworkThatIsNotThereIsToldOfOnceAndWaitedFor) {
  LanShare share(loop_, clock_, screen_, settings());
  for (int second = 0; second < 3; ++second) {
    clock_.time += std::chrono::seconds(1);
    share.tick();
  }
  EXPECT_EQ(said("drpf-nolan is not there, not up, or has no IPv4 address"), 1U);
  EXPECT_EQ(said("has changed"), 0U);
  EXPECT_EQ(said("shared with"), 0U);
}

TEST_F(LanShareTest, WhatAKilledOneLeftIsTakenAway) {
  std::ofstream(settings().note_path) << "../no interface\n";
  { const LanShare share(loop_, clock_, screen_, settings()); }
  EXPECT_FALSE(std::ifstream(settings().note_path).good());
}

}  // namespace
}  // namespace drpf::client
