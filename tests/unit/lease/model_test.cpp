// The book against the naive book, by random work. DRPF_MODEL_OPERATIONS and DRPF_SEED choose how much and which.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <string>

#include "support/book_exercise.h"

namespace drpf::lease::test {

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

TEST(Model, TheBookDoesWhatTheNaiveBookDoes) {
  const auto operations = from_environment("DRPF_MODEL_OPERATIONS", 100'000);
  const auto seed = from_environment("DRPF_SEED", std::random_device{}());
  constexpr std::uint64_t operations_per_book = 20'000;  // many young books find more than one old one
  std::map<std::string, std::uint64_t> met;
  for (std::uint64_t done = 0; done < operations; done += operations_per_book) {
    std::mt19937_64 random(seed + done);
    BookExercise exercise([&](std::uint32_t below) { return static_cast<std::uint32_t>(random() % below); });
    for (std::uint64_t i = 0; i < std::min(operations_per_book, operations - done); ++i) {
      try {
        exercise.step();
        if (i % 64 == 0) exercise.compare_records();
      } catch (const Fault& fault) {
        FAIL() << fault.what() << " at operation " << done + i << "; again with DRPF_SEED=" << seed
               << " DRPF_MODEL_OPERATIONS=" << operations;
      }
    }
    for (const auto& [what, count] : exercise.met()) met[what] += count;
  }
  RecordProperty("seed", std::to_string(seed));
  if (operations < operations_per_book) return;
  // Random work proves nothing about what it never meets.
  for (const auto* what : {"add_account",
                           "set_account",
                           "remove_account",
                           "add_device",
                           "remove_device",
                           "connect",
                           "disconnect",
                           "automatic ports",
                           "add_lease",
                           "set_lease",
                           "remove_lease",
                           "map",
                           "a mapping again",
                           "a mapping on a new port",
                           "end of a mapping",
                           "end of many mappings",
                           "several mappings as one",
                           "the store refuses several mappings",
                           "no mapping: quota_exhausted",
                           "nonce_mismatch",
                           "tick",
                           "reconfigure",
                           "restart",
                           "account_limit",
                           "account_suspended",
                           "device_limit",
                           "host_unknown",
                           "lease_unknown",
                           "local_port_outside",
                           "name_taken",
                           "no_contiguous_range",
                           "not_connected",
                           "pool_exhausted",
                           "port_choice_not_allowed",
                           "port_occupied",
                           "port_outside_pool",
                           "port_quarantined",
                           "port_reserved",
                           "port_taken",
                           "port_zero",
                           "quota_exhausted",
                           "too many rest",
                           "request_empty"})
    EXPECT_GT(met[what], 0U) << what << " was never met; seed " << seed;
}

}  // namespace drpf::lease::test
