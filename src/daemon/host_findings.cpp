#include "daemon/host_findings.h"

#include <fmt/format.h>
#include <spdlog/logger.h>

namespace drpf::daemon {

std::vector<api::Finding> HostFindings::look() {
  auto findings = check_();
  std::set<std::string> problems;
  std::string first;
  for (const auto& finding : findings) {
    if (finding.level != api::Finding::Level::problem) continue;
    auto problem = finding.subject + ": " + finding.message;
    if (!known_.contains(problem)) log_->error("{}; cure: {}", problem, finding.cure);
    if (first.empty()) first = problem;
    problems.insert(std::move(problem));
  }
  if (problems.empty() && !known_.empty()) log_->info("this host has none of the problems any more that were named");
  if (problems.empty())
    gateway_.set_condition("host", std::nullopt);
  else
    gateway_.set_condition("host", first + (problems.size() == 1 ? std::string() : fmt::format(" (and {} more)", problems.size() - 1)) +
                                       "; `drpf check` has the cure");
  known_ = std::move(problems);
  return findings;
}

}  // namespace drpf::daemon
