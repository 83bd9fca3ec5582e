#include "system/processes.h"

#include <dirent.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <fstream>
#include <memory>
#include <string_view>

#include <fmt/format.h>

namespace drpf::system {
namespace {

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

template <class Number>
std::optional<Number> number_in(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string read_link(const std::string& path) {
  std::array<char, PATH_MAX> buffer;
  const auto size = ::readlink(path.c_str(), buffer.data(), buffer.size());
  return size <= 0 ? std::string{} : std::string(buffer.data(), static_cast<std::size_t>(size));
}

}  // namespace

std::vector<pid_t> processes() {
  std::vector<pid_t> found;
  const Folder folder(::opendir("/proc"), ::closedir);
  if (!folder) return found;
  while (const auto* entry = ::readdir(folder.get()))
    if (const auto process = number_in<pid_t>(entry->d_name)) found.push_back(*process);
  return found;
}

std::string process_name(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/comm", process));
  std::string name;
  std::getline(file, name);
  return name;
}

std::string process_program(pid_t process) {
  constexpr std::string_view replaced = " (deleted)";  // what the kernel adds where the file is not there any more, as after an upgrade
  auto path = read_link(fmt::format("/proc/{}/exe", process));
  if (path.ends_with(replaced)) path.resize(path.size() - replaced.size());
  return path.substr(path.rfind('/') + 1);
}

std::optional<std::vector<std::uint64_t>> sockets_of(pid_t process) {
  std::vector<std::uint64_t> inodes;
  const auto path = fmt::format("/proc/{}/fd", process);
  const Folder folder(::opendir(path.c_str()), ::closedir);
  if (!folder) {
    if (errno == EACCES || errno == EPERM) return std::nullopt;
    return inodes;
  }
  while (const auto* entry = ::readdir(folder.get())) {
    if (!number_in<int>(entry->d_name)) continue;
    errno = 0;
    const auto link = read_link(path + "/" + entry->d_name);
    if (link.empty() && (errno == EACCES || errno == EPERM)) return std::nullopt;
    if (const auto inode = socket_inode(link)) inodes.push_back(*inode);
  }
  return inodes;
}

std::optional<std::uint64_t> socket_inode(std::string_view link) {
  constexpr std::string_view before = "socket:[";
  if (!link.starts_with(before) || !link.ends_with(']')) return std::nullopt;
  return number_in<std::uint64_t>(link.substr(before.size(), link.size() - before.size() - 1));
}

}  // namespace drpf::system
