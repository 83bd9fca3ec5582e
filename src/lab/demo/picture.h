// The topology as a small drawing, and the lease table as text.
#pragma once

#include <string>
#include <vector>

#include "lab/stage/admin.h"

namespace drpf::lab::demo {

using namespace lab;

std::string draw_topology();
// One line for ports side by side of which the same is to be said.
std::string draw_leases(const std::vector<LeaseRow>& rows, bool colour);

}  // namespace drpf::lab::demo
