// What an interrupted scan leaves so that another run can go on with it: text in, values out, and back. Opens no file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "scan/kind.h"
#include "scan/tell/report.h"
#include "scan/verdict.h"

namespace drpf::scan {

inline constexpr unsigned resume_version = 1;
inline constexpr std::size_t resume_file_max = std::size_t{512} << 20;  // bytes
inline constexpr std::size_t resume_word_max = 600'000;                 // characters of one word: a port list may be long
inline constexpr std::size_t resume_words_max = 200'000;
inline constexpr std::size_t resume_passes_max = 8;
inline constexpr std::size_t resume_note_max = 1000;  // characters

struct ResumeFile {
  struct Pass {
    Kind kind = Kind::syn;
    std::uint64_t count = 0;  // of its ports
    std::uint64_t hash = 0;   // of their numbers
    bool operator==(const Pass&) const = default;
  };
  struct Host {
    std::uint64_t target = 0;  // its index
    HostStatus status = HostStatus::unknown;
    std::string reason;
  };
  struct Entry {
    std::uint64_t pass = 0;
    std::uint64_t target = 0;
    std::uint64_t first = 0;  // indices of ports, both included
    std::uint64_t last = 0;
    Verdict verdict;  // a decided one
  };
  std::uint64_t seed = 0;
  std::vector<std::string> words;  // of the command line, without those that give permission
  std::uint64_t targets = 0;
  std::uint64_t targets_hash = 0;
  std::vector<Pass> passes;
  std::vector<Host> hosts;  // whose status is known
  std::vector<Entry> entries;
};

std::string resume_text(const ResumeFile& file);
// All indices are within what the file itself says; whether that is the scan at hand, the caller compares.
Result<ResumeFile> parse_resume_file(std::string_view text);

// FNV-1a of 64 bits: finds damage, keeps no secret.
std::uint64_t hash_of(std::string_view bytes, std::uint64_t begin = 0xcbf29ce484222325);

}  // namespace drpf::scan
