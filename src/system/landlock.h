// Which files this process may still use: Landlock (landlock(7)), which holds for root too. Rules are folders and files with all below
// them; what no rule names is refused. It cannot be taken off.
#pragma once

#include <span>
#include <string>

#include "core/result.h"

namespace drpf::system {

enum class FileUse : unsigned char {
  read,     // files and lists of folders
  run,      // the same, and programs
  write,    // what is there is read and written, devices included; nothing is made or removed
  keep,     // one's own folder: all of it
  sockets,  // a folder in which sockets are made and removed
};

struct FileRule {
  std::string path;  // what is not there needs no rule
  FileUse use = FileUse::read;
};

// The version of the kernel's Landlock; 0 where it has none, or it is not switched on.
int landlock_version();

// For this thread and what it starts; needs no_new_privs. Where the kernel's version has it (6, Linux 6.12), abstract unix sockets of
// others are out of reach too, unless `abstract_sockets`. False where this kernel has no Landlock: then nothing has changed.
Result<bool> restrict_files(std::span<const FileRule> rules, bool abstract_sockets);

}  // namespace drpf::system
