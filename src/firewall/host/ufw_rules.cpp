#include "firewall/host/ufw_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/encoding.h"
#include "core/text.h"
#include "firewall/host/service_names.h"

namespace drpf::firewall {
namespace {

constexpr std::string_view tuple_mark = "### tuple ### ";
constexpr std::size_t tuple_words_max = 16;

std::vector<std::string> words_of_tuple(std::string_view text) {
  std::vector<std::string> words;
  for (auto rest = trimmed(text); !rest.empty() && words.size() < tuple_words_max; rest = trimmed(rest)) {
    const auto end = std::min(rest.find(' '), rest.size());
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
  return words;
}

bool is_everywhere(std::string_view address) { return address == "any" || address == "0.0.0.0/0" || address == "::/0"; }

// ACTION PROTOCOL PORTS TO SOURCE_PORT FROM [PROFILE_TO PROFILE_FROM] DIRECTION[_INTERFACE] [comment=HEX]; of both families at once where
// nothing but "everywhere" tells them apart.
Result<HostRule> rule_of_tuple(std::vector<std::string> words, const ServiceNames& names) {
  const auto refused = [](std::string why) { return fail(invalid("ufw_rule", std::move(why))); };
  std::string comment;
  if (!words.empty() && words.back().starts_with("comment=")) {
    if (const auto bytes = from_hex(std::string_view(words.back()).substr(8)))
      for (const auto byte : *bytes)
        if (const auto c = static_cast<char>(byte);
            byte >= 0x20 && byte != 0x7f && c != '"' && c != '\\' && comment.size() < rule_comment_max)
          comment += c;
    words.pop_back();
  }
  if (words.size() != 7 && words.size() != 9) return refused("this is no tuple of ufw as it is known");
  auto action = words[0].substr(0, words[0].find('_'));  // allow_log: what is refused is kept in any case
  if (action.starts_with("route:")) return refused("it is about packets that are led on, not about this machine");
  if (words[4] != "any") return refused("it asks for the visitor's own port, which anybody chooses");
  const auto& way = words.back();
  const auto direction = way.substr(0, way.find('_'));
  std::vector<std::string> line{action, direction};
  if (direction != "in" && direction != "out") return refused(fmt::format("'{}' is no direction", direction));
  if (const auto underscore = way.find('_'); underscore != std::string::npos) {
    auto interface = way.substr(underscore + 1);
    if (interface.ends_with('+')) interface.back() = '*';
    line.insert(line.end(), {"on", interface});
  }
  std::string ports;
  if (words[1] != "any" && words[1] != "tcp" && words[1] != "udp")
    return refused(fmt::format("it is about {}, which has no ports", words[1]));
  if (words[2] == "any" && words[1] != "any") words[2] = "1:65535";
  for (std::string_view rest = words[2]; words[2] != "any" && !rest.empty();) {
    const auto comma = std::min(rest.find(','), rest.size());
    ports += fmt::format("{}{}{}{}", ports.empty() ? "" : ",", rest.substr(0, comma), words[1] == "any" ? "" : "/",
                         words[1] == "any" ? "" : words[1]);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  line.push_back(ports.empty() ? "any" : ports);
  if (!is_everywhere(words[5])) line.insert(line.end(), {"from", words[5]});
  if (!is_everywhere(words[3])) line.insert(line.end(), {"to", words[3]});
  if (!comment.empty()) line.insert(line.end(), {"comment", comment});
  if (line.size() == 3 && ports.empty()) line.insert(line.end(), {"from", "any"});
  return parse_host_rule(line, names);
}

}  // namespace

UfwRules read_ufw_rules(std::string_view text, const ServiceNames& names) {
  UfwRules out;
  std::size_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (!line.starts_with(tuple_mark)) continue;
    auto rule = out.rules.size() < ufw_rules_max ? rule_of_tuple(words_of_tuple(line.substr(tuple_mark.size())), names)
                                                 : fail(invalid("ufw_rule", fmt::format("more than {} rules", ufw_rules_max)));
    if (!rule) {
      if (out.not_carried_over.size() < ufw_problems_max)
        out.not_carried_over.push_back(fmt::format("line {}: {}: {}", number, line.substr(tuple_mark.size()), rule.error().message));
    } else if (std::find(out.rules.begin(), out.rules.end(), *rule) == out.rules.end()) {
      out.rules.push_back(std::move(*rule));  // user6.rules says most of user.rules once more
    }
  }
  return out;
}

}  // namespace drpf::firewall
