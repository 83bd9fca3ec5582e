// Runs the simulation over many seeds, or one seed again with all that happened in it.
#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "simulation/simulation.h"

namespace drpf::simulation {
namespace {

constexpr std::uint64_t seeds_default = 500;
constexpr std::uint64_t seeds_longer = 10'000;
constexpr std::uint64_t jobs_max = 64;
constexpr std::uint64_t real_database_every = 10;
constexpr std::size_t trace_lines_shown = 80;

// Seeds that once found something, before programs asked for ports in the simulation; README.md beside this file says what.
constexpr std::uint64_t regression_seeds[] = {1816, 2166, 2743, 5463, 6426};

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t seeds = seeds_default;
  std::uint64_t jobs = 1;
  std::optional<std::uint64_t> only;
  bool trace = false;
  bool mappings = true;
  bool keep_going = false;
  Mutation mutation = Mutation::none;
};

int usage() {
  fmt::print(stderr,
             "simulation [--seeds N] [--first SEED] [--longer] [--jobs N] [--keep-going] [--mutation NAME]\n"
             "simulation --seed SEED [--trace] [--without-mappings] [--mutation NAME]\n"
             "mutations:");
  for (auto i = 1; i < static_cast<int>(Mutation::count); ++i) fmt::print(stderr, " {}", to_string(static_cast<Mutation>(i)));
  fmt::print(stderr, "\n");
  return 2;
}

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  if (const char* longer = std::getenv("DRPF_LONGER"); longer != nullptr && std::strcmp(longer, "1") == 0) arguments.seeds = seeds_longer;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto number = [&]() -> std::uint64_t { return ++i < argc ? std::strtoull(argv[i], nullptr, 10) : 0; };
    if (word == "--trace")
      arguments.trace = true;
    else if (word == "--without-mappings")
      arguments.mappings = false;
    else if (word == "--keep-going")
      arguments.keep_going = true;
    else if (word == "--longer")
      arguments.seeds = seeds_longer;
    else if (word == "--seeds")
      arguments.seeds = number();
    else if (word == "--first")
      arguments.first = number();
    else if (word == "--jobs")
      arguments.jobs = std::clamp<std::uint64_t>(number(), 1, jobs_max);
    else if (word == "--seed")
      arguments.only = number();
    else if (word == "--mutation") {
      const std::string_view name = ++i < argc ? argv[i] : "";
      for (auto m = 0; m < static_cast<int>(Mutation::count); ++m)
        if (to_string(static_cast<Mutation>(m)) == name) arguments.mutation = static_cast<Mutation>(m);
      if (arguments.mutation == Mutation::none) return std::nullopt;
    } else
      return std::nullopt;
  }
  return arguments;
}

// The violation, if there was one.
std::optional<std::string> simulate(std::uint64_t seed, const Arguments& arguments, bool mappings, Met& met,
                                    const std::function<void(std::string_view)>& trace) {
  try {
    Simulation({seed, arguments.mutation, seed % real_database_every == 0, mappings, trace}, met).run();
    return std::nullopt;
  } catch (const Violation& violation) {
    return violation.what();
  } catch (const std::exception& other) {
    return fmt::format("the gateway threw: {}", other.what());
  }
}

void show(std::uint64_t seed, const Arguments& arguments, bool mappings, const std::string& violation) {
  std::deque<std::string> lines;
  Met unused;
  simulate(seed, arguments, mappings, unused, [&](std::string_view line) {
    lines.emplace_back(line);
    if (lines.size() > trace_lines_shown) lines.pop_front();
  });
  for (const auto& line : lines) fmt::print("  {}\n", line);
  const auto mutation = arguments.mutation == Mutation::none ? std::string() : fmt::format(" --mutation {}", to_string(arguments.mutation));
  fmt::print("VIOLATION at seed {}: {}\nagain, with everything that happened: build/test/tests/simulation --seed {} --trace{}{}\n", seed,
             violation, seed, mappings ? "" : " --without-mappings", mutation);
}

int run_one(const Arguments& arguments) {
  Met met;
  const auto violation = simulate(*arguments.only, arguments, arguments.mappings, met, [&](std::string_view line) {
    if (arguments.trace) fmt::print("{}\n", line);
  });
  fmt::print("seed {}: {}\n", *arguments.only, violation ? "VIOLATION: " + *violation : "no violation");
  return violation ? 1 : 0;
}

int run_many(const Arguments& arguments) {
  std::vector<std::uint64_t> seeds(std::begin(regression_seeds), std::end(regression_seeds));
  if (arguments.mutation != Mutation::none) seeds.clear();
  const auto old_seeds = seeds.size();
  for (std::uint64_t i = 0; i < arguments.seeds; ++i) seeds.push_back(arguments.first + i);
  const auto begin = std::chrono::steady_clock::now();

  // Each job takes the next seed that nobody has; what a seed does is its own, so who runs it makes no difference.
  std::mutex mutex;
  Met met;
  std::map<std::size_t, std::string> violations;  // by the place in `seeds`
  std::atomic<std::size_t> next = 0;
  std::atomic<std::uint64_t> done = 0;
  const auto job = [&] {
    Met own;
    for (auto i = next++; i < seeds.size(); i = next++) {
      const auto violation = simulate(seeds[i], arguments, arguments.mappings && i >= old_seeds, own, {});
      ++done;
      if (!violation) continue;
      const std::lock_guard lock(mutex);
      violations.emplace(i, *violation);
      if (arguments.keep_going)
        fmt::print("seed {}: {}\n", seeds[i], *violation), std::fflush(stdout);
      else
        next = seeds.size();
    }
    const std::lock_guard lock(mutex);
    for (const auto& [what, count] : own) met[what] += count;
  };
  {
    std::vector<std::jthread> jobs;
    for (std::uint64_t i = 1; i < arguments.jobs; ++i) jobs.emplace_back(job);
    job();
  }
  if (!violations.empty() && !arguments.keep_going) {
    const auto& [i, violation] = *violations.begin();
    show(seeds[i], arguments, arguments.mappings && i >= old_seeds, violation);
    fmt::print("after {} seeds\n", done.load());
    return 1;
  }
  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  for (const auto& [what, count] : met) fmt::print("{:10} {}\n", count, what);
  int missing = 0;
  for (std::size_t i = 0; i < fault_count; ++i)
    if (const auto name = "fault: " + std::string(to_string(static_cast<Fault>(i))); !met.contains(name)) {
      fmt::print("never met: {}\n", name);
      ++missing;
    }
  fmt::print("{} seeds in {:.1f} s, {} violations\n", done.load(), seconds, violations.size());
  if (!violations.empty()) return 1;
  return missing > 0 && arguments.seeds >= seeds_default ? 1 : 0;
}

}  // namespace
}  // namespace drpf::simulation

int main(int argc, char** argv) {
  const auto arguments = drpf::simulation::parse(argc, argv);
  if (!arguments) return drpf::simulation::usage();
  return arguments->only ? drpf::simulation::run_one(*arguments) : drpf::simulation::run_many(*arguments);
}
