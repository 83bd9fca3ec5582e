#include "cli/wrong_words.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "registry/spelling.h"

namespace drpf::cli {
namespace {

constexpr std::size_t mistakes_max = 2;  // letters that may be wrong in a word that is still recognised

std::vector<std::string> commands_of(const CLI::App& place) {
  std::vector<std::string> names;
  for (const auto* command : place.get_subcommands([](const CLI::App*) { return true; })) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> options_of(const CLI::App& place) {
  std::vector<std::string> names;
  for (const auto* option : place.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    for (const auto& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

// The nearest by spelling; of several words that begin alike ("lease li") the first that goes on so.
std::optional<std::string> nearest(const std::string& word, const std::vector<std::string>& known) {
  const auto begins = std::find_if(known.begin(), known.end(), [&](const auto& one) { return word.size() > 1 && one.starts_with(word); });
  if (begins != known.end()) return *begins;
  const auto distance = [&](const std::string& one) { return registry::spelling_distance(word, one, mistakes_max); };
  const auto found = std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
  if (found == known.end() || distance(*found) > std::min(mistakes_max, word.size() / 2)) return std::nullopt;
  return *found;
}

Error unknown(const std::string& place, const std::string& what, const std::string& word, const std::vector<std::string>& known) {
  const auto guess = nearest(word, known);
  return wrong_usage(fmt::format("`{}` has no {} '{}'", place, what, word),
                     guess ? fmt::format("did you mean `{} {}`? `{} --help` shows all", place, *guess, place)
                           : fmt::format("`{} --help` shows what there is", place));
}

// As far as the words name commands: where they lead, as it is written, and what is left.
struct Place {
  const CLI::App* command;
  std::string name;
  std::vector<std::string> rest;
};

Place follow(const CLI::App& root, const std::vector<std::string>& words) {
  Place place{&root, root.get_name(), {}};
  auto word = words.begin();
  for (; word != words.end(); ++word) {
    const auto commands = commands_of(*place.command);
    if (std::find(commands.begin(), commands.end(), *word) == commands.end()) break;
    place.command = place.command->get_subcommand(*word);
    place.name += " " + *word;
  }
  place.rest.assign(word, words.end());
  return place;
}

}  // namespace

std::optional<Error> wrong_word(const CLI::App& root, const std::vector<std::string>& words) {
  const auto place = follow(root, words);
  const auto commands = commands_of(*place.command);
  if (!commands.empty() && !place.rest.empty() && !place.rest.front().starts_with('-'))
    return unknown(place.name, "command", place.rest.front(), commands);
  const auto options = options_of(*place.command);
  for (const auto& word : place.rest) {
    if (word == "--") break;
    const auto name = word.substr(0, word.find('='));
    if (name.starts_with("--") && std::find(options.begin(), options.end(), name) == options.end())
      return unknown(place.name, "option", name, options);
  }
  return std::nullopt;
}

std::optional<Error> missing_command(const CLI::App& root, const std::vector<std::string>& words) {
  const auto place = follow(root, words);
  const auto commands = commands_of(*place.command);
  if (commands.empty()) return std::nullopt;
  return wrong_usage(fmt::format("`{}` needs the name of a command: {}", place.name, fmt::join(commands, ", ")),
                     fmt::format("`{} --help` explains them", place.name));
}

}  // namespace drpf::cli
