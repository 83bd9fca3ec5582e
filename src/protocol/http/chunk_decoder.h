// The chunked transfer coding (RFC 9112 section 7.1), read strictly: what has two readings ends it. Keeps nothing but the line it is in.
// Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/http/message_head.h"

namespace drpf::protocol::http {

class ChunkDecoder {
 public:
  static constexpr std::size_t size_line_bytes_max = 256;  // with extensions, which are read over
  static constexpr std::size_t trailer_bytes_max = 8 * 1024;

  struct Step {
    std::size_t consumed = 0;
    std::string_view payload;  // of what was given
  };
  // As far as the next piece of payload goes, or as there are bytes. To be called until it consumes nothing.
  Step step(std::string_view bytes);

  bool done() const { return place_ == Place::done; }      // what follows belongs to the next message
  bool failed() const { return place_ == Place::failed; }  // for good
  std::string_view why() const { return why_; }
  const Fields& trailers() const { return trailers_; }  // once it is done

 private:
  enum class Place : std::uint8_t { size_line, payload, payload_end, trailers, done, failed };
  void read_size_line();
  void read_trailer_line();
  void fail(std::string_view why);

  Place place_ = Place::size_line;
  std::uint64_t left_ = 0;
  std::string line_;
  std::string trailer_lines_;
  Fields trailers_;
  std::string_view why_;
};

// The line before a chunk of this size.
std::string chunk_size_line(std::size_t size);

}  // namespace drpf::protocol::http
