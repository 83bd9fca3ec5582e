#include "client/connect/instance_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "support/temporary_folder.h"

namespace drpf::client {
namespace {

using testing::HasSubstr;

TEST(InstanceLock, AnInterfaceIsForOneAtATime) {
  const test::TemporaryFolder folder;
  const std::string interface = "laptop";
  const auto path = folder / "laptop.lock";
  {
    const auto first = lock_interface(interface, path);
    ASSERT_TRUE(first) << first.error().message;
    const auto second = lock_interface(interface, path);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, Error::Kind::refusal);
    EXPECT_EQ(second.error().code, "interface_in_use");
    EXPECT_THAT(second.error().message, HasSubstr(interface));
    EXPECT_THAT(second.error().message, HasSubstr("process " + std::to_string(::getpid())));
    EXPECT_TRUE(lock_interface(interface + "b", folder / "laptopb.lock")) << "another interface is another matter";
  }
  EXPECT_TRUE(lock_interface(interface, path)) << "it ends with who had it";
}

}  // namespace
}  // namespace drpf::client
