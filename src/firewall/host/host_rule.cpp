#include "firewall/host/host_rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/interface_name.h"
#include "core/text.h"
#include "firewall/host/service_names.h"

namespace drpf::firewall {
namespace {

constexpr const char* rule_example = "write it like: allow ssh,80/tcp from 192.168.0.0/16";

tl::unexpected<Error> bad_rule(std::string message, std::string cure = rule_example) {
  return fail(invalid("firewall_rule", std::move(message), std::move(cure)));
}

std::optional<Treatment> find_treatment(std::string_view word) {
  for (const auto one : {Treatment::allow, Treatment::deny, Treatment::reject, Treatment::limit})
    if (is_same_word(word, to_string(one))) return one;
  return std::nullopt;
}

std::vector<std::string_view> parts_of_list(std::string_view list) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto comma = list.find(',');
    parts.push_back(trimmed(list.substr(0, comma)));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

class RuleReader {
 public:
  RuleReader(std::span<const std::string> words, const ServiceNames& names) : words_(words), names_(names) {}

  Result<HostRule> read() {
    if (words_.size() > rule_words_max) return bad_rule(fmt::format("a rule of more than {} words", rule_words_max));
    const auto treatment = find_treatment(peek());
    if (!treatment) return bad_rule(fmt::format("a rule begins with allow, deny, reject or limit, not with '{}'", peek()));
    rule_.treatment = *treatment;
    ++next_;
    if (take("in"))
      rule_.direction = Direction::in;
    else if (take("out"))
      rule_.direction = Direction::out;
    while (!at_end())
      if (const auto read = clause(); !read) return fail(read.error());
    return finish();
  }

 private:
  bool at_end() const { return next_ >= words_.size(); }
  std::string_view peek() const { return at_end() ? std::string_view() : std::string_view(words_[next_]); }
  bool take(std::string_view word) {
    if (at_end() || !is_same_word(peek(), word)) return false;
    ++next_;
    return true;
  }

  Status once(bool& seen, std::string_view what) {
    if (seen) return bad_rule(fmt::format("'{}' stands twice in the rule", what));
    seen = true;
    return {};
  }

  Status clause() {
    if (take("on")) return interface();
    if (take("from")) return prefixes("from", seen_from_, rule_.from);
    if (take("to")) return prefixes("to", seen_to_, rule_.to);
    if (take("comment")) return comment();
    return services();
  }

  Status interface() {
    if (auto first = once(seen_interface_, "on"); !first) return first;
    const auto name = peek();
    const auto stem = name.ends_with('*') ? name.substr(0, name.size() - 1) : name;
    if (!is_interface_name(stem) || name.size() > interface_name_max)
      return bad_rule(fmt::format("'{}' is no name of an interface", name), "see them: ip link");
    rule_.interface = name;
    ++next_;
    return {};
  }

  // "10.0.0.0/8,192.168.1.7"; "any" is no limit.
  Status prefixes(std::string_view what, bool& seen, std::vector<Prefix>& out) {
    if (auto first = once(seen, what); !first) return first;
    if (at_end()) return bad_rule(fmt::format("'{}' without an address", what));
    const auto list = words_[next_++];
    if (is_same_word(list, "any")) return {};
    for (const auto part : parts_of_list(list)) {
      const auto prefix = parse_prefix(part);
      if (!prefix)
        return bad_rule(fmt::format("{} '{}': {}", what, part, prefix.error().message),
                        "write a network like 192.168.0.0/16, fd00::/8 or one address");
      if (out.size() == rule_prefixes_max) return bad_rule(fmt::format("more than {} networks in one rule", rule_prefixes_max));
      out.push_back(*prefix);
    }
    return {};
  }

