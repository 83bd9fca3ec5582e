// Carries a plan out, group of hosts by group of hosts, and writes the reports as it goes. The scanner comes in as a function: tests have
// one without a network.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/time.h"
#include "probe/banner.h"
#include "probe/scan_observer.h"
#include "probe/scanner.h"
#include "scan/tell/report.h"
#include "scan/verdict_table.h"
#include "survey/plan.h"
#include "survey/progress.h"

namespace drpf::survey {

inline constexpr std::uint64_t ports_at_once_max = 262'144;  // hosts times ports of one group: told within 200 ms after Ctrl-C
inline constexpr std::uint64_t ports_kept_max = 16'777'216;  // of a scan that can be resumed; 16 bytes each
inline constexpr std::size_t undecided_lines_max = 20;       // named at the end; the reports with every port have them all
inline constexpr std::size_t undecided_ranges_max = 5;       // of one host
inline constexpr std::size_t addresses_of_one_card_max = 3;  // more behind one hardware address: somebody answers ARP for others

using Scanner = std::function<Result<scan::Tally>(const scan::Request&, probe::ScanObserver&, const std::function<bool()>& stop)>;
// What open TCP services say about themselves, in the order of the wishes.
using BannerReader = std::function<std::vector<std::string>(const std::vector<probe::BannerWish>&, const std::function<bool()>& stop)>;

// One form of report on its way into a file.
struct Output {
  std::unique_ptr<scan::Report> report;
  std::function<Status(std::string_view text)> write;
};

struct Surroundings {
  Scanner scanner;
  BannerReader banners;  // none: not asked
  const Clock& clock;
  std::function<bool()> stop;
  std::function<std::string(std::uint16_t number, scan::Kind kind)> service_name;
  std::function<void(const ProgressState&)> progress;
  std::uint64_t ports_at_once = ports_at_once_max;
  std::function<void()> last_sockets_open = {};  // of the whole run: who may open raw sockets may give that up
};

// What a scan knows, whole: what is resumed, and what is written when it is interrupted.
struct Knowledge {
  std::uint64_t seed = 0;
  std::vector<scan::HostStatus> statuses;               // by target
  std::vector<std::string> status_reasons;              // the same
  std::vector<std::optional<probe::LinkAnswer>> links;  // the same; none: not on the own link, or not asked
  std::vector<scan::VerdictTable> verdicts;             // by pass
  explicit Knowledge(const Plan& plan);
};

struct Outcome {
  scan::ReportTail tail;
  std::optional<Error> error;  // the scan ended early by it; the reports are complete with what was found
};

// Whether all verdicts are kept until the end, as a resume file needs it.
bool keeps_everything(const Plan& plan);

Outcome run_plan(const Plan& plan, scan::ReportHead head, Knowledge& knowledge, std::vector<Output>& outputs,
                 const Surroundings& surroundings);

}  // namespace drpf::survey
