// Whether this machine is kept from speaking past a tunnel, and why: found out from the kernel alone, so that it is true whether a drpf
// connect runs or not. Changes nothing.
#pragma once

#include <optional>
#include <string>

#include "core/result.h"

namespace drpf::client {

struct ClosedState {
  enum class Part : std::uint8_t { absent, stands, unknown };  // unknown: this user may not look
  std::string interface;
  Part routing = Part::absent;
  Part firewall = Part::absent;
  bool answers_only = false;   // inbound only: the machine's own traffic is free
  std::optional<int> process;  // of the drpf connect that runs; 0 where its number cannot be told
  std::string word;            // what a drpf connect last said of itself
  bool any() const { return routing == Part::stands || firewall == Part::stands; }
  bool whole() const { return any() && routing != Part::absent && firewall != Part::absent; }
};

Result<ClosedState> look_at_closed_state(const std::string& interface, const std::string& note_path);
// "home: closed. ..."; pure.
std::string closed_sentence(const ClosedState& state);

// The last word stands in a file beside the note of former settings, in one line.
std::string word_path(const std::string& note_path);
void leave_word(const std::string& path, std::string_view text);
void forget_word(const std::string& path);

}  // namespace drpf::client
