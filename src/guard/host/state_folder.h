// The firewall's files: the rules that hold, a change on trial, and the table's text as it was put into the kernel. Each is replaced as a
// whole; what a file says is not judged here.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/result.h"
#include "system/fd.h"

namespace drpf::guard {

inline constexpr const char* firewall_folder_default = "/var/lib/drpf-firewall";

namespace state_file {
inline constexpr const char* rules = "rules";
inline constexpr const char* trial = "trial";        // is worth something only while the kernel's clock of it runs
inline constexpr const char* table = "table.nft";    // what the machine starts with where the rules cannot be read
inline constexpr const char* profiles = "profiles";  // a folder of the user's own files
}  // namespace state_file

// A file that is written and on the disk, and not yet in its place; gone with this object unless it is put there.
class StagedFile {
 public:
  StagedFile(StagedFile&& other) noexcept;
  StagedFile& operator=(StagedFile&&) = delete;
  ~StagedFile();
  const std::string& path() const { return beside_; }
  Status put();

 private:
  friend class StateFolder;
  StagedFile(std::string beside, std::string target) : beside_(std::move(beside)), target_(std::move(target)) {}
  std::string beside_;
  std::string target_;
};

class StateFolder {
 public:
  explicit StateFolder(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }
  std::string path_of(std::string_view name) const { return path_ + "/" + std::string(name); }

  // One change at a time; makes the folder where it is not there.
  Result<system::Fd> lock() const;
  // Nothing where there is no such file.
  Result<std::optional<std::string>> read(std::string_view name) const;
  Result<StagedFile> stage(std::string_view name, std::string_view text) const;
  void remove(std::string_view name) const;

 private:
  std::string path_;
};

}  // namespace drpf::guard
