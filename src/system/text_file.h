// A text file whole, as the kernel's and other programs' small files are read: what cannot be read is empty. Has no limit of its size.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace drpf::system {

inline std::string read_text_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace drpf::system
