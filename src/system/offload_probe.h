// Does UDP segmentation offload of this kernel keep the bytes as they are? Looked at before it is relied on, because kernels exist where it
// does not. Says nothing about other machines' network cards.
#pragma once

#include <string>
#include <string_view>

namespace drpf::system {

enum class ProbeResult {
  works,
  broken,   // what arrived was not what was sent, or the kernel refused
  unknown,  // could not be tried here, e.g. because the loopback interface is down
};

// Sends 40 equal datagrams as one message over the loopback of this network namespace, and again with a tail of equal size after a shorter
// message, and compares what arrives. Takes well under a millisecond where it works.
ProbeResult probe_udp_segmentation();

// Kernels (uname -r) that are known to corrupt segmented datagrams on real devices, which a loopback cannot show.
bool udp_segmentation_denied(std::string_view kernel_release);
std::string kernel_release();

}  // namespace drpf::system
