#include "system/descriptor_reserve.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace drpf::system {
namespace {

TEST(DescriptorReserve, IsThereWhenNothingElseIs) {
  DescriptorReserve reserve(3);
  ASSERT_EQ(reserve.held(), 3U);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const auto open_one = [] { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); };
  const auto next = static_cast<rlim_t>(open_one().get());  // the lowest that is free: from here on there are none
  const rlimit none{next, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_FALSE(open_one().valid());
  {
    const DescriptorReserve::Use use(reserve);
    EXPECT_TRUE(open_one().valid());
  }
  EXPECT_EQ(reserve.held(), 3U);
  EXPECT_FALSE(open_one().valid());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

}  // namespace
}  // namespace drpf::system
