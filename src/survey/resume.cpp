#include "survey/resume.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "scan/port_list.h"
#include "system/whole_file.h"

namespace drpf::survey {
namespace {

std::uint64_t targets_hash(const Plan& plan) {
  auto hash = scan::hash_of("targets");
  for (const auto& range : plan.admitted.addresses().ranges()) hash = scan::hash_of(to_string(range) + ",", hash);
  if (plan.zombie) hash = scan::hash_of("zombie " + to_string(*plan.zombie), hash);
  return hash;
}

std::vector<scan::ResumeFile::Pass> passes_of(const Plan& plan) {
  std::vector<scan::ResumeFile::Pass> passes;
  for (const auto& pass : plan.passes) passes.push_back({pass.kind, pass.numbers.size(), scan::hash_of(scan::as_ranges(pass.numbers))});
  return passes;
}

bool same(const scan::Verdict& a, const scan::Verdict& b) {
  return a.state == b.state && a.cause == b.cause && a.sender == b.sender && a.ttl == b.ttl && a.rtt == b.rtt && a.probes == b.probes &&
         a.detail == b.detail && a.note == b.note;
}

Error differs(std::string_view what) {
  return refusal("resume_differs", fmt::format("the resume file is of a scan with other {}", what),
                 "give the options of that scan, or none: `drpf scan --resume FILE` takes them from the file");
}

}  // namespace

scan::ResumeFile resume_file_of(const Plan& plan, const Knowledge& knowledge, std::vector<std::string> words) {
  scan::ResumeFile file;
  file.seed = knowledge.seed;
  file.words = std::move(words);
  file.targets = plan.targets.size();
  file.targets_hash = targets_hash(plan);
  file.passes = passes_of(plan);
  for (std::size_t target = 0; target < plan.targets.size(); ++target)
    if (knowledge.statuses[target] != scan::HostStatus::unknown)
      file.hosts.push_back({target, knowledge.statuses[target], knowledge.status_reasons[target]});
  for (std::size_t pass = 0; pass < plan.passes.size(); ++pass) {
    const auto& table = knowledge.verdicts[pass];
    for (std::size_t target = 0; target < table.targets(); ++target) {
      if (!table.begun(target)) continue;
      bool joins = false;  // the port before is in the last entry
      for (std::size_t number = 0; number < table.numbers(); ++number) {
        auto verdict = table.at(target, number);
        if (verdict.state == scan::State::undecided) {
          joins = false;
        } else if (joins && same(file.entries.back().verdict, verdict)) {
          file.entries.back().last = number;
        } else {
          file.entries.push_back({pass, target, number, number, std::move(verdict)});
          joins = true;
        }
      }
    }
  }
  return file;
}

Result<Knowledge> knowledge_of(const scan::ResumeFile& file, const Plan& plan) {
  if (file.targets != plan.targets.size() || file.targets_hash != targets_hash(plan)) return fail(differs("targets"));
  if (file.passes != passes_of(plan)) {
    const auto kinds = [](const auto& passes) {
      std::vector<scan::Kind> all;
      for (const auto& pass : passes) all.push_back(pass.kind);
      return all;
    };
    return fail(differs(kinds(file.passes) == kinds(plan.passes) ? "ports" : "kinds of scan"));
  }
  Knowledge knowledge(plan);
  knowledge.seed = file.seed;
  for (const auto& host : file.hosts) {
    knowledge.statuses[host.target] = host.status;
    knowledge.status_reasons[host.target] = host.reason;
  }
  for (const auto& entry : file.entries)
    for (auto number = entry.first; number <= entry.last; ++number) knowledge.verdicts[entry.pass].set(entry.target, number, entry.verdict);
  return knowledge;
}

std::vector<std::string> words_to_keep(const std::vector<std::string>& words) {
  std::vector<std::string> kept;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto name = std::string_view(words[i]).substr(0, words[i].find('='));
    if (name == "--i-own-these" || name == "--more-than-65536") continue;
    if (name == "--resume" || name == "--resume-file") {
      if (words[i].find('=') == std::string::npos) ++i;  // its value
      continue;
    }
    kept.push_back(words[i]);
  }
  return kept;
}

Status write_resume_file(const std::string& path, const scan::ResumeFile& file) {
  // Private: it tells what is open.
  const auto written = system::replace_file(path, resume_text(file), system::private_file_mode);
  if (written) return {};
  return fail(failure("output_failed", fmt::format("cannot write the resume file: {}", written.error().message),
                      "name another place: --resume-file FILE"));
}

}  // namespace drpf::survey
