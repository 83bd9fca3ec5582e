#include "protocol/http/chunk_decoder.h"

#include <fmt/format.h>

#include <algorithm>

namespace drpf::protocol::http {
namespace {

constexpr std::size_t size_digits_max = 15;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string chunk_size_line(std::size_t size) { return fmt::format("{:x}\r\n", size); }

void ChunkDecoder::fail(std::string_view why) {
  place_ = Place::failed;
  why_ = why;
}

// `line_` without its CR LF.
void ChunkDecoder::read_size_line() {
  std::size_t digits = 0;
  left_ = 0;
  for (; digits < line_.size() && hex_digit(line_[digits]) >= 0; ++digits) {
    if (digits == size_digits_max) return fail("a chunk is larger than can be");
    left_ = left_ * 16 + static_cast<std::uint64_t>(hex_digit(line_[digits]));
  }
  if (digits == 0) return fail("a chunk has no size");
  if (digits < line_.size() && line_[digits] != ';') return fail("there is something behind the size of a chunk");
  const bool plain = std::all_of(line_.begin(), line_.end(), [](char c) { return c == '\t' || (c >= ' ' && c != 0x7f); });
  if (!plain) return fail("the extension of a chunk has a control character");
  place_ = left_ > 0 ? Place::payload : Place::trailers;
}

void ChunkDecoder::read_trailer_line() {
  if (!line_.empty()) {
    trailer_lines_ += line_ + "\r\n";
    if (trailer_lines_.size() > trailer_bytes_max) fail("the trailers are longer than 8 KiB");
    return;
  }
  auto fields = parse_fields(trailer_lines_);
  if (!fields) return fail(fields.error().why);
  trailers_ = std::move(*fields);
  trailer_lines_ = {};
  place_ = Place::done;
}

ChunkDecoder::Step ChunkDecoder::step(std::string_view bytes) {
  if (bytes.empty() || done() || failed()) return {};
  if (place_ == Place::payload) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
    left_ -= size;
    if (left_ == 0) place_ = Place::payload_end;
    return {size, bytes.substr(0, size)};
  }
  const auto end = bytes.find('\n');
  const auto consumed = end == std::string_view::npos ? bytes.size() : end + 1;
  const auto limit = place_ == Place::trailers ? trailer_bytes_max : size_line_bytes_max;
  if (line_.size() + consumed > limit) {
    fail("a line between chunks is too long");
    return {consumed, {}};
  }
  line_ += bytes.substr(0, consumed);
  if (end == std::string_view::npos) {
    // Where only CR LF can come, nothing else is waited for.
    if (place_ == Place::payload_end && line_ != "\r") fail("a chunk is longer than its size");
    return {consumed, {}};
  }
  if (!line_.ends_with("\r\n") || line_.find('\r') != line_.size() - 2) {
    fail("a line between chunks ends without CR LF");
    return {consumed, {}};
  }
  line_.resize(line_.size() - 2);
  if (place_ == Place::size_line) {
    read_size_line();
  } else if (place_ == Place::trailers) {
    read_trailer_line();
  } else if (line_.empty()) {
    place_ = Place::size_line;
  } else {
    fail("a chunk is longer than its size");
  }
  line_.clear();
  return {consumed, {}};
}

}  // namespace drpf::protocol::http
