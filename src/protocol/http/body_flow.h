// A body on its way through a proxy: read by one framing, written by another, so that nothing of how it came is passed on. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/http/chunk_decoder.h"
#include "protocol/http/message_head.h"

namespace drpf::protocol::http {

class BodyFlow {
 public:
  BodyFlow() = default;
  // `chunked`: how it is written.
  BodyFlow(Framing from, bool chunked) : from_(from), chunked_(chunked), left_(from.length) {
    if (from.kind == Framing::Kind::none || (from.kind == Framing::Kind::length && left_ == 0)) finish();
  }

  // Appends to `out` what goes on; returns how many bytes belonged to this body.
  std::size_t feed(std::string_view bytes, std::string& out);
  // The other side has ended: false where the body is cut off.
  bool end(std::string& out);

  bool finished() const { return finished_; }
  bool failed() const { return decoder_.failed(); }
  std::string_view why() const { return decoder_.why(); }
  std::uint64_t payload() const { return payload_; }  // bytes so far

 private:
  void put(std::string_view payload, std::string& out);
  void finish() { finished_ = true; }

  Framing from_;
  bool chunked_ = false;
  bool finished_ = false;
  std::uint64_t left_ = 0;
  std::uint64_t payload_ = 0;
  ChunkDecoder decoder_;
};

// Whether a trailer may be passed on: no framing, no routing, no credentials (RFC 9110 section 6.5.1).
bool may_trail(std::string_view name);

}  // namespace drpf::protocol::http
