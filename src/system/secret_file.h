// A new file that only its owner may read, for configurations with a private key. Never replaces a file.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "system/fd.h"

namespace drpf::cli {

class SecretFile {
 public:
  // Fails if there is a file already, so that a key is never lost by a slip of the pen.
  static Result<SecretFile> create(const std::string& path);
  SecretFile(SecretFile&&) noexcept = default;
  ~SecretFile();  // removes the file unless it was written
  Status write(std::string_view text);

 private:
  SecretFile(std::string path, system::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  system::Fd fd_;
  bool written_ = false;
};

}  // namespace drpf::cli
