#include "daemon/ssh_ports.h"

#include <strings.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>

#include "system/text_file.h"

namespace drpf::daemon {
namespace {

bool is_keyword(const std::string& word, const char* keyword) { return ::strcasecmp(word.c_str(), keyword) == 0; }

}  // namespace

std::vector<Port> parse_ssh_ports(std::string_view sshd_config) {
  std::vector<Port> ports;
  std::istringstream lines{std::string(sshd_config)};
  lines.exceptions(std::ios::badbit);  // memory that runs out is no end of the text
  std::string line;
  while (std::getline(lines, line)) {
    std::replace(line.begin(), line.end(), '=', ' ');
    std::istringstream words(line);
    words.exceptions(std::ios::badbit);  // memory that runs out is no end of the text
    std::string keyword, value;
    if (!(words >> keyword >> value)) continue;
    if (is_keyword(keyword, "Match")) break;  // what follows is about sessions
    if (is_keyword(keyword, "Port")) {
      if (const auto port = parse_port(value); port && !port->is_zero()) ports.push_back(*port);
    } else if (is_keyword(keyword, "ListenAddress")) {
      // host:port or [v6]:port; an IPv6 address alone has no brackets and no port
      const auto colon = value.rfind(':');
      const bool has_port = colon != std::string::npos && (value.find(':') == colon || value[colon - 1] == ']');
      if (const auto port = has_port ? parse_port(value.substr(colon + 1)) : parse_port(""); port && !port->is_zero())
        ports.push_back(*port);
    }
  }
  std::sort(ports.begin(), ports.end());
  ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
  return ports;
}

std::vector<Port> ssh_ports() {
  auto text = system::read_text_file("/etc/ssh/sshd_config");
  auto ports = parse_ssh_ports(text);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/etc/ssh/sshd_config.d", error))
    for (const auto port : parse_ssh_ports(system::read_text_file(entry.path())))
      if (std::find(ports.begin(), ports.end(), port) == ports.end()) ports.push_back(port);
  if (ports.empty()) ports.emplace_back(std::uint16_t{22});
  return ports;
}

}  // namespace drpf::daemon
