#include "daemon/lease_audit.h"

#include <spdlog/logger.h>

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "system/whole_file.h"

namespace drpf::daemon {

namespace {

constexpr std::size_t file_size_max = 16 * 1024 * 1024;

}  // namespace

LeaseAudit::LeaseAudit(Parts parts) : parts_(std::move(parts)) {
  std::ifstream file(parts_.state_directory + "/" + file_name);
  if (!file) return;  // the first time
  std::string text;
  for (std::istreambuf_iterator<char> it(file), end; it != end && text.size() < file_size_max; ++it) text += *it;
  auto last = scan::parse_own_ports(text);
  if (!last) {
    parts_.log->warn("audit: {}", last.error().message);
    return;
  }
  last_ = std::move(*last);
  has_last_ = true;
}

void LeaseAudit::begin() {
  if (running_) return;
  waiting_.clear();
  found_.clear();
  std::size_t left_out = 0;
  for (const auto* lease : parts_.service.book().leases()) {
    if (lease->state != lease::LeaseState::active) continue;
    if (waiting_.size() < leases_max)
      waiting_.push_back(lease->on);
    else
      ++left_out;
  }
  if (left_out > 0) parts_.log->warn("audit: {} leases are left out; a view has {} at most", left_out, leases_max);
  running_ = true;
  next();
}

void LeaseAudit::next() {
  if (waiting_.empty()) return finish();
  api::LeaseTest test;
  test.on = waiting_.front();
  waiting_.pop_front();
  parts_.service.test_lease(test, [this, alive = std::weak_ptr<bool>(alive_)](Result<std::vector<api::TestedLease>> tested) {
    if (alive.expired()) return;
    if (tested)
      for (const auto& one : *tested)
        if (one.evidence.holder)
          found_.push_back({one.evidence.public_side, one.evidence.protocol, one.evidence.holder->at.port, one.evidence.holder->device,
                            one.diagnosis.finding});
    // The answer may come within the call: thousands of leases are not to be thousands of calls deep.
    parts_.loop.post([this, alive] {
      if (!alive.expired()) next();
    });
  });
}

void LeaseAudit::finish() {
  running_ = false;
  std::size_t open = 0;
  for (const auto& one : found_) open += one.finding == scan::Finding::answers ? 1 : 0;
  parts_.log->info("audit: {} public addresses of leases looked at from outside, {} open", found_.size(), open);
  if (has_last_) tell("changed", scan::differences(last_, found_, names_), false);
  auto risks = scan::risks(found_, names_);
  // Once in the log; drpf status says it as long as it holds.
  std::vector<std::string> new_risks;
  for (const auto& risk : risks)
    if (std::find(risks_.begin(), risks_.end(), risk) == risks_.end()) new_risks.push_back(risk);
  tell("risk", new_risks, true);
  parts_.warn(risks.empty()
                  ? std::nullopt
                  : std::optional(fmt::format("{}{}", risks.front(),
                                              risks.size() > 1 ? fmt::format(" And {} more: drpf scan --mine.", risks.size() - 1) : "")));
  risks_ = std::move(risks);
  last_ = std::move(found_);
  found_.clear();
  has_last_ = true;
  if (!system::replace_file(parts_.state_directory + "/" + file_name, scan::to_text(last_), system::private_file_mode))
    parts_.log->warn("audit: what was found cannot be written to {}; after a restart nothing is compared", parts_.state_directory);
}

void LeaseAudit::tell(const char* what, const std::vector<std::string>& sentences, bool warning) {
  for (std::size_t i = 0; i < sentences.size() && i < told_max; ++i)
    parts_.log->log(warning ? spdlog::level::warn : spdlog::level::info, "audit: {}: {}", what, sentences[i]);
  if (sentences.size() > told_max) parts_.log->info("audit: {}: and {} more", what, sentences.size() - told_max);
}

}  // namespace drpf::daemon
