// Any text as the file of an interrupted scan, as it is and with a right check sum: refused as damaged, or a value whose text says the
// same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "scan/service_guess.h"
#include "scan/tell/resume_file.h"

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

void look_at(std::string_view text) {
  using namespace drpf::scan;
  const auto file = parse_resume_file(text);
  if (!file) {
    must(file.error().code == "resume_damaged" && !file.error().message.empty());
    return;
  }
  for (const auto& entry : file->entries)
    must(entry.first <= entry.last && entry.pass < file->passes.size() && entry.last < file->passes[entry.pass].count &&
         entry.target < file->targets);
  const auto written = resume_text(*file);
  const auto again = parse_resume_file(written);
  must(again && resume_text(*again) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  look_at(text);
  look_at(text + fmt::format("end {:016x}\n", drpf::scan::hash_of(text)));
  drpf::scan::guess_service(text);
  return 0;
}
