// Sequences of operations on a lease book, chosen by the input's bytes (two for each choice) and compared with the naive book.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "core/bytes.h"
#include "support/book_exercise.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace drpf;
  // Some hundred operations: longer inputs find no more, and a run of 4096 bytes took a quarter of a second.
  constexpr std::size_t size_max = 1024;
  constexpr unsigned compared_every = 4;
  ByteReader input(ByteView(data, size < size_max ? size : size_max));
  lease::test::BookExercise exercise([&](std::uint32_t below) { return input.u16_be() % below; });
  try {
    for (unsigned step = 1; !input.at_end(); ++step) exercise.step(step % compared_every == 0);
    exercise.compare_records();
  } catch (const lease::test::Fault& fault) {
    std::fprintf(stderr, "%s\n", fault.what());
    std::abort();
  }
  return 0;
}
