// How functions answer: a value, or an Error that says what was attempted, with which value, and what to do about it.
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace drpf {

struct Error {
  // What the program ends with and what HTTP answers is decided by it (docs/errors.md), never by the word.
  enum class Kind {
    refusal,        // the request was understood and is not granted (quota, reserved port, ...); protocols map `code` to their own
    invalid,        // the input is malformed or impossible
    not_found,      // the thing that was named does not exist
    failure,        // the world did not cooperate: disk, kernel, peer
    usage,          // the command line is wrong
    configuration,  // the configuration is wrong, by itself or on this host
    unavailable,    // something that is needed is not there: a program, a device, an address, the gateway
    not_permitted,  // this user or process may not
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
inline Error misconfigured(std::string code, std::string message, std::string cure = {}) {
  return {Error::Kind::configuration, std::move(code), std::move(message), std::move(cure)};
}
inline Error unavailable(std::string code, std::string message, std::string cure = {}) {
  return {Error::Kind::unavailable, std::move(code), std::move(message), std::move(cure)};
}
inline Error not_permitted(std::string code, std::string message, std::string cure = {}) {
  return {Error::Kind::not_permitted, std::move(code), std::move(message), std::move(cure)};
}
inline Error wrong_usage(std::string message, std::string cure = {}) {
  return {Error::Kind::usage, "usage", std::move(message), std::move(cure)};
}

// Whoever asked can do something about it; the others are the world's.
inline bool is_askers(Error::Kind kind) {
  return kind == Error::Kind::refusal || kind == Error::Kind::invalid || kind == Error::Kind::not_found || kind == Error::Kind::usage;
}

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace drpf
