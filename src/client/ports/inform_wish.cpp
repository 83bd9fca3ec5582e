#include "client/ports/inform_wish.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "core/address.h"
#include "system/fd.h"

namespace drpf::client {
namespace {

constexpr std::string_view scheme = "http://";
constexpr std::string_view example = "Like this: --inform qbittorrent=http://127.0.0.1:8080 or transmission=http://127.0.0.1:9091";
constexpr std::uint32_t which_max = 65'535;

tl::unexpected<Error> wrong(std::string_view text, std::string_view what, std::string_view cure = example) {
  // A password stands between ':' and '@': it is not repeated on a terminal or in a log.
  const auto at = text.find('@');
  const auto shown = at == std::string_view::npos ? std::string(text) : "...@" + std::string(text.substr(at + 1));
  return fail(invalid("bad_inform", fmt::format("--inform {}: {}", shown, what), std::string(cure)));
}

std::optional<std::uint32_t> number(std::string_view text, std::uint32_t max) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0 || value > max) return std::nullopt;
  return value;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto* digits = text.data() + i + 1;
    if (std::from_chars(digits, digits + 2, value, 16).ptr != digits + 2) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

bool is_host(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_'; };
  return !text.empty() && text.size() <= 253 && (parse_address(text).has_value() || std::all_of(text.begin(), text.end(), allowed));
}

Status take_url(std::string_view url, std::string_view text, InformWish& wish) {
  if (url.starts_with("https://"))
    return wrong(text, "https is not spoken here", "Use http, on this machine or in a network that you trust; or a command: --on-change");
  if (!url.starts_with(scheme) || !is_plain(url)) return wrong(text, "the URL does not begin with http://, or holds blanks");
  url.remove_prefix(scheme.size());
  const auto slash = url.find('/');
  auto authority = url.substr(0, slash);
  if (slash != std::string_view::npos) wish.path = url.substr(slash);
  while (wish.path.ends_with('/')) wish.path.pop_back();
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    const auto login = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    const auto colon = login.find(':');
    const auto user = percent_decoded(login.substr(0, colon));
    const auto password = colon == std::string_view::npos ? std::string{} : percent_decoded(login.substr(colon + 1));
    if (!user || user->empty() || !password) return wrong(text, "the user or the password of the URL is malformed");
    wish.user = *user;
    wish.password = *password;
    wish.password_on_command_line = colon != std::string_view::npos;
  }
  // [::1]:8080, 127.0.0.1:8080, localhost
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return wrong(text, "a bracket is open");
    if (close + 1 < authority.size()) port = authority.substr(close + 1);
    wish.host = authority.substr(1, close - 1);
  } else {
    const auto colon = authority.find(':');
    if (colon != std::string_view::npos) port = authority.substr(colon);
    wish.host = authority.substr(0, colon);
  }
  if (!is_host(wish.host)) return wrong(text, "the URL names no host");
  if (port.empty()) return {};
  const auto value = number(port.substr(1), 65'535);
  if (port.front() != ':' || !value) return wrong(text, "the URL's port is no number from 1 to 65535");
  wish.port = Port{static_cast<std::uint16_t>(*value)};
  return {};
}

std::string environment_name(InformedProgram program) {
  return program == InformedProgram::qbittorrent ? "DRPF_QBITTORRENT_PASSWORD" : "DRPF_TRANSMISSION_PASSWORD";
}

Result<std::string> read_password(const std::string& path) {
  const auto refuse = [&](std::string_view why, std::string_view cure) {
    return fail(invalid("bad_password_file", fmt::format("reading the password in {}: {}", path, why), std::string(cure)));
  };
  const system::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (!file.valid() || ::fstat(file.get(), &status) != 0) return refuse(std::strerror(errno), "Is this the right path?");
  if (!S_ISREG(status.st_mode)) return refuse("not a file", "Name a file with the password as its first line.");
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) return refuse("others may open it", fmt::format("chmod 600 {}", path));
  std::array<char, password_size_max + 1> buffer;
  const auto size = ::read(file.get(), buffer.data(), buffer.size());
  if (size < 0) return refuse(std::strerror(errno), "Is the disk sound?");
  std::string text(buffer.data(), static_cast<std::size_t>(size));
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  if (text.empty() || text.size() > password_size_max) return refuse("its first line is empty or too long", "One line: the password.");
  return text;
}

}  // namespace

std::string_view to_string(InformedProgram program) { return program == InformedProgram::qbittorrent ? "qbittorrent" : "transmission"; }

std::string InformWish::name() const {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{} at {}{}{}:{}", to_string(program), v6 ? "[" : "", host, v6 ? "]" : "", to_string(port));
}

Result<InformWish> parse_inform_wish(std::string_view text) {
  InformWish wish;
  const auto equals = text.find('=');
  const auto name = text.substr(0, equals);
  if (equals == std::string_view::npos) return wrong(text, "no NAME=URL");
  if (name == "transmission")
    wish.program = InformedProgram::transmission;
  else if (name != "qbittorrent")
    return wrong(text, "only qbittorrent and transmission are known", "For other programs there is --on-change.");
  auto rest = text.substr(equals + 1);
  const auto next = [&rest] {
    const auto comma = rest.find(',');
    const auto part = rest.substr(0, comma);
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    return part;
  };
  if (const auto status = take_url(next(), text, wish); !status) return fail(status.error());
  while (!rest.empty()) {
    const auto part = next();
    if (part.starts_with("port=")) {
      const auto which = number(part.substr(5), which_max);
      if (!which) return wrong(text, "port= takes 1 for the first port, 2 for the second, ...");
      wish.which = *which;
    } else if (part.starts_with("password-file=") && part.size() > 14) {
      wish.password_file = part.substr(14);
    } else {
      return wrong(text, "after the URL only ,port=N and ,password-file=FILE are known");
    }
  }
  if (wish.password_file && wish.user.empty())
    return wrong(text, "a password without a user", "Put the user into the URL: http://USER@127.0.0.1:8080");
  if (wish.password_file && wish.password_on_command_line) return wrong(text, "a password in the URL, and a password file", "One of them.");
  return wish;
}

Status find_password(InformWish& wish) {
  if (wish.user.empty() || wish.password_on_command_line) return {};
  if (wish.password_file) {
    auto password = read_password(*wish.password_file);
    if (!password) return fail(password.error());
    wish.password = std::move(*password);
    return {};
  }
  const auto variable = environment_name(wish.program);
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr || *value == '\0' || std::strlen(value) > password_size_max) {
    return fail(invalid("no_password", fmt::format("--inform {}: there is no password for user {}", wish.name(), wish.user),
                        fmt::format("Put it into a file of mode 600 and add ,password-file=FILE; or into the environment: {}", variable)));
  }
  wish.password = value;
  return {};
}

}  // namespace drpf::client
