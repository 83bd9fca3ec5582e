#include "system/sysctl.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <sstream>

#include "system/fd.h"
#include "system/netlink_socket.h"

namespace drpf::system {
namespace {

constexpr std::size_t value_max = 4096;

std::string path_of(std::string_view name) {
  std::string path = "/proc/sys/";
  for (const char c : name) path += c == '.' ? '/' : c == '/' ? '.' : c;
  return path;
}

}  // namespace

Result<std::string> read_sysctl(std::string_view name) {
  const Fd file(::open(path_of(name).c_str(), O_RDONLY | O_CLOEXEC));
  std::string value(value_max, '\0');
  const auto size = file.valid() ? ::read(file.get(), value.data(), value.size()) : -1;
  if (size < 0) return fail(errno_failure(errno, fmt::format("read the kernel parameter {}", name)));
  value.resize(static_cast<std::size_t>(size));
  while (!value.empty() && (value.back() == '\n' || value.back() == ' ')) value.pop_back();
  return value;
}

Status write_sysctl(std::string_view name, std::string_view value) {
  if (const auto present = read_sysctl(name); present && *present == value) return {};
  const Fd file(::open(path_of(name).c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid() || ::write(file.get(), value.data(), value.size()) < 0) {
    auto error = errno_failure(errno, fmt::format("set the kernel parameter {} to {}", name, value));
    if (error.cure.empty()) error.cure = fmt::format("set it by hand: sysctl -w {}='{}'", name, value);
    return fail(error);
  }
  return {};
}

Result<PortRange> read_ephemeral_ports() {
  const auto text = read_sysctl("net.ipv4.ip_local_port_range");
  if (!text) return fail(text.error());
  std::istringstream stream(*text);
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  if (!(stream >> first >> last))
    return fail(failure("sysctl_unreadable", fmt::format("net.ipv4.ip_local_port_range holds '{}', not two ports", *text)));
  return PortRange(Port{first}, Port{last});
}

Status write_ephemeral_ports(PortRange range) {
  if (const auto present = read_ephemeral_ports(); present && *present == range) return {};
  return write_sysctl("net.ipv4.ip_local_port_range", fmt::format("{} {}", range.first().value(), range.last().value()));
}

}  // namespace drpf::system
