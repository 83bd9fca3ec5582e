// Several decisions as one: what is committed and carried out once for all of them. Pure.
#pragma once

#include <span>

#include "lease/transaction.h"

namespace drpf::lease {

// The decisions were taken one after the other, each on the book with those before it. What one of them installs and a later one removes
// never reaches the kernel.
Transaction merge(std::span<const Transaction> decisions);

}  // namespace drpf::lease
