#include "scan/tell/resume_file.h"

#include <algorithm>
#include <charconv>
#include <concepts>
#include <limits>
#include <optional>

#include <fmt/format.h>

namespace drpf::scan {
namespace {

constexpr std::string_view magic = "drpf-scan-resume";
constexpr std::string_view none = "-";

// A word of the file: no blanks, no control characters; a percent sign and two digits stand for them.
std::string packed(std::string_view text) {
  std::string out;
  for (const auto c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '%')
      out += fmt::format("%{:02x}", byte);
    else
      out += c;
  }
  return out.empty() || out == none ? "%" + out : out;
}

std::optional<std::string> unpacked(std::string_view text, std::size_t size_max) {
  if (text == "%") return "";
  if (text == "%-") return "-";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned byte = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto* const begin = text.data() + i + 1;
    const auto [end, error] = std::from_chars(begin, begin + 2, byte, 16);
    if (error != std::errc() || end != begin + 2) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out.size() <= size_max ? std::optional(out) : std::nullopt;
}

template <std::integral Number>
std::optional<Number> number(std::string_view text, int base = 10) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<State> find_state(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(State::closed_filtered); ++i)
    if (to_string(static_cast<State>(i)) == name) return static_cast<State>(i);
  return std::nullopt;
}

std::optional<Cause> find_cause(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Cause::local_error); ++i)
    if (to_string(static_cast<Cause>(i)) == name) return static_cast<Cause>(i);
  return std::nullopt;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const auto blank = line.find(' ');
    words.push_back(line.substr(0, blank));
    if (blank == std::string_view::npos) return words;
    line.remove_prefix(blank + 1);
  }
}

std::string verdict_text(const Verdict& verdict) {
  const auto or_none = [](const auto& value) { return value ? fmt::format("{}", *value) : std::string(none); };
  std::optional<std::int64_t> rtt_us;
  if (verdict.rtt) rtt_us = std::chrono::duration_cast<std::chrono::microseconds>(*verdict.rtt).count();
  return fmt::format("{} {} {} {} {} {} {} {}", to_string(verdict.state), to_string(verdict.cause), or_none(verdict.ttl), or_none(rtt_us),
                     verdict.probes, verdict.detail, verdict.sender ? to_string(*verdict.sender) : none, packed(verdict.note));
}

