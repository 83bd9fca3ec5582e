// `drpf scan --mine`: one's own leased ports as strangers find them, what changed since the last time, and what should not be open. The
// gateway makes the visits; nothing but own leases is asked for.
#pragma once

#include "survey/options.h"

namespace drpf::survey {

int scan_own_leases(const Options& options);

}  // namespace drpf::survey
