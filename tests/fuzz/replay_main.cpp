// Runs one fuzz target over every file of the folders and files named on the command line: the ordinary test run's use of the corpora.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <vector>

#define FUZZ_TARGET(name) extern "C" int name(const std::uint8_t* data, std::size_t size);
#include "fuzz_targets.inc"
#undef FUZZ_TARGET

namespace {

struct Target {
  std::string_view name;
  int (*run)(const std::uint8_t* data, std::size_t size);
};

#define FUZZ_TARGET(name) Target{#name, name},
constexpr Target targets[] = {
#include "fuzz_targets.inc"
};
#undef FUZZ_TARGET

std::size_t replay_file(const Target& target, const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<std::uint8_t> input(bytes.begin(), bytes.end());  // an exact-size heap block, so that reads past its end are seen
  target.run(input.data(), input.size());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto* target =
      std::find_if(std::begin(targets), std::end(targets), [&](const Target& one) { return argc > 1 && one.name == argv[1]; });
  if (target == std::end(targets)) {
    std::fprintf(stderr, "fuzz_corpora TARGET FILE_OR_FOLDER...; the targets are:\n");
    for (const auto& one : targets) std::fprintf(stderr, "  %s\n", one.name.data());
    return 64;
  }
  std::size_t replayed = 0;
  for (int i = 2; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      replayed += replay_file(*target, argv[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i]))
      if (entry.is_regular_file()) replayed += replay_file(*target, entry.path());
  }
  std::printf("%zu inputs replayed\n", replayed);
  return replayed == 0 ? 1 : 0;  // an empty corpus proves nothing
}
