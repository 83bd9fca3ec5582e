#include "store/sqlite/wiped_memory.h"

#include <sqlite3.h>
#include <string.h>

#include <algorithm>
#include <cstddef>
#include <mutex>

namespace drpf::store::sqlite {
namespace {

sqlite3_mem_methods original{};

void give_back(void* memory) {
  ::explicit_bzero(memory, static_cast<std::size_t>(original.xSize(memory)));
  original.xFree(memory);
}

// The original would leave the old place as it was.
void* move_to(void* memory, int size) {
  void* moved = original.xMalloc(size);
  if (moved == nullptr) return nullptr;
  ::memcpy(moved, memory, static_cast<std::size_t>(std::min(size, original.xSize(memory))));
  give_back(memory);
  return moved;
}

void replace_methods() {
  if (::sqlite3_config(SQLITE_CONFIG_GETMALLOC, &original) != SQLITE_OK) return;
  auto methods = original;
  methods.xFree = give_back;
  methods.xRealloc = move_to;
  // It refuses both once it runs; without the first the second is not wanted either: memory that it keeps in slots of its own.
  if (::sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK) return;
  ::sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
}

}  // namespace

void wipe_freed_memory() {
  static std::once_flag done;
  std::call_once(done, replace_methods);
}

}  // namespace drpf::store::sqlite
