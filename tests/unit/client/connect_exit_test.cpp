// What `drpf connect` ends with when it does not even begin. Nothing of the machine is touched.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "client/connect/connect.h"
#include "protocol/wireguard/wg_quick_file.h"
#include "support/temporary_folder.h"

namespace drpf::client {
namespace {

class ConnectExit : public testing::Test {
 protected:
  // With something wrong that is found later, so that it never goes further.
  int exit_of(const std::string& text, const std::function<void(ConnectOptions&)>& change = {}) {
    std::ofstream(path_) << text;
    return exit_of(change);
  }
  int exit_of(const std::function<void(ConnectOptions&)>& change = {}) {
    ConnectOptions options;
    options.file = path_;
    options.interface = "drpftest";
    options.state_directory = folder_ / "state";
    if (change) change(options);
    testing::internal::CaptureStderr();
    const int code = connect(options);
    said_ = testing::internal::GetCapturedStderr();
    return code;
  }

  test::TemporaryFolder folder_;
  std::string path_ = folder_ / "home.conf";
  std::string said_;
};

const std::string without_endpoint = R"([Interface]
PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=
Address = 10.77.0.2/32
[Peer]
PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=
AllowedIPs = 0.0.0.0/0
)";

TEST_F(ConnectExit, AFileThatCannotBeReadIsNoInput) {
  EXPECT_EQ(exit_of(), 66);
  EXPECT_NE(said_.find("home.conf"), std::string::npos) << said_;
  EXPECT_EQ(exit_of([this](auto& options) { options.file = folder_ / "."; }), 66) << "a directory";
  EXPECT_EQ(exit_of(std::string(protocol::wireguard::wg_quick_file_size_max + 1, '#')), 66) << "too large to be one";
  EXPECT_EQ(exit_of(std::string(protocol::wireguard::wg_quick_file_size_max, '#')), 65) << "not too large, and no configuration";
}

TEST_F(ConnectExit, AFileThatIsNoneIsMalformed) {
  EXPECT_EQ(exit_of("nonsense"), 65);
  EXPECT_EQ(exit_of(without_endpoint), 65);
  EXPECT_NE(said_.find("Endpoint"), std::string::npos) << said_;
}

TEST_F(ConnectExit, AKeyThatEverybodyCanReadIsToldOf) {
  std::ofstream(path_) << without_endpoint;
  for (const auto& [mode, open] : {std::pair(0600, false), {0640, false}, {0644, true}, {0602, true}}) {
    ASSERT_EQ(::chmod(path_.c_str(), static_cast<mode_t>(mode)), 0);
    EXPECT_EQ(exit_of(), 65);
    EXPECT_EQ(said_.find("open to everybody") != std::string::npos, open) << mode << said_;
  }
}

TEST_F(ConnectExit, WhatIsAskedForWronglyIsUsage) {
  EXPECT_EQ(exit_of(without_endpoint, [](auto& options) { options.interface = "a/b"; }), 64);
  EXPECT_EQ(exit_of(without_endpoint, [](auto& options) { options.share = "drpftest"; }), 64) << "the tunnel itself";
  EXPECT_EQ(exit_of(without_endpoint, [](auto& options) { options.share = "a b"; }), 64);
  EXPECT_EQ(exit_of(without_endpoint, [](auto& options) { options.share = "lan0"; }), 65) << "that one is fine";
  EXPECT_EQ(exit_of(without_endpoint,
                    [this](auto& options) {
                      options.interface.reset();
                      options.file = folder_ / "a name that is no interface's.conf";
                    }),
            64);
}

}  // namespace
}  // namespace drpf::client
