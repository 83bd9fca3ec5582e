// The gateway as `drpf scan` shows it to a stranger on the Internet: the same engine and the same table. Judges nothing.
#pragma once

#include <string>

#include "core/address.h"
#include "core/result.h"
#include "lab/demo/scan.h"

namespace drpf::lab::demo {

struct ScanPicture {
  Scan scan;
  std::string table;
};

// All 65,535 TCP ports by SYN, from the network that this process is in; needs CAP_NET_RAW.
Result<ScanPicture> picture_tcp(const Address& target);

}  // namespace drpf::lab::demo
