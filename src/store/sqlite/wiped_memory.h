// SQLite empties the memory that it gives back: keys pass through its pages and rows. It does not empty pages that are still in its cache.
#pragma once

namespace drpf::store::sqlite {

// Before the first database of the process is opened; later, and a second time, it changes nothing.
void wipe_freed_memory();

}  // namespace drpf::store::sqlite
