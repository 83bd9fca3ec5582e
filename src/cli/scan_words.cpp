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
constexpr std::array<Pair, 14> scan_letters{{{"S", "--syn"},
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
                                             {"n", "--only-discovery"},
                                             {"P", "--only-discovery"}}};

// Whole words without a value, and with the value in the next word.
constexpr std::array<Pair, 9> same_meaning{{{"-Pn", "--no-discovery"},
                                            {"-PN", "--no-discovery"},
                                            {"-P0", "--no-discovery"},
                                            {"-F", "--top=100"},
                                            {"--top-ports", "--top"},
                                            {"-iL", "--targets-file"},
                                            {"-e", "--interface"},
                                            {"--excludefile", "--exclude-file"},
                                            {"--max-retries", "--retries"}}};

// Words of other scanners whose meaning is ours, under another name.
constexpr std::array<Pair, 9> called_here{{{"--rate", "--max-rate"},
                                           {"--adapter", "--interface"},
                                           {"--adapter-ip", "--source"},
                                           {"--source-ip", "--source"},
                                           {"--banners", "--banner"},
                                           {"--open-only", "--open"},
                                           {"--includefile", "--targets-file"},
                                           {"--send-ip", "--through-own-rules"},
                                           {"--defeat-icmp-ratelimit", "--udp-fast"}}};

constexpr std::array<Pair, 5> output_letters{{{"N", "table"}, {"X", "xml"}, {"G", "grepable"}, {"J", "json"}, {"C", "csv"}}};

constexpr std::array<Pair, 24> refused{
    {{"-D", "drpf sends no decoys: they ask strangers' hosts for what you want to know"},
     {"-S", "drpf forges no sender; --source takes an address of this machine"},
     {"-A", "drpf has no scan that guesses systems and runs scripts; --banner shows what services say"},
     {"-O", "drpf does not guess operating systems"},
     {"-sC", "drpf runs no scripts"},
     {"-iR", "drpf scans no random addresses"},
     {"--min-rate", "there is no least rate: it makes answers wrong. --start-rate begins faster, --max-rate is the ceiling"},
     {"--script", "drpf runs no scripts"},
     {"--spoof-mac", "drpf forges no sender"},
     {"-g", "drpf chooses its source ports itself: they tell answers apart; --source takes an address of this machine"},
     {"--source-port", "drpf chooses its source ports itself: they tell answers apart; --source takes an address of this machine"},
     {"--host-timeout", "no host is given up by the clock; `timeout 60 drpf scan ...` ends with a report and a resume file"},
     {"--scan-delay", "--max-rate says it: 10 is one packet in 100 ms"},
     {"--max-scan-delay", "--max-rate and --start-rate bound the rate"},
     {"-f", "drpf does not send its probes in fragments"},
     {"--mtu", "drpf does not send its probes in fragments"},
     {"--data-length", "drpf sends what services answer to, and nothing else"},
     {"--data", "drpf sends what services answer to, and nothing else"},
     {"--data-string", "drpf sends what services answer to, and nothing else"},
     {"--ttl", "drpf sends ordinary packets"},
     {"--badsum", "drpf sends ordinary packets"},
     {"-b", "drpf asks through nobody's server; --idle goes through a host of yours"},
     {"--iflist", "`ip address` and `ip route` list interfaces and routes"},
     {"--exclude-ports", "-p names the ports that are asked"}}};

constexpr std::array<std::string_view, 14> without_effect{"-n",
                                                          "-R",
                                                          "-r",
                                                          "-d",
                                                          "--randomize-hosts",
                                                          "--system-dns",
                                                          "--disable-arp-ping",
                                                          "--defeat-rst-ratelimit",
                                                          "--send-eth",
                                                          "--privileged",
                                                          "--no-stylesheet",
                                                          "--webxml",
                                                          "--version-light",
                                                          "--version-all"};

// The same, with a value behind them.
constexpr std::array<std::string_view, 11> value_without_effect{"--min-hostgroup",
                                                                "--max-hostgroup",
                                                                "--min-parallelism",
                                                                "--max-parallelism",
                                                                "--min-rtt-timeout",
                                                                "--max-rtt-timeout",
                                                                "--dns-servers",
                                                                "--initial-rtt-timeout",
                                                                "--version-intensity",
                                                                "--stats-every",
                                                                "--wait"};

// -PE, -PS22,80: how others look for hosts.
bool is_ping_word(std::string_view word) {
  return word.size() >= 3 && word.starts_with("-P") && std::string_view("ESAUPMRYO").find(word[2]) != std::string_view::npos;
}

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
    if (const auto ours = find(called_here, name)) {
      out.remarks.push_back(fmt::format("{} is called {} here", name, *ours));
      out.words.push_back(std::string(*ours) + std::string(word.substr(name.size())));
    } else if (const auto same = find(same_meaning, name)) {
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
                                  "-sS -sT -sA -sW -sF -sN -sX -sM -sU -sO -sI ZOMBIE -sn -sP -sV; -sn looks which hosts are there"));
        if (*option == "--idle") {
          auto zombie = at + 1 < word.size() ? std::optional(std::string(word.substr(at + 1))) : value();
          if (!zombie) return fail(missing_value(word));
          out.words.push_back("--idle=" + *zombie);
          break;
        }
        out.words.emplace_back(*option);
      }
    } else if (is_ping_word(word)) {
      out.remarks.push_back(fmt::format(
          "{} has no effect: hosts are looked for by ARP or neighbour discovery, an echo and five TCP ports; -Pn looks for none", word));
    } else if (std::ranges::find(value_without_effect, name) != value_without_effect.end()) {
      if (name.size() == word.size() && !value()) return fail(missing_value(word));
      out.remarks.push_back(fmt::format("{} has no effect", name));
    } else if (word.starts_with("-T") && !word.starts_with("-T=")) {
      if (word.size() == 2 && !value()) return fail(missing_value(word));
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
