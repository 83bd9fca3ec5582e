// Scans one host or network and prints every verdict: the engines without the command line, for tests and benches in namespaces.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "probe/scanner.h"

namespace {

using namespace drpf;

class Printer final : public probe::ScanObserver {
 public:
  explicit Printer(const scan::Request& request, bool all) : request_(request), all_(all) {}
  void on_verdict(std::size_t target, std::size_t number, const scan::Verdict& verdict) override {
    ++counts_[static_cast<std::size_t>(verdict.state)];
    if (!all_) return;
    std::printf("%s %u %s %s probes=%u ttl=%d rtt_us=%lld %s\n", to_string(request_.targets[target]).c_str(), request_.numbers[number],
                std::string(to_string(verdict.state)).c_str(), reason_text(verdict).c_str(), verdict.probes, verdict.ttl.value_or(0),
                verdict.rtt ? static_cast<long long>(verdict.rtt->count() / 1000) : -1, verdict.note.c_str());
  }
  void on_progress(const scan::Tally& tally) override {
    std::fprintf(stderr, "%llu probes, %.0f/s, %llu undecided, loss %.3f\n", static_cast<unsigned long long>(tally.probes), tally.rate,
                 static_cast<unsigned long long>(tally.undecided), tally.loss.value_or(-1));
  }
  void print_counts() const {
    for (std::size_t i = 0; i < 7; ++i)
      if (counts_[i] > 0) std::printf("%s: %llu\n", std::string(to_string(static_cast<scan::State>(i))).c_str(), counts_[i]);
  }

 private:
  const scan::Request& request_;
  bool all_;
  unsigned long long counts_[7] = {};
};

}  // namespace

// KIND TARGET FIRST-LAST [--all] [--start RATE] [--ceiling RATE]
int main(int count, char** words) {
  if (count < 4) return 2;
  scan::Request request;
  request.kind = scan::find_kind(words[1]).value_or(scan::Kind::syn);
  const auto prefix = parse_prefix(words[2]);
  if (!prefix) return 2;
  const auto addresses = std::uint64_t{1} << (prefix->address().bits() - prefix->length());
  for (std::uint64_t i = 0; i < addresses; ++i) request.targets.push_back(prefix->nth(i));
  const std::string ports = words[3];
  const auto dash = ports.find('-');
  const int first = std::atoi(ports.c_str());
  const int last = dash == std::string::npos ? first : std::atoi(ports.c_str() + dash + 1);
  for (int port = first; port <= last; ++port) request.numbers.push_back(static_cast<std::uint16_t>(port));
  bool all = false;
  for (int i = 4; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--all") all = true;
    if (word == "--start" && i + 1 < count) request.pace.start = std::atof(words[++i]);
    if (word == "--ceiling" && i + 1 < count) request.pace.ceiling = std::atof(words[++i]);
    if (word == "--probes" && i + 1 < count) request.pace.probes_max = static_cast<unsigned>(std::atoi(words[++i]));
    if (word == "--udp-fast") request.udp_fast = true;
  }
  Printer printer(request, all);
  const auto tally = probe::run_scan(request, printer, [] { return false; });
  if (!tally) {
    std::fprintf(stderr, "%s\n", tally.error().message.c_str());
    return 1;
  }
  printer.print_counts();
  std::printf(
      "probes=%llu answers=%llu strays=%llu drops=%llu send_errors=%llu decided=%llu undecided=%llu open=%llu rate=%.0f loss=%.4f (%s) "
      "miss=%.2g\n",
      static_cast<unsigned long long>(tally->probes), static_cast<unsigned long long>(tally->answers),
      static_cast<unsigned long long>(tally->strays), static_cast<unsigned long long>(tally->ring_drops),
      static_cast<unsigned long long>(tally->send_errors), static_cast<unsigned long long>(tally->decided),
      static_cast<unsigned long long>(tally->undecided), static_cast<unsigned long long>(tally->open), tally->rate,
      tally->loss.value_or(-1), tally->loss_measured_by.c_str(), tally->miss_probability);
  return 0;
}
