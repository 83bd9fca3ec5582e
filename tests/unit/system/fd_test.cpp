#include "system/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace drpf::system {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

Fd any() { return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }

TEST(Fd, WhatWasHeldIsClosedByTheAssignmentAndNotLater) {
  Fd held = any();
  Fd next = any();
  const int former = held.get();
  const int latter = next.get();
  held = std::move(next);
  EXPECT_FALSE(is_open(former));
  EXPECT_FALSE(next.valid());
  EXPECT_EQ(held.get(), latter);
  EXPECT_TRUE(is_open(latter));
}

TEST(Fd, AssignedToItselfItStaysOpen) {
  Fd held = any();
  Fd& same = held;
  held = std::move(same);
  EXPECT_TRUE(held.valid() && is_open(held.get()));
}

}  // namespace
}  // namespace drpf::system
