// Runs `drpf WORDS...` in this process, and keeps what it prints. For tests of the command line; not for what forks or waits.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace drpf::test {

struct CommandOutcome {
  int code = 0;
  std::string out;
  std::string err;
};

inline CommandOutcome drpf(std::vector<std::string> words) {
  words.insert(words.begin(), "drpf");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  CommandOutcome outcome;
  outcome.code = cli::run(static_cast<int>(words.size()), argv.data());
  std::fflush(stdout);
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

}  // namespace drpf::test
