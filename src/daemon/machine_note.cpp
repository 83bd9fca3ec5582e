#include "daemon/machine_note.h"

#include <array>
#include <fstream>

#include "core/encoding.h"
#include "crypto/wireguard_primitives.h"
#include "system/whole_file.h"

namespace drpf::daemon {
namespace {

constexpr std::array<std::uint8_t, 7> mark_label{'m', 'a', 'c', 'h', 'i', 'n', 'e'};
constexpr std::size_t number_digits = 32;  // machine-id(5)
constexpr mode_t note_mode = 0600;

std::string first_word(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file.width(2 * number_digits + 1);
  file >> word;
  return word;
}

}  // namespace

std::optional<std::string> machine_mark(const std::string& id_file) {
  const auto number = from_hex(first_word(id_file));
  if (!number || number->size() != number_digits / 2) return std::nullopt;
  const std::array<ByteView, 2> digested{ByteView(mark_label), ByteView(*number)};
  return to_hex(crypto::blake2s_256(digested));
}

Result<bool> was_elsewhere(const std::string& state_directory, const std::string& mark) {
  const auto path = state_directory + "/machine";
  const auto before = first_word(path);
  if (before == mark) return false;
  if (auto written = system::replace_file(path, mark + "\n", note_mode); !written) return fail(written.error());
  return !before.empty();
}

}  // namespace drpf::daemon
