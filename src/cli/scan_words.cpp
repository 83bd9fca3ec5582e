#include "cli/scan_words.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace drpf::cli {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

// Behind -s; several at once are fine: -sSU.
constexpr std::array<Pair, 13> scan_letters{{{"S", "--syn"},
                                             {"T", "--connect"},
                                             {"A", "--ack"},
                                             {"W", "--window"},
                                             {"F", "--fin"},
                                             {"N", "--null"},
                                             {"X", "--xmas"},
                                             {"M", "--maimon"},
                                             {"U", "--udp"},
                                             {"O", "--ip-protocol"},
                                             {"I", "--idle"},
                                             {"V", "--banner"},
                                             {"n", "--only-discovery"}}};

// Whole words without a value, and with the value in the next word.
constexpr std::array<Pair, 7> same_meaning{{{"-Pn", "--no-discovery"},
                                            {"-F", "--top=100"},
                                            {"--top-ports", "--top"},
                                            {"-iL", "--targets-file"},
                                            {"-e", "--interface"},
                                            {"--excludefile", "--exclude-file"},
                                            {"--max-retries", "--retries"}}};

constexpr std::array<Pair, 5> output_letters{{{"N", "table"}, {"X", "xml"}, {"G", "grepable"}, {"J", "json"}, {"C", "csv"}}};

constexpr std::array<Pair, 9> refused{
    {{"-D", "drpf sends no decoys: they ask strangers' hosts for what you want to know"},
     {"-S", "drpf forges no sender; --source takes an address of this machine"},
     {"-A", "drpf has no scan that guesses systems and runs scripts; --banner shows what services say"},
     {"-O", "drpf does not guess operating systems"},
     {"-sC", "drpf runs no scripts"},
     {"-iR", "drpf scans no random addresses"},
     {"--min-rate", "there is no least rate: it makes answers wrong. --start-rate begins faster, --max-rate is the ceiling"},
     {"--script", "drpf runs no scripts"},
     {"--spoof-mac", "drpf forges no sender"}}};

constexpr std::array<std::string_view, 4> without_effect{"-n", "-R", "-r", "-d"};

std::optional<std::string_view> find(const auto& pairs, std::string_view word) {
  for (const auto& [from, to] : pairs)
    if (from == word) return to;
  return std::nullopt;
}

Error missing_value(std::string_view word) { return wrong_usage(fmt::format("{} needs a value behind it", word), "`drpf scan --help`"); }

}  // namespace

Result<TranslatedWords> translate(const std::vector<std::string>& words) {
  TranslatedWords out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    const auto value = [&]() -> std::optional<std::string> {
      if (i + 1 >= words.size()) return std::nullopt;
      return words[++i];
    };
    if (word == "--") {
      out.words.insert(out.words.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
      break;
    }
    const auto name = word.substr(0, word.find('='));
    if (const auto why = find(refused, name)) return fail(wrong_usage(fmt::format("{} is not understood", name), std::string(*why)));
    if (const auto same = find(same_meaning, name)) {
      out.words.push_back(std::string(*same) + std::string(word.substr(name.size())));
    } else if (word.starts_with("-p") && !word.starts_with("--")) {
      // A list may be "-", or begin with it, which would be taken for an option.
      auto list = word.size() > 2 ? std::optional(std::string(word.substr(word[2] == '=' ? 3 : 2))) : value();
      if (!list) return fail(missing_value(word));
      out.words.push_back("--ports=" + *list);
    } else if (word.starts_with("-o") && word.size() >= 3 && !word.starts_with("--")) {
      const auto letter = word.substr(2, 1);
      auto file = word.size() > 3 ? std::optional(std::string(word.substr(3))) : value();
      if (!file) return fail(missing_value(word));
      if (letter == "A") {
        for (const auto& [format, ending] : {Pair{"table", "nmap"}, Pair{"xml", "xml"}, Pair{"grepable", "gnmap"}})
          out.words.push_back(fmt::format("--output={}:{}.{}", format, *file, ending));
        continue;
      }
      const auto format = find(output_letters, letter);
      if (!format)
        return fail(wrong_usage(fmt::format("{} is no form of output", word),
                                "-oN table, -oX XML, -oG grepable, -oJ JSON, -oC CSV, -oA the first three"));
      out.words.push_back(fmt::format("--output={}:{}", *format, *file));
    } else if (word.starts_with("-s") && word.size() >= 3) {
      for (std::size_t at = 2; at < word.size(); ++at) {
        const auto option = find(scan_letters, word.substr(at, 1));
        if (!option)
          return fail(wrong_usage(fmt::format("{} names no scan that drpf has", word),
                                  "-sS -sT -sA -sW -sF -sN -sX -sM -sU -sO -sI ZOMBIE -sn -sV"));
        if (*option == "--idle") {
          auto zombie = at + 1 < word.size() ? std::optional(std::string(word.substr(at + 1))) : value();
          if (!zombie) return fail(missing_value(word));
          out.words.push_back("--idle=" + *zombie);
          break;
        }
        out.words.emplace_back(*option);
      }
    } else if (word.size() == 3 && word.starts_with("-T") && word[2] >= '0' && word[2] <= '5') {
      out.remarks.push_back(fmt::format("{} has no effect: the rate is found by measuring; --max-rate and --start-rate bound it", word));
    } else if (word.starts_with("-v") && word.find_first_not_of('v', 1) == std::string_view::npos) {
      out.words.emplace_back("--verbose");
    } else if (std::find(without_effect.begin(), without_effect.end(), word) != without_effect.end()) {
      out.remarks.push_back(fmt::format("{} has no effect", word));
    } else {
      out.words.emplace_back(word);
    }
  }
  return out;
}

}  // namespace drpf::cli
