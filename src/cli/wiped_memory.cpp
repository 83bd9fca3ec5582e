// The program's operator new and delete: what is given back is emptied first, so that no key, and no text that held one, stays behind in
// memory that nobody owns any more. Not the stack, and not the memory of C libraries: OpenSSL empties its own, store/ sees to SQLite's.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which bring their own, and fill freed memory anyway

#include <malloc.h>
#include <string.h>

#include <cstdlib>
#include <new>

namespace {

void* allocate(std::size_t size, std::size_t alignment) {
  for (;;) {
    void* memory = nullptr;
    if (alignment == 0)
      memory = std::malloc(size == 0 ? 1 : size);
    else if (::posix_memalign(&memory, alignment, size) != 0)
      memory = nullptr;
    if (memory != nullptr) return memory;
    const auto handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void give_back(void* memory) noexcept {
  if (memory == nullptr) return;
  ::explicit_bzero(memory, ::malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

// The forms for arrays, for known sizes and without exceptions come down to these ([new.delete]).
void* operator new(std::size_t size) { return allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) { return allocate(size, static_cast<std::size_t>(alignment)); }
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { give_back(memory); }

#endif
