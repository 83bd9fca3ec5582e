#include "lab/demo/scan_picture.h"

#include <chrono>
#include <vector>

#include "lab/demo/limits.h"
#include "probe/scanner.h"
#include "registry/port_registry.h"
#include "scan/tell/report.h"
#include "scan/tell/report_forms.h"

namespace drpf::lab::demo {
namespace {

// The demo's own cable, with nobody else on it, and a host that answers nothing on most ports: there is nothing to be careful of.
constexpr double rate = 50'000;
constexpr unsigned probes_per_port = 2;  // as the demo's other scans

class Keeper : public probe::ScanObserver {
 public:
  explicit Keeper(std::vector<scan::PortReport>& ports) : ports_(ports) {}
  void on_verdict(std::size_t, std::size_t number, const scan::Verdict& verdict) override {
    ports_[number].verdict = verdict;
    if (verdict.note == "forced") ports_[number].verdict.note.clear();  // of two probes on a cable that loses nothing
  }
  void on_progress(const scan::Tally&) override {}

 private:
  std::vector<scan::PortReport>& ports_;
};

}  // namespace

Result<ScanPicture> picture_tcp(const Address& target) {
  scan::Request request;
  request.kind = scan::Kind::syn;
  request.targets = {target};
  request.pace = {.start = rate, .ceiling = scan::rate_ceiling, .probes_max = probes_per_port};
  scan::HostReport host;
  host.address = target;
  host.status = scan::HostStatus::up;
  auto& pass = host.passes.emplace_back();
  pass.kind = request.kind;
  const registry::PortRegistry registry;
  for (std::uint32_t number = 1; number <= 65'535; ++number) {
    const auto port = static_cast<std::uint16_t>(number);
    request.numbers.push_back(port);
    auto& report = pass.ports.emplace_back();
    report.number = port;
    report.service = registry.name_of(Port{port}, Protocol::tcp);
  }
  Keeper keeper(pass.ports);
  const auto deadline = std::chrono::steady_clock::now() + limits::scan_picture;
  const auto tally = probe::run_scan(request, keeper, [&] { return std::chrono::steady_clock::now() > deadline; });
  if (!tally) return fail(tally.error());
  if (tally->undecided > 0) return fail(failure("scan", std::to_string(tally->undecided) + " ports stayed undecided"));
  ScanPicture picture;
  picture.scan.tried = pass.ports.size();
  for (const auto& port : pass.ports) {
    if (port.verdict.state == scan::State::open) picture.scan.open.insert(port.number);
    if (port.verdict.state == scan::State::closed) picture.scan.refused.insert(port.number);
  }
  const auto report = scan::make_report(scan::Format::table, {.same_ports_max = 1});
  picture.table = report->host(host);
  return picture;
}

}  // namespace drpf::lab::demo
