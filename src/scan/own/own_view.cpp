#include "scan/own/own_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <utility>

namespace drpf::scan {

namespace {

constexpr std::string_view file_head = "drpf own ports 1";
constexpr std::string_view file_end = "end";

std::optional<Finding> find_finding(std::string_view word) {
  for (int i = 0; i <= static_cast<int>(Finding::no_statement); ++i)
    if (to_string(static_cast<Finding>(i)) == word) return static_cast<Finding>(i);
  return std::nullopt;
}

bool same_port(const OwnPort& a, const OwnPort& b) { return a.public_side == b.public_side && a.protocol == b.protocol; }

const OwnPort* find_in(const std::vector<OwnPort>& ports, const OwnPort& wanted) {
  const auto found = std::find_if(ports.begin(), ports.end(), [&](const OwnPort& one) { return same_port(one, wanted); });
  return found == ports.end() ? nullptr : &*found;
}

std::string leads_to(const OwnPort& port, const registry::PortRegistry& names) {
  const auto guess = service_guess(port, names);
  return fmt::format("port {} of {}{}", to_string(port.local), port.device,
                     guess.empty() ? "" : fmt::format(" ({}, by its number)", guess));
}

std::string_view take_word(std::string_view& text, char end) {
  const auto at = std::min(text.find(end), text.size());
  const auto word = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return word;
}

std::optional<OwnPort> parse_line(std::string_view line) {
  OwnPort port;
  const auto address = parse_address(take_word(line, ' '));
  const auto number = parse_port(take_word(line, '/'));
  const auto protocol = parse_protocol(take_word(line, ' '));
  const auto local = parse_port(take_word(line, ' '));
  const auto finding = find_finding(take_word(line, ' '));
  if (!address || !number || !protocol || !local || !finding || line.empty() || line.size() > own_device_name_length_max)
    return std::nullopt;
  if (std::any_of(line.begin(), line.end(), [](char c) { return c <= ' ' || c == 127; })) return std::nullopt;
  return OwnPort{{*address, *number}, *protocol, *local, std::string(line), *finding};
}

}  // namespace

std::string_view state_word(Finding finding) {
  switch (finding) {
    case Finding::answers:
      return "open";
    case Finding::nobody_listens:
      return "closed";
    case Finding::rejected_by_device:
    case Finding::dropped_by_device:
    case Finding::no_way_back:
    case Finding::tunnel_silent:
    case Finding::tunnel_down:
    case Finding::account_suspended:
    case Finding::lease_ended:
    case Finding::lease_unknown:
    case Finding::rule_missing:
    case Finding::blocked_on_gateway:
      return "filtered";
    case Finding::silent:
    case Finding::not_answered:
      return "open|filtered";
    case Finding::not_visited:
    case Finding::gone_astray:
    case Finding::no_statement:
      break;
  }
  return "undecided";
}

std::string name_of(const OwnPort& port) { return fmt::format("{}/{}", to_string(port.public_side), to_string(port.protocol)); }

std::string service_guess(const OwnPort& port, const registry::PortRegistry& names) {
  return std::string(names.name_of(port.local, port.protocol));
}

std::vector<std::string> differences(const std::vector<OwnPort>& before, const std::vector<OwnPort>& now,
                                     const registry::PortRegistry& names) {
  std::vector<std::string> sentences;
  for (const auto& port : now) {
    if (state_word(port.finding) == "undecided") continue;
    const auto* earlier = find_in(before, port);
    const bool was_open = earlier && earlier->finding == Finding::answers;
    const bool is_open = port.finding == Finding::answers;
    if (is_open && !was_open)
      sentences.push_back(fmt::format("{} is open now; it leads to {}.", name_of(port), leads_to(port, names)));
    else if (was_open && !is_open)
      sentences.push_back(fmt::format("{} was open and is {} now ({}); it leads to {}.", name_of(port), state_word(port.finding),
                                      to_string(port.finding), leads_to(port, names)));
    else if (is_open && (earlier->local != port.local || earlier->device != port.device))
      sentences.push_back(
          fmt::format("{} leads to {} now, and led to {}.", name_of(port), leads_to(port, names), leads_to(*earlier, names)));
  }
  for (const auto& port : before)
    if (port.finding == Finding::answers && !find_in(now, port))
      sentences.push_back(fmt::format("{} was open and is not leased any more.", name_of(port)));
  return sentences;
}

std::vector<std::string> risks(const std::vector<OwnPort>& now, const registry::PortRegistry& names) {
  std::vector<std::string> sentences;
  for (const auto& port : now) {
    if (port.finding != Finding::answers) continue;
    const auto service = names.find(port.local, port.protocol);
    if (!service || !service->about || service->about->exposure != registry::Exposure::closed) continue;
    const auto& about = *service->about;
    sentences.push_back(fmt::format("{} is open and leads to {}, which should not be reached from the Internet.{}{}{}{}", name_of(port),
                                    leads_to(port, names), about.warning.empty() ? "" : " ", about.warning,
                                    about.successor.empty() ? "" : " Better: ", about.successor));
  }
  return sentences;
}

std::string to_text(const std::vector<OwnPort>& ports) {
  auto text = fmt::format("{}\n", file_head);
  for (const auto& port : ports)
    text += fmt::format("{} {}/{} {} {} {}\n", to_string(port.public_side.address), to_string(port.public_side.port),
                        to_string(port.protocol), to_string(port.local), to_string(port.finding), port.device);
  return text + fmt::format("{}\n", file_end);
}

Result<std::vector<OwnPort>> parse_own_ports(std::string_view text) {
  const auto damaged = [](std::string_view what) {
    return fail(
        invalid("own_ports_damaged", fmt::format("the view of the last time cannot be used: {}", what), "it is replaced by the next one"));
  };
  if (take_word(text, '\n') != file_head) return damaged("its first line is another one");
  std::vector<OwnPort> ports;
  while (!text.empty()) {
    const auto line = take_word(text, '\n');
    if (line == file_end) return text.empty() ? Result<std::vector<OwnPort>>(std::move(ports)) : damaged("there is more behind its end");
    auto port = parse_line(line);
    if (!port || ports.size() == own_ports_max) return damaged(port ? "it has too many lines" : "a line is damaged");
    ports.push_back(std::move(*port));
  }
  return damaged("its end is missing");
}

}  // namespace drpf::scan
