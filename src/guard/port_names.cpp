#include "guard/port_names.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include "registry/iana_csv.h"
#include "terminal/terminal.h"

namespace drpf::guard {
namespace {

constexpr std::streamsize file_size_max = 8 * 1024 * 1024;

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string text(static_cast<std::size_t>(file_size_max) + 1, '\0');
  file.read(text.data(), file_size_max + 1);
  if (file.bad() || (file.gcount() == 0 && !file.eof())) return std::nullopt;  // a folder, for one
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

struct NamesFile {
  registry::ServicesFile content;
  bool from_iana = false;
};

Result<NamesFile> read_names_file(const std::string& path) {
  errno = 0;
  const auto text = read_text(path);
  if (!text)
    return fail(failure("services_file", fmt::format("{} cannot be read: {}", path, std::strerror(errno != 0 ? errno : EIO)),
                        "name a file in the form of services(5), or IANA's CSV"));
  if (text->size() > static_cast<std::size_t>(file_size_max))
    return fail(invalid("services_file", path + " is larger than 8 MiB", "name a file in the form of services(5), or IANA's CSV"));
  NamesFile file;
  file.from_iana = registry::is_iana_csv(*text);
  file.content = file.from_iana ? registry::parse_iana_csv(*text) : registry::parse_services(*text);
  if (file.content.services.empty())
    return fail(invalid("services_file", fmt::format("{} names no service", path), "write lines like: http 80/tcp www # the web"));
  for (const auto& problem : file.content.problems)
    terminal::remark(fmt::format("{}, line {}: passed over: {}", path, problem.line, problem.what));
  return file;
}

}  // namespace

Result<registry::PortRegistry> port_names(const std::string& services_file) {
  registry::PortRegistry names;
  std::optional<NamesFile> own;
  if (!services_file.empty()) {
    auto read = read_names_file(services_file);
    if (!read) return fail(read.error());
    own = std::move(*read);
  }
  // A newer state of IANA's registry lies over the built-in one, and below what this machine says itself.
  if (own && own->from_iana) names.overlay(services_file, std::move(own->content.services));
  if (const auto text = read_text(std::string(registry::services_path)))
    names.overlay(std::string(registry::services_path), registry::parse_services(*text).services);
  if (own && !own->from_iana) names.overlay(services_file, std::move(own->content.services));
  return names;
}

std::string guesses_for(const registry::PortRegistry& names, std::string_view name) {
  std::string text;
  const auto guesses = names.nearest(name);
  for (std::size_t i = 0; i < guesses.size(); ++i)
    text += (i == 0 ? "did you mean " : i + 1 == guesses.size() ? " or " : ", ") + std::string(guesses[i]);
  return text.empty() ? text : text + "?";
}

}  // namespace drpf::guard
