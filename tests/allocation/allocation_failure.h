// Lets the n-th allocation of a piece of work fail, for every n that the work has. Replaces operator new for the whole program.
#pragma once

#include <cstddef>
#include <functional>
#include <new>

namespace drpf::test {

class AllocationFailure {
 public:
  // The next allocation of this thread after `successes` others fails, once.
  explicit AllocationFailure(std::size_t successes);
  ~AllocationFailure();
  AllocationFailure(const AllocationFailure&) = delete;
  AllocationFailure& operator=(const AllocationFailure&) = delete;
  bool happened() const;
};

// Runs `work` with its first, second, ... allocation failing, until one run meets no failure; after each run `check` is told whether
// memory ran out in it. Returns how many allocations the work has. Work that swallows the failure is seen by `check` too.
template <class Work, class Check>
std::size_t fail_each_allocation(Work work, Check check, std::size_t step = 1) {
  for (std::size_t successes = 0;; successes += step) {
    bool thrown = false;
    bool happened = false;
    {
      const AllocationFailure failure(successes);
      try {
        work();
      } catch (const std::bad_alloc&) {
        thrown = true;
      }
      happened = failure.happened();
    }
    check(thrown);
    if (!happened) return successes;
  }
}

}  // namespace drpf::test
