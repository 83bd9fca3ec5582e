#include "protocol/dns/address_query.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "core/text.h"

namespace drpf::protocol::dns {
namespace {

constexpr std::uint16_t class_in = 1;
constexpr std::uint16_t flag_response = 0x8000;
constexpr std::uint16_t flag_recursion_desired = 0x0100;
constexpr std::uint16_t mask_response_code = 0x000f;
constexpr std::size_t label_max = 63;
constexpr std::size_t name_max = 253;
constexpr std::uint8_t pointer_bits = 0xc0;  // RFC 1035 section 4.1.4

std::uint16_t record_type(Family family) { return family == Family::v4 ? 1 : 28; }
std::size_t address_size(Family family) { return family == Family::v4 ? 4 : 16; }

// The question's name is never compressed: it is the first of the message.
bool read_question_name(ByteReader& reader, std::string_view expected) {
  if (expected.ends_with('.')) expected.remove_suffix(1);
  std::string name;
  while (const auto length = reader.u8()) {
    if (length > label_max) return false;
    if (!name.empty()) name += '.';
    for (const auto byte : reader.bytes(length)) name += static_cast<char>(byte);
    if (reader.failed() || name.size() > name_max) return false;
  }
  return !reader.failed() && is_same_word(name, expected);
}

// Whose record it is does not matter here: with aliases it is another name than the one asked for.
void skip_name(ByteReader& reader) {
  while (!reader.failed()) {
    const auto length = reader.u8();
    if ((length & pointer_bits) == pointer_bits) return reader.skip(1);
    if (length == 0) return;
    reader.skip(length);
  }
}

Error not_the_answer(std::string_view why) { return invalid("dns_malformed", fmt::format("not the answer to this DNS question: {}", why)); }

}  // namespace

Result<Bytes> encode_query(std::uint16_t id, std::string_view name, Family family) {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > name_max)
    return fail(invalid("dns_name", fmt::format("a name of {} characters cannot be looked up", name.size())));
  ByteWriter writer;
  writer.u16_be(id).u16_be(flag_recursion_desired).u16_be(1).u16_be(0).u16_be(0).u16_be(0);
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > label_max)
      return fail(invalid("dns_name", fmt::format("the name part '{}' cannot be looked up", label.substr(0, label_max))));
    writer.u8(static_cast<std::uint8_t>(label.size()));
    for (const char c : label) writer.u8(static_cast<std::uint8_t>(c));
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  writer.u8(0).u16_be(record_type(family)).u16_be(class_in);
  return writer.take();
}

Result<std::vector<Address>> decode_answer(ByteView message, std::uint16_t id, std::string_view name, Family family) {
  ByteReader reader(message);
  const auto answered_id = reader.u16_be();
  const auto flags = reader.u16_be();
  const auto questions = reader.u16_be();
  const auto answers = reader.u16_be();
  reader.skip(4);  // counts of the sections that are not read
  if (reader.failed()) return fail(not_the_answer("too short"));
  if (answered_id != id || (flags & flag_response) == 0 || questions != 1) return fail(not_the_answer("another message"));
  if (!read_question_name(reader, name) || reader.u16_be() != record_type(family) || reader.u16_be() != class_in || reader.failed()) {
    return fail(not_the_answer("another question"));
  }
  if ((flags & mask_response_code) != 0) {
    return fail(
        refusal("dns_refused", fmt::format("the name server answered the question for {} with code {}", name, flags & mask_response_code)));
  }
  std::vector<Address> found;
  for (unsigned i = 0; i < answers && found.size() < answer_addresses_max; ++i) {
    skip_name(reader);
    const auto type = reader.u16_be();
    const auto record_class = reader.u16_be();
    reader.skip(4);  // time to live
    const auto data = reader.bytes(reader.u16_be());
    if (reader.failed()) break;  // cut off: what came whole counts
    if (type == record_type(family) && record_class == class_in && data.size() == address_size(family))
      found.push_back(Address::from_bytes(data));
  }
  return found;
}

}  // namespace drpf::protocol::dns
