// How functions answer: a value, or an Error that says what was attempted, with which value, and what to do about it.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace drpf {

struct Error {
  enum class Kind {
    refusal,    // the request was understood and is not granted (quota, reserved port, ...); protocols map `code` to their own
    invalid,    // the input is malformed or impossible
    not_found,  // the thing that was named does not exist
    failure,    // the world did not cooperate: disk, kernel, peer
  };

  Kind kind = Kind::failure;
  std::string code;     // stable word for scripts, e.g. "quota_exhausted"
  std::string message;  // one sentence with the values in it
  std::string cure;     // what the reader can do; may be empty
};

inline Error refusal(std::string code, std::string message, std::string cure = {}) {
  return {Error::Kind::refusal, std::move(code), std::move(message), std::move(cure)};
}
inline Error invalid(std::string code, std::string message, std::string cure = {}) {
  return {Error::Kind::invalid, std::move(code), std::move(message), std::move(cure)};
}
inline Error not_found(std::string code, std::string message, std::string cure = {}) {
  return {Error::Kind::not_found, std::move(code), std::move(message), std::move(cure)};
}
inline Error failure(std::string code, std::string message, std::string cure = {}) {
  return {Error::Kind::failure, std::move(code), std::move(message), std::move(cure)};
}

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace drpf