  Status comment() {
    for (; !at_end(); ++next_) rule_.comment += (rule_.comment.empty() ? "" : " ") + words_[next_];
    const auto plain = [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
    if (rule_.comment.size() > rule_comment_max) return bad_rule(fmt::format("a comment of more than {} bytes", rule_comment_max));
    if (!std::all_of(rule_.comment.begin(), rule_.comment.end(), plain))
      return bad_rule("a comment has no quotes and no control characters");
    return {};
  }

  Status services() {
    if (auto first = once(seen_services_, peek()); !first) return bad_rule(fmt::format("'{}' is not understood here", peek()));
    const auto list = words_[next_++];
    if (is_same_word(list, "any")) return {};
    for (const auto part : parts_of_list(list)) {
      if (is_same_word(part, "leased")) {
        rule_.leased = true;
        continue;
      }
      if (rule_.services.size() == rule_services_max) return bad_rule(fmt::format("more than {} services in one rule", rule_services_max));
      const auto ports = names_.ports_of(part);
      if (!ports) return fail(ports.error());
      rule_.services.emplace_back(part);
      rule_.ports.insert(rule_.ports.end(), ports->begin(), ports->end());
    }
    rule_.ports = merged(std::move(rule_.ports));
    return {};
  }

  Result<HostRule> finish() {
    if (!seen_services_ && !seen_interface_ && !seen_from_ && !seen_to_)
      return bad_rule(fmt::format("{} what? The rule names no service, port, network or interface", to_string(rule_.treatment)));
    if (rule_.treatment == Treatment::limit && (rule_.direction == Direction::out || !rule_.has_ports()))
      return bad_rule("limit counts who comes in to a port", "write it like: limit ssh");
    if (rule_.leased && rule_.direction == Direction::out)
      return bad_rule("leased ports are for what comes in", "write it like: allow in leased");
    const auto has = [](const std::vector<Prefix>& prefixes, Family family) {
      return prefixes.empty() || std::any_of(prefixes.begin(), prefixes.end(), [&](const Prefix& one) { return one.family() == family; });
    };
    if (!(has(rule_.from, Family::v4) && has(rule_.to, Family::v4)) && !(has(rule_.from, Family::v6) && has(rule_.to, Family::v6)))
      return bad_rule("no packet goes from an IPv4 address to an IPv6 address, or the other way", "give both networks of one family");
    return std::move(rule_);
  }

  std::span<const std::string> words_;
  const ServiceNames& names_;
  std::size_t next_ = 0;
  HostRule rule_;
  bool seen_interface_ = false;
  bool seen_from_ = false;
  bool seen_to_ = false;
  bool seen_services_ = false;
};

template <class List>
std::string comma_list(const List& list) {
  std::string text;
  for (const auto& one : list) {
    if (!text.empty()) text += ',';
    if constexpr (std::is_same_v<typename List::value_type, std::string>)
      text += one;
    else
      text += to_string(one);
  }
  return text;
}

}  // namespace

std::string_view to_string(Treatment treatment) {
  switch (treatment) {
    case Treatment::allow:
      return "allow";
    case Treatment::deny:
      return "deny";
    case Treatment::reject:
      return "reject";
    case Treatment::limit:
      break;
  }
  return "limit";
}

std::string_view to_string(Direction direction) { return direction == Direction::in ? "in" : "out"; }

Result<HostRule> parse_host_rule(std::span<const std::string> words, const ServiceNames& names) { return RuleReader(words, names).read(); }

Result<HostRule> parse_host_rule(std::string_view line, const ServiceNames& names) {
  std::vector<std::string> words;
  for (std::string_view rest = trimmed(line); !rest.empty(); rest = trimmed(rest)) {
    const bool quoted = rest.front() == '"';
    if (quoted) rest.remove_prefix(1);
    const auto end = quoted ? rest.find('"') : std::min(rest.find_first_of(" \t"), rest.size());
    if (end == std::string_view::npos) return bad_rule("a quote is not closed");
    if (words.size() > rule_words_max) return bad_rule(fmt::format("a rule of more than {} words", rule_words_max));
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return parse_host_rule(words, names);
}

std::string to_string(const HostRule& rule) {
  std::string text = fmt::format("{} {}", to_string(rule.treatment), to_string(rule.direction));
  if (!rule.interface.empty()) text += " on " + rule.interface;
  auto services = rule.services;
  if (rule.leased) services.emplace_back("leased");
  text += " " + (services.empty() ? "any" : comma_list(services));
  if (!rule.from.empty()) text += " from " + comma_list(rule.from);
  if (!rule.to.empty()) text += " to " + comma_list(rule.to);
  if (!rule.comment.empty()) text += fmt::format(" comment \"{}\"", rule.comment);
  return text;
}

}  // namespace drpf::firewall
