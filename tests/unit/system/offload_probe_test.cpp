#include "system/offload_probe.h"

#include <gtest/gtest.h>

namespace drpf::system {
namespace {

TEST(OffloadProbe, ThisKernelKeepsTheBytes) { EXPECT_NE(probe_udp_segmentation(), ProbeResult::broken); }

TEST(OffloadProbe, KnownFaultyKernelsAreDenied) {
  for (const auto* release : {"7.0.0-rc1", "7.0.9", "7.1.0", "7.1.4-cloud-amd64"}) EXPECT_TRUE(udp_segmentation_denied(release)) << release;
  for (const auto* release : {"6.1.0-49-amd64", "6.18.44", "7.1.5", "7.2.0", "8.0", "", "nonsense"})
    EXPECT_FALSE(udp_segmentation_denied(release)) << release;
  EXPECT_FALSE(kernel_release().empty());
}

}  // namespace
}  // namespace drpf::system
