// The program nft: reads rule sets, applies rule sets. A process that wants to give up starting programs has it run by a child that was put
// aside before; the child runs nothing else, and another one takes its place when it dies or does not answer.
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
  // The same without what stands in the table that the text names ("inet drpf"), which may be a hundred thousand elements.
  list_others = 3,
};

// By the child that was put aside, or directly where there is none.
Result<Output> run_nft(NftTask task, const std::string& text, Duration limit);

// Forks the child and its supervisor; once for each process, before there are threads or secrets. `prepare` runs in it first: it gives up
// what it does not need. The child ends with this process.
Status put_nft_aside(const std::function<Status()>& prepare);

enum class NftProcess : unsigned char {
  standing,
  replaced,  // since the last look
  lost,      // with its supervisor: nothing of the rule sets can be changed any more, what stands goes on standing
};
// Whenever nft_process_news() is readable, which is not watched any more once it is lost. -1: there is no such child.
int nft_process_news();
NftProcess look_after_nft();

}  // namespace drpf::system
