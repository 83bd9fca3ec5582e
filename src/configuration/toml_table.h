// Reads one table of a TOML file key by key and remembers where each stood. What is not asked for is an error. Only for
// configuration_file.cpp: it carries the parser's headers.
#pragma once

#include <stdexcept>

// toml++ 3.3 asserts what a file can break ("a = [}"). Such a file must neither end the program nor be taken for impossible by the
// optimizer, so its assertions throw, also where NDEBUG is set.
namespace drpf::configuration {
struct TomlAssertion : std::logic_error {
  using std::logic_error::logic_error;
};
[[noreturn]] inline void toml_assertion_failed(const char* condition) { throw TomlAssertion(condition); }
}  // namespace drpf::configuration
#define TOML_ASSERT(condition) ((condition) ? void() : drpf::configuration::toml_assertion_failed(#condition))
#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_FLOAT_CHARCONV 1  // the other way is a stream, which takes memory that ran out for a bad number
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/address.h"
#include "core/port.h"
#include "core/result.h"
#include "core/time.h"

namespace drpf::configuration {

// The first thing that was wrong in a file, with its place.
class FileFaults {
 public:
  explicit FileFaults(std::string_view file_name) : file_name_(file_name) {}
  void add(const toml::source_region& where, const std::string& what, std::string cure);
  const std::optional<Error>& first() const { return first_; }

 private:
  std::string file_name_;
  toml::source_position first_position_{};
  std::optional<Error> first_;
};

class TomlTable {
 public:
  // `name` as it stands in the file: "[ports]".
  TomlTable(const toml::table& table, std::string name, FileFaults& faults) : table_(table), name_(std::move(name)), faults_(faults) {}

  // Each: sets `to` if the key is there and its value possible.
  void text(std::string_view key, std::string& to);
  void boolean(std::string_view key, bool& to);
  void duration(std::string_view key, Duration& to, Duration smallest, Duration largest);
  void port(std::string_view key, Port& to);
  void range(std::string_view key, PortRange& to);
  void ranges(std::string_view key, std::vector<PortRange>& to);
  void ports(std::string_view key, std::vector<Port>& to);
  void texts(std::string_view key, std::vector<std::string>& to);
  void address(std::string_view key, Family family, std::optional<Address>& to);
  void addresses(std::string_view key, std::vector<Address>& to);
  void prefix(std::string_view key, Family family, Prefix& to);
  template <class Number>
  void number(std::string_view key, Number& to, Number smallest, Number largest) {
    std::int64_t value = 0;
    if (whole_number(key, value, smallest, largest)) to = static_cast<Number>(value);
  }

  bool has(std::string_view key) const { return table_.contains(key); }
  bool has(std::string_view section, std::string_view key) const { return static_cast<bool>(table_[section][key]); }
  bool says(std::string_view key, std::string_view word) const { return table_[key].value<std::string_view>() == word; }
  // Tells a fault at the key's value, or at the table's beginning when the key is not there.
  void fault(std::string_view key, const std::string& what, std::string cure);
  void fault(std::string_view section, std::string_view key, const std::string& what, std::string cure);
  const toml::table* table(std::string_view key);
  void each_table(std::string_view key, const std::function<void(const toml::table&)>& function);
  // After everything was asked for.
  void finish();

 private:
  const toml::node* find(std::string_view key);
  bool whole_number(std::string_view key, std::int64_t& to, std::int64_t smallest, std::int64_t largest);
  const std::string* text_of(std::string_view key, const toml::node& node);
  template <class Parse, class Value>
  void parsed(std::string_view key, const toml::node& node, Parse parse, Value& to);
  template <class Function>
  void each_item(std::string_view key, Function function);
  std::optional<PortRange> range_of(std::string_view key, const toml::node& node);
  void fault_at(const toml::node& node, std::string_view key, const std::string& what, std::string cure);

  const toml::table& table_;
  std::string name_;
  FileFaults& faults_;
  std::set<std::string, std::less<>> asked_for_;
};

// "90s", "10m", "24h", "7d".
Result<Duration> parse_duration(std::string_view text);

}  // namespace drpf::configuration
