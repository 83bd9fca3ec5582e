// The one reader and the one writer for wire formats. Every access is checked against the buffer's end.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace drpf {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

// Reads past the end give zeros and set failed(); check it once after a run of reads.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : bytes_(bytes) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(big_endian(1)); }
  std::uint16_t u16_be() { return static_cast<std::uint16_t>(big_endian(2)); }
  std::uint32_t u32_be() { return static_cast<std::uint32_t>(big_endian(4)); }
  std::uint64_t u64_be() { return big_endian(8); }
  std::uint16_t u16_le() { return static_cast<std::uint16_t>(little_endian(2)); }
  std::uint32_t u32_le() { return static_cast<std::uint32_t>(little_endian(4)); }
  std::uint64_t u64_le() { return little_endian(8); }

  // The next n bytes; empty and failed() when there are fewer.
  ByteView bytes(std::size_t n) {
    if (n > remaining()) {
      failed_ = true;
      position_ = bytes_.size();
      return {};
    }
    const auto view = bytes_.subspan(position_, n);
    position_ += n;
    return view;
  }
  template <std::size_t N>
  std::array<std::uint8_t, N> array() {
    std::array<std::uint8_t, N> out{};
    const auto view = bytes(N);
    std::copy(view.begin(), view.end(), out.begin());
    return out;
  }
  ByteView rest() { return bytes(remaining()); }
  void skip(std::size_t n) { bytes(n); }

  std::size_t position() const { return position_; }
  std::size_t remaining() const { return bytes_.size() - position_; }
  bool at_end() const { return remaining() == 0; }
  bool failed() const { return failed_; }

 private:
  std::uint64_t big_endian(std::size_t n) {
    std::uint64_t value = 0;
    for (const auto byte : bytes(n)) value = value << 8 | byte;
    return value;
  }
  std::uint64_t little_endian(std::size_t n) {
    std::uint64_t value = 0;
    unsigned shift = 0;
    for (const auto byte : bytes(n)) {
      value |= std::uint64_t{byte} << shift;
      shift += 8;
    }
    return value;
  }

  ByteView bytes_;
  std::size_t position_ = 0;
  bool failed_ = false;
};

// Appends to a buffer that it grows itself.
class ByteWriter {
 public:
  ByteWriter& u8(std::uint8_t value) { return big_endian(value, 1); }
  ByteWriter& u16_be(std::uint16_t value) { return big_endian(value, 2); }
  ByteWriter& u32_be(std::uint32_t value) { return big_endian(value, 4); }
  ByteWriter& u64_be(std::uint64_t value) { return big_endian(value, 8); }
  ByteWriter& u32_le(std::uint32_t value) { return little_endian(value, 4); }
  ByteWriter& u64_le(std::uint64_t value) { return little_endian(value, 8); }
  ByteWriter& bytes(ByteView view) {
    buffer_.insert(buffer_.end(), view.begin(), view.end());
    return *this;
  }
  ByteWriter& zeros(std::size_t n) {
    buffer_.insert(buffer_.end(), n, 0);
    return *this;
  }

  std::size_t size() const { return buffer_.size(); }
  ByteView view() const { return buffer_; }
  Bytes take() { return std::move(buffer_); }

 private:
  ByteWriter& big_endian(std::uint64_t value, unsigned n) {
    while (n-- > 0) buffer_.push_back(static_cast<std::uint8_t>(value >> (8 * n)));
    return *this;
  }
  ByteWriter& little_endian(std::uint64_t value, unsigned n) {
    for (unsigned i = 0; i < n; ++i) buffer_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
    return *this;
  }

  Bytes buffer_;
};

}  // namespace drpf
