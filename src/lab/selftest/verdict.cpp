#include "lab/selftest/verdict.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

namespace drpf::lab::selftest {
namespace {

constexpr std::size_t told_max = 3;  // of many things of one kind

std::string told(const std::vector<std::string>& things) {
  const std::vector<std::string> first(things.begin(), things.begin() + static_cast<std::ptrdiff_t>(std::min(things.size(), told_max)));
  return fmt::format("{}{}", fmt::join(first, "; "),
                     things.size() > told_max ? fmt::format("; and {} more", things.size() - told_max) : std::string());
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::closed:
      return "closed";
    case Verdict::open:
      return "open";
    case Verdict::untried:
      return "could not be tried";
  }
  return "";
}

void Trial::control(bool worked, const std::string& what) {
  controlled_ = true;
  if (!worked) failed_controls_.push_back(what);
}

void Trial::breach(bool happened, const std::string& what) {
  if (happened) breaches_.push_back(what);
}

Finding Trial::end(const std::string& told_when_closed) const {
  Finding finding;
  if (!breaches_.empty()) {
    finding.verdict = Verdict::open;
    finding.detail = told(breaches_);
  } else if (!failed_controls_.empty() || !controlled_) {
    finding.verdict = Verdict::untried;
    finding.detail = controlled_ ? "the honest way did not work: " + told(failed_controls_) : "nothing was tried";
  } else {
    finding.verdict = Verdict::closed;
    finding.detail = told_when_closed;
  }
  return finding;
}

Finding not_possible(const Error& error) {
  Trial trial;
  trial.control(false, error.message);
  return trial.end({});
}

Finding merged(Finding v4, const Finding& v6) {
  const auto rank = [](Verdict verdict) { return verdict == Verdict::open ? 2 : verdict == Verdict::untried ? 1 : 0; };
  if (v4.verdict == Verdict::closed && v6.verdict == Verdict::closed) {
    v4.detail += v4.detail == v6.detail ? "; the same over IPv6" : "; over IPv6: " + v6.detail;
  } else if (rank(v6.verdict) > rank(v4.verdict)) {
    v4.verdict = v6.verdict;
    v4.detail = "over IPv6: " + v6.detail;
  } else if (v6.verdict != Verdict::closed) {
    v4.detail += "; over IPv6: " + v6.detail;
  } else {
    v4.detail = "over IPv4: " + v4.detail;
  }
  return v4;
}

bool all_closed(const std::vector<Finding>& findings) {
  return !findings.empty() &&
         std::all_of(findings.begin(), findings.end(), [](const Finding& finding) { return finding.verdict == Verdict::closed; });
}

std::string to_json(const std::vector<Finding>& findings) {
  boost::json::array threats;
  for (const Finding& finding : findings)
    threats.push_back({{"name", finding.name},
                       {"title", finding.title},
                       {"verdict", std::string(finding.verdict == Verdict::untried ? "untried" : to_string(finding.verdict))},
                       {"detail", finding.detail}});
  return boost::json::serialize(boost::json::object{{"passed", all_closed(findings)}, {"threats", threats}});
}

std::string to_text(const Finding& finding, bool colour) {
  const bool closed = finding.verdict == Verdict::closed;
  std::string mark = closed ? "✔" : "✘";
  if (colour) mark = fmt::format("\033[{}m{}\033[0m", closed ? 32 : finding.verdict == Verdict::open ? 31 : 33, mark);
  std::string verdict(to_string(finding.verdict));
  if (finding.verdict == Verdict::open) verdict = "OPEN";
  return fmt::format("{} {} ({}): {}\n    {}\n", mark, finding.title, finding.name, verdict, finding.detail);
}

}  // namespace drpf::lab::selftest
