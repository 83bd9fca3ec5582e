#include "configuration/toml_table.h"

#include <fmt/format.h>

#include <charconv>

namespace drpf::configuration {
namespace {

constexpr std::size_t list_length_max = 1024;

constexpr std::int64_t in_seconds(Duration duration) { return std::chrono::duration_cast<std::chrono::seconds>(duration).count(); }

// The shortest way to write it: "24h", "90s".
std::string duration_text(Duration duration) {
  const auto seconds = in_seconds(duration);
  for (const auto& [unit, letter] : {std::pair{86400, 'd'}, std::pair{3600, 'h'}, std::pair{60, 'm'}})
    if (seconds >= unit && seconds % unit == 0) return fmt::format("{}{}", seconds / unit, letter);
  return fmt::format("{}s", seconds);
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const auto bad = [&] {
    return fail(invalid("duration_invalid", fmt::format("'{}' is not a duration", text), "write a number and a unit: 90s, 10m, 24h, 7d"));
  };
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  constexpr std::int64_t number_max = 1'000'000'000;
  if (error != std::errc{} || end + 1 != text.data() + text.size() || number < 0 || number > number_max) return bad();
  switch (*end) {
    case 's':
      return std::chrono::seconds(number);
    case 'm':
      return number > number_max / 60 ? Result<Duration>(bad()) : std::chrono::minutes(number);
    case 'h':
      return number > number_max / 3600 ? Result<Duration>(bad()) : std::chrono::hours(number);
    case 'd':
      return number > number_max / 86400 ? Result<Duration>(bad()) : std::chrono::hours(24 * number);
    default:
      return bad();
  }
}

void FileFaults::add(const toml::source_region& where, const std::string& what, std::string cure) {
  if (first_ && first_position_ <= where.begin) return;
  first_position_ = where.begin;
  first_ =
      misconfigured("config_invalid", fmt::format("{}:{}:{}: {}", file_name_, where.begin.line, where.begin.column, what), std::move(cure));
}

const toml::node* TomlTable::find(std::string_view key) {
  asked_for_.emplace(key);
  return table_.get(key);
}

void TomlTable::fault_at(const toml::node& node, std::string_view key, const std::string& what, std::string cure) {
  faults_.add(node.source(), fmt::format("{} {}: {}", name_, key, what), std::move(cure));
}

void TomlTable::fault(std::string_view key, const std::string& what, std::string cure) {
  const auto* node = table_.get(key);
  fault_at(node ? *node : static_cast<const toml::node&>(table_), key, what, std::move(cure));
}

void TomlTable::fault(std::string_view section, std::string_view key, const std::string& what, std::string cure) {
  const auto* node = table_[section][key].node();
  faults_.add((node ? *node : static_cast<const toml::node&>(table_)).source(), fmt::format("[{}] {}: {}", section, key, what),
              std::move(cure));
}

const std::string* TomlTable::text_of(std::string_view key, const toml::node& node) {
  if (const auto* text = node.as_string()) return &text->get();
  fault_at(node, key, "this must be a text", "put it into quotation marks");
  return nullptr;
}

template <class Parse, class Value>
void TomlTable::parsed(std::string_view key, const toml::node& node, Parse parse, Value& to) {
  const auto* text = text_of(key, node);
  if (!text) return;
  auto value = parse(*text);
  if (value)
    to = *value;
  else
    fault_at(node, key, value.error().message, value.error().cure);
}

template <class Function>
void TomlTable::each_item(std::string_view key, Function function) {
  const auto* node = find(key);
  if (!node) return;
  const auto* list = node->as_array();
  if (!list || list->size() > list_length_max)
    return fault_at(*node, key, fmt::format("this must be a list of at most {} values", list_length_max), "write it like [a, b]");
  for (const auto& item : *list) function(item);
}

void TomlTable::text(std::string_view key, std::string& to) {
  if (const auto* node = find(key))
    if (const auto* text = text_of(key, *node)) to = *text;
}

void TomlTable::texts(std::string_view key, std::vector<std::string>& to) {
  if (has(key)) to.clear();
  each_item(key, [&](const toml::node& item) {
    if (const auto* text = text_of(key, item)) to.push_back(*text);
  });
}

void TomlTable::boolean(std::string_view key, bool& to) {
  const auto* node = find(key);
  if (!node) return;
  if (const auto* value = node->as_boolean())
    to = value->get();
  else
    fault_at(*node, key, "this must be true or false", "write true or false, without quotation marks");
}

bool TomlTable::whole_number(std::string_view key, std::int64_t& to, std::int64_t smallest, std::int64_t largest) {
  const auto* node = find(key);
  if (!node) return false;
  const auto* value = node->as_integer();
  if (!value || value->get() < smallest || value->get() > largest) {
    fault_at(*node, key, fmt::format("this must be a whole number from {} to {}", smallest, largest),
             "write such a number, without quotation marks");
    return false;
  }
  to = value->get();
  return true;
}

void TomlTable::duration(std::string_view key, Duration& to, Duration smallest, Duration largest) {
  const auto* node = find(key);
  if (!node) return;
  Duration value{-1};
  parsed(key, *node, parse_duration, value);
  if (value < Duration::zero()) return;
  if (value < smallest || value > largest)
    return fault_at(*node, key, fmt::format("{} is out of bounds", duration_text(value)),
                    fmt::format("choose from {} to {}", duration_text(smallest), duration_text(largest)));
  to = value;
}

void TomlTable::port(std::string_view key, Port& to) {
  std::int64_t value = 0;
  if (whole_number(key, value, 1, 65535)) to = Port{static_cast<std::uint16_t>(value)};
}

// A range is a text, "20000-20004"; one port may be written as a number.
std::optional<PortRange> TomlTable::range_of(std::string_view key, const toml::node& node) {
  PortRange range{Port{}};
  if (const auto* number = node.as_integer()) {
    if (number->get() >= 1 && number->get() <= 65535) return PortRange{Port{static_cast<std::uint16_t>(number->get())}};
    fault_at(node, key, fmt::format("{} is not a port number", number->get()), "write a whole number from 1 to 65535");
    return std::nullopt;
  }
  parsed(key, node, parse_port_range, range);
  if (!range.first().is_zero()) return range;
  if (const auto text = node.value<std::string_view>(); text && parse_port_range(*text))
    fault_at(node, key, "port 0 cannot be used", "begin the range at 1 or above");
  return std::nullopt;
}

void TomlTable::range(std::string_view key, PortRange& to) {
  if (const auto* node = find(key))
    if (const auto range = range_of(key, *node)) to = *range;
}

void TomlTable::ranges(std::string_view key, std::vector<PortRange>& to) {
  if (has(key)) to.clear();
  each_item(key, [&](const toml::node& item) {
    if (const auto range = range_of(key, item)) to.push_back(*range);
  });
}

void TomlTable::ports(std::string_view key, std::vector<Port>& to) {
  std::vector<PortRange> found;
  ranges(key, found);
  if (has(key)) to.clear();
  for (const auto& range : found) {
    if (range.size() != 1) return fault(key, "this is a list of single ports, no ranges", "write it like [22, 443]");
    to.push_back(range.first());
  }
}

void TomlTable::address(std::string_view key, Family family, std::optional<Address>& to) {
  const auto* node = find(key);
  if (!node) return;
  std::optional<Address> value;
  parsed(key, *node, parse_address, value);
  if (!value) return;
  if (value->family() != family)
    return fault_at(*node, key, to_string(*value) + " is of the other address family",
                    family == Family::v4 ? "write an IPv4 address" : "write an IPv6 address");
  if (value->is_unspecified() || value->is_loopback() || value->is_multicast() || value->is_link_local())
    return fault_at(*node, key, to_string(*value) + " is no address that others can reach",
                    "write an address of this host's own interface");
  to = value;
}

void TomlTable::addresses(std::string_view key, std::vector<Address>& to) {
  if (has(key)) to.clear();
  each_item(key, [&](const toml::node& item) {
    std::optional<Address> value;
    parsed(key, item, parse_address, value);
    if (value) to.push_back(*value);
  });
}

void TomlTable::prefix(std::string_view key, Family family, Prefix& to) {
  const auto* node = find(key);
  if (!node) return;
  std::optional<Prefix> value;
  parsed(key, *node, parse_prefix, value);
  if (!value) return;
  const auto* text = node->as_string();
  if (value->family() != family)
    return fault_at(*node, key, text->get() + " is of the other address family",
                    family == Family::v4 ? "write an IPv4 prefix" : "write an IPv6 prefix");
  const auto address = parse_address(std::string_view(text->get()).substr(0, text->get().find('/')));
  if (*address != value->address())
    return fault_at(*node, key, text->get() + " has bits set behind its prefix length", "write " + to_string(*value));
  to = *value;
}

const toml::table* TomlTable::table(std::string_view key) {
  const auto* node = find(key);
  if (!node) return nullptr;
  if (const auto* inner = node->as_table()) return inner;
  fault_at(*node, key, "this must be a table", fmt::format("write [{}] on a line of its own and its keys below", key));
  return nullptr;
}

void TomlTable::each_table(std::string_view key, const std::function<void(const toml::table&)>& function) {
  const auto* node = find(key);
  if (!node) return;
  const auto* list = node->as_array();
  if (!list || !list->is_homogeneous<toml::table>() || list->size() > list_length_max)
    return fault_at(*node, key, "this must be one table or more", fmt::format("write [[{}]] on a line of its own, once for each", key));
  for (const auto& item : *list) function(*item.as_table());
}

void TomlTable::finish() {
  std::string known;
  for (const auto& key : asked_for_) known += (known.empty() ? "" : ", ") + key;
  for (const auto& [key, node] : table_)
    if (!asked_for_.contains(key.str()))
      faults_.add(key.source(), fmt::format("unknown key '{}' in {}", key.str(), name_), "these are known there: " + known);
}

}  // namespace drpf::configuration
