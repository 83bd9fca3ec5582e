// The program nft: reads rule sets, applies rule sets. A process that wants to give up starting programs has it run by a child that was put
// aside before; the child runs nothing else.
#pragma once

#include <functional>
#include <string>

#include "core/result.h"
#include "core/time.h"
#include "system/process.h"

namespace drpf::system {

enum class NftTask : unsigned char {
  apply = 1,  // nft -f -
  list = 2,   // nft -a list ruleset
};

// By the child that was put aside, or directly where there is none.
Result<Output> run_nft(NftTask task, const std::string& text, Duration limit);

// Forks the child; once for each process, before there are threads or secrets. `prepare` runs in it first: it gives up what it does not
// need. The child ends with this process.
Status put_nft_aside(const std::function<Status()>& prepare);

}  // namespace drpf::system
