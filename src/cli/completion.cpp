// `drpf completion`: scripts that complete the command line, made by walking its tree, so that they cannot be behind it.
#include <fmt/format.h>

#include "cli/command_line.h"
#include "terminal/terminal.h"

namespace drpf::cli {
namespace {

struct CompletionOptions {
  std::string shell;
};

// "account add" -> "--plan --json ..." or the subcommands; for every place in the tree.
void collect(const CLI::App& command, const std::string& path, std::vector<std::pair<std::string, std::string>>& to) {
  std::string words;
  for (const auto* below : command.get_subcommands([](const CLI::App*) { return true; })) words += below->get_name() + " ";
  for (const auto* option : command.get_options())
    for (const auto& name : option->get_lnames()) words += "--" + name + " ";
  if (!words.empty()) words.pop_back();
  to.emplace_back(path, words);
  for (const auto* below : command.get_subcommands([](const CLI::App*) { return true; }))
    collect(*below, path.empty() ? below->get_name() : path + " " + below->get_name(), to);
}

std::string bash_script(const std::vector<std::pair<std::string, std::string>>& places) {
  std::string out =
      "_drpf() {\n"
      "  local word path=\"\"\n"
      "  COMPREPLY=()\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \"$path $word\" in\n";
  for (const auto& [path, words] : places) {
    if (path.empty()) continue;
    const auto last = path.rfind(' ');
    const auto parent = last == std::string::npos ? std::string() : path.substr(0, last);
    out += fmt::format("      \"{} {}\") path=\"{}\" ;;\n", parent, path.substr(last == std::string::npos ? 0 : last + 1), path);
  }
  out += "    esac\n  done\n  case \"$path\" in\n";
  for (const auto& [path, words] : places) out += fmt::format("    \"{}\") COMPREPLY=($(compgen -W \"{}\" -- \"$2\")) ;;\n", path, words);
  return out +
         "  esac\n"
         "  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- \"$2\"))\n"
         "}\n"
         "complete -o filenames -F _drpf drpf\n";
}

std::string fish_script(const std::vector<std::pair<std::string, std::string>>& places) {
  std::string out =
      "function __drpf_at\n  set -l path (commandline -opc | string match -rv '^-')[2..]\n  test \"$path[1..2]\" = \"$argv\"\nend\n";
  for (const auto& [path, words] : places) out += fmt::format("complete -c drpf -f -n '__drpf_at {}' -a '{}'\n", path, words);
  return out;
}

}  // namespace

void add_completion_command(CLI::App& root, CommandLine& line) {
  add_command<CompletionOptions>(
      root, line, "completion", "Print a script that completes drpf's command line in a shell",
      "drpf completion bash > /etc/bash_completion.d/drpf",
      [](CLI::App& command, CompletionOptions& options) {
        command.add_option("shell", options.shell, "The shell")
            ->required()
            ->type_name("bash|zsh|fish")
            ->check(CLI::IsMember({"bash", "zsh", "fish"}));
      },
      [&root](const CompletionOptions& options) -> int {
        std::vector<std::pair<std::string, std::string>> places;
        collect(root, "", places);
        if (options.shell == "fish") return terminal::print(fish_script(places));
        return terminal::print((options.shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "") + bash_script(places));
      });
}

}  // namespace drpf::cli
