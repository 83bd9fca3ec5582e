// Between what a scan knows and the file that it can be resumed from.
#pragma once

#include <string>
#include <vector>

#include "scan/tell/resume_file.h"
#include "survey/run.h"

namespace drpf::survey {

scan::ResumeFile resume_file_of(const Plan& plan, const Knowledge& knowledge, std::vector<std::string> words);

// Refused where the file is of another scan: other targets, ports or kinds.
Result<Knowledge> knowledge_of(const scan::ResumeFile& file, const Plan& plan);

// The words without those that a resumed scan must be given anew (permissions) or has for itself (--resume).
std::vector<std::string> words_to_keep(const std::vector<std::string>& words);

// Into the file at once and whole.
Status write_resume_file(const std::string& path, const scan::ResumeFile& file);

}  // namespace drpf::survey
