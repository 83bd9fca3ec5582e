// A 32-byte secret that wipes itself when it dies or is moved from. It does not lock its memory: that is the owner's business.
#pragma once

#include "crypto/wireguard_primitives.h"

namespace drpf::crypto {

class SecretKey {
 public:
  SecretKey() = default;
  explicit SecretKey(const Key32& bytes) : bytes_(bytes) {}
  ~SecretKey() { cleanse(bytes_); }
  SecretKey(const SecretKey&) = default;
  SecretKey& operator=(const SecretKey&) = default;
  SecretKey(SecretKey&& other) noexcept : bytes_(other.bytes_) { cleanse(other.bytes_); }
  SecretKey& operator=(SecretKey&& other) noexcept {
    if (this != &other) {
      bytes_ = other.bytes_;
      cleanse(other.bytes_);
    }
    return *this;
  }

  const Key32& bytes() const { return bytes_; }
  Key32& bytes() { return bytes_; }

 private:
  Key32 bytes_{};
};

}  // namespace drpf::crypto
