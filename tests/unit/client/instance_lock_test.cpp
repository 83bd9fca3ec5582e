#include "client/connect/instance_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace drpf::client {
namespace {

using testing::HasSubstr;

TEST(InstanceLock, AnInterfaceIsForOneAtATime) {
  const auto interface = "test" + std::to_string(::getpid());
  {
    const auto first = lock_interface(interface);
    ASSERT_TRUE(first) << first.error().message;
    const auto second = lock_interface(interface);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().kind, Error::Kind::refusal);
    EXPECT_EQ(second.error().code, "interface_in_use");
    EXPECT_THAT(second.error().message, HasSubstr(interface));
    EXPECT_THAT(second.error().message, HasSubstr("(process " + std::to_string(::getpid()) + ")"));
    EXPECT_TRUE(lock_interface(interface + "b")) << "another interface is another matter";
    EXPECT_TRUE(lock_interface(interface.substr(0, interface.size() - 1))) << "also where one name begins like the other";
  }
  EXPECT_TRUE(lock_interface(interface)) << "it ends with who had it";
}

}  // namespace
}  // namespace drpf::client