// The eight words behind the place.
std::optional<Verdict> parse_verdict(const std::vector<std::string_view>& words, std::size_t at) {
  Verdict verdict;
  const auto state = find_state(words[at]);
  const auto cause = find_cause(words[at + 1]);
  const auto probes = number<std::uint16_t>(words[at + 4]);
  const auto detail = number<int>(words[at + 5]);
  const auto note = unpacked(words[at + 7], resume_note_max);
  if (!state || *state == State::undecided || !cause || !probes || !detail || !note) return std::nullopt;
  verdict.state = *state;
  verdict.cause = *cause;
  verdict.probes = *probes;
  verdict.detail = *detail;
  verdict.note = *note;
  if (words[at + 2] != none) {
    verdict.ttl = number<std::uint8_t>(words[at + 2]);
    if (!verdict.ttl) return std::nullopt;
  }
  if (words[at + 3] != none) {
    const auto us = number<std::uint32_t>(words[at + 3]);
    if (!us) return std::nullopt;
    verdict.rtt = std::chrono::microseconds(*us);
  }
  if (words[at + 6] != none) {
    const auto sender = parse_address(words[at + 6]);
    if (!sender) return std::nullopt;
    verdict.sender = *sender;
  }
  return verdict;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<ResumeFile> whole() {
    if (text_.size() > resume_file_max) return damaged(fmt::format("it is larger than {} bytes", resume_file_max));
    const auto first = words_of(line());
    if (first.size() != 2 || first[0] != magic)
      return fail(
          invalid("resume_damaged", "this is no resume file of a scan", "--resume takes the file that an interrupted scan has named"));
    const auto version = number<unsigned>(first[1]);
    if (version != resume_version)
      return fail(
          invalid("resume_damaged",
                  fmt::format("the resume file is of version {}, and version {} is known here", first[1].substr(0, 20), resume_version),
                  "scan from the beginning, or with the drpf that wrote it"));
    while (true) {
      if (rest_begin() >= text_.size()) return damaged("it has no end");
      const auto covered = text_.substr(0, rest_begin());
      const auto words = words_of(line());
      if (words[0] == "end") {
        if (words.size() != 2 || number<std::uint64_t>(words[1], 16) != hash_of(covered)) return damaged("its check sum is wrong");
        if (rest_begin() != text_.size()) return damaged("something stands behind its end");
        return std::move(file_);
      }
      if (!take(words)) return damaged(fmt::format("line {} makes no sense", line_number_));
    }
  }

 private:
  static tl::unexpected<Error> damaged(const std::string& why) {
    return fail(invalid("resume_damaged", "the resume file is damaged: " + why, "scan from the beginning"));
  }

  std::size_t rest_begin() const { return at_; }
  std::string_view line() {
    const auto end = std::min(text_.find('\n', at_), text_.size());
    const auto found = text_.substr(at_, end - at_);
    at_ = std::min(end + 1, text_.size());
    ++line_number_;
    return found;
  }

  bool take(const std::vector<std::string_view>& words) {
    const auto name = words[0];
    if (name == "seed" && words.size() == 2) return store(file_.seed, number<std::uint64_t>(words[1]));
    if (name == "word" && words.size() == 2) return take_word(words[1]);
    if (name == "targets" && words.size() == 3)
      return store(file_.targets, number<std::uint64_t>(words[1])) && store(file_.targets_hash, number<std::uint64_t>(words[2], 16));
    if (name == "pass" && words.size() == 4) return take_pass(words);
    if (name == "host" && words.size() == 4) return take_host(words);
    if (name == "v" && words.size() == 13) return take_entry(words);
    return false;
  }

  template <class Value>
  static bool store(Value& to, const std::optional<Value>& from) {
    if (from) to = *from;
    return from.has_value();
  }

  bool take_word(std::string_view text) {
    const auto word = unpacked(text, resume_word_max);
    if (!word || file_.words.size() >= resume_words_max) return false;
    file_.words.push_back(*word);
    return true;
  }

  bool take_pass(const std::vector<std::string_view>& words) {
    const auto kind = find_kind(words[1]);
    const auto count = number<std::uint64_t>(words[2]);
    const auto hash = number<std::uint64_t>(words[3], 16);
    if (!kind || !count || *count == 0 || *count > 65'536 || !hash || file_.passes.size() >= resume_passes_max) return false;
    file_.passes.push_back({*kind, *count, *hash});
    return true;
  }

  bool take_host(const std::vector<std::string_view>& words) {
    const auto target = number<std::uint64_t>(words[1]);
    const auto reason = unpacked(words[3], resume_note_max);
    if (!target || *target >= file_.targets || !reason) return false;
    for (const auto status : {HostStatus::up, HostStatus::down}) {
      if (words[2] != to_string(status)) continue;
      file_.hosts.push_back({*target, status, *reason});
      return true;
    }
    return false;
  }

  bool take_entry(const std::vector<std::string_view>& words) {
    ResumeFile::Entry entry;
    const bool numbers = store(entry.pass, number<std::uint64_t>(words[1])) && store(entry.target, number<std::uint64_t>(words[2])) &&
                         store(entry.first, number<std::uint64_t>(words[3])) && store(entry.last, number<std::uint64_t>(words[4]));
    if (!numbers || entry.pass >= file_.passes.size() || entry.target >= file_.targets || entry.first > entry.last) return false;
    if (entry.last >= file_.passes[entry.pass].count) return false;
    auto verdict = parse_verdict(words, 5);
    if (!verdict) return false;
    entry.verdict = std::move(*verdict);
    file_.entries.push_back(std::move(entry));
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_number_ = 0;
  ResumeFile file_;
};

}  // namespace

std::uint64_t hash_of(std::string_view bytes, std::uint64_t begin) {
  auto hash = begin;
  for (const auto c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

std::string resume_text(const ResumeFile& file) {
  auto text = fmt::format("{} {}\nseed {}\n", magic, resume_version, file.seed);
  for (const auto& word : file.words) text += fmt::format("word {}\n", packed(word));
  text += fmt::format("targets {} {:016x}\n", file.targets, file.targets_hash);
  for (const auto& pass : file.passes) text += fmt::format("pass {} {} {:016x}\n", to_string(pass.kind), pass.count, pass.hash);
  for (const auto& host : file.hosts) text += fmt::format("host {} {} {}\n", host.target, to_string(host.status), packed(host.reason));
  for (const auto& entry : file.entries)
    text += fmt::format("v {} {} {} {} {}\n", entry.pass, entry.target, entry.first, entry.last, verdict_text(entry.verdict));
  return text + fmt::format("end {:016x}\n", hash_of(text));
}

Result<ResumeFile> parse_resume_file(std::string_view text) { return Parser(text).whole(); }

}  // namespace drpf::scan
