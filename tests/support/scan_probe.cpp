// A scan without the command line, for tests in network namespaces: `scan_probe KIND ADDRESS,... PORT,PORT-PORT... [ceiling]` prints JSON.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "probe/scanner.h"

namespace {

using namespace drpf;

volatile std::sig_atomic_t interrupted = 0;

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text)
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  return parts;
}

class Collector : public probe::ScanObserver {
 public:
  void on_verdict(std::size_t target, std::size_t number, const scan::Verdict& verdict) override {
    verdicts[target][number].push_back(verdict);
  }
  void on_progress(const scan::Tally&) override {}
  std::map<std::size_t, std::map<std::size_t, std::vector<scan::Verdict>>> verdicts;
};

void print(const scan::Request& request, const Collector& collector) {
  fmt::print("{{\"hosts\": [");
  for (std::size_t target = 0; target < request.targets.size(); ++target) {
    fmt::print("{}{{\"address\": \"{}\", \"ports\": [", target > 0 ? ", " : "", to_string(request.targets[target]));
    for (std::size_t number = 0; number < request.numbers.size(); ++number) {
      const auto& verdicts = collector.verdicts.at(target).at(number);
      if (verdicts.size() != 1) std::abort();  // exactly one verdict for each
      const auto& verdict = verdicts.front();
      fmt::print(
          "{}{{\"port\": {}, \"state\": \"{}\", \"reason\": \"{}\", \"sender\": \"{}\", \"probes\": {}, \"rtt_ms\": {}, \"note\": \"{}\"}}",
          number > 0 ? ", " : "", request.numbers[number], to_string(verdict.state), scan::reason_text(verdict),
          verdict.sender ? to_string(*verdict.sender) : "", verdict.probes,
          verdict.rtt ? std::chrono::duration<double, std::milli>(*verdict.rtt).count() : -1, verdict.note);
    }
    fmt::print("]}}");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  scan::Request request;
  const auto kind = scan::find_kind(argv[1]);
  if (!kind) return 2;
  request.kind = *kind;
  for (const auto& text : split(argv[2], ',')) request.targets.push_back(parse_address(text).value());
  for (const auto& text : split(argv[3], ',')) {
    const auto ends = split(text, '-');
    for (int port = std::stoi(ends.front()); port <= std::stoi(ends.back()); ++port)
      request.numbers.push_back(static_cast<std::uint16_t>(port));
  }
  if (argc > 4) request.pace.ceiling = std::stod(argv[4]);
  std::signal(SIGINT, [](int) { interrupted = 1; });

  Collector collector;
  const auto tally = probe::run_scan(request, collector, [] { return interrupted != 0; });
  if (!tally) {
    fmt::print(stderr, "{}; {}\n", tally.error().message, tally.error().cure);
    return 1;
  }
  print(request, collector);
  fmt::print(
      "], \"probes\": {}, \"answers\": {}, \"decided\": {}, \"undecided\": {}, \"open\": {}, \"send_errors\": {}, \"loss\": {:.3f}, "
      "\"miss\": {}, "
      "\"interrupted\": {}}}\n",
      tally->probes, tally->answers, tally->decided, tally->undecided, tally->open, tally->send_errors, tally->loss.value_or(-1),
      tally->miss_probability, tally->interrupted);
  return 0;
}
