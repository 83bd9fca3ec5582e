// Any bytes as a state file, through the door that backups come in by: refused in words, or a book that is sound.
#include <cstdint>
#include <cstdlib>

#include "store/sqlite/backup.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto summary = drpf::store::sqlite::check_backup({data, size}, "f");
  if (!summary && summary.error().message.empty()) std::abort();
  return 0;
}
