// A disk that loses its power: an SQLite file system over the real one that remembers what was written and not yet synced. At the power
// cut, of that any part may have reached the platters: whole writes, none, or some of their sectors, in any order.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace drpf::tests {

class PowerLossDisk {
 public:
  // Becomes SQLite's default file system until it is destroyed. The files that are there count as safe.
  explicit PowerLossDisk(std::uint32_t seed);
  ~PowerLossDisk();
  PowerLossDisk(const PowerLossDisk&) = delete;
  PowerLossDisk& operator=(const PowerLossDisk&) = delete;

  // The power fails at the n-th write, cut, sync or removal from now (1 = the next); everything after it fails too.
  void cut_at(std::uint64_t operation) { cut_at_ = operations_ + operation; }
  // The n-th operation from now fails once, with this code; the disk goes on.
  void fail_at(std::uint64_t operation, int code) { fail_at_ = operations_ + operation, failure_ = code; }
  // Every operation fails, until it is mended.
  void fail_all(int code) { failing_ = true, failure_ = code; }
  void mend() { failing_ = false; }
  std::uint64_t operations() const { return operations_; }
  bool is_cut() const { return cut_at_ && operations_ >= *cut_at_; }
  // What is found when the power is back. Call it when nothing is open any more.
  void restore_power();

  // --- for the file methods
  struct Write {
    std::uint64_t offset = 0;
    std::vector<std::uint8_t> bytes;
    std::optional<std::uint64_t> truncated_to;
  };
  struct File {
    bool exists = false;  // certainly
    std::vector<std::uint8_t> safe;
    std::vector<Write> pending;
    bool removal_pending = false;
  };
  static constexpr std::uint64_t sector = 512;
  int count_operation();  // SQLITE_OK, or what the operation has to fail with
  File& file(const std::string& path);
  sqlite3_vfs& below() { return *below_; }
  std::mt19937& random() { return random_; }

 private:
  sqlite3_vfs* below_;
  sqlite3_vfs vfs_{};
  std::mt19937 random_;
  std::map<std::string, File> files_;
  std::uint64_t operations_ = 0;
  std::optional<std::uint64_t> cut_at_;
  std::optional<std::uint64_t> fail_at_;
  bool failing_ = false;
  int failure_ = SQLITE_OK;
};

}  // namespace drpf::tests
