// Descriptors that are held open for nothing, so that there are some for what must not fail when everything else has taken all others.
#pragma once

#include <cstddef>
#include <vector>

#include "system/fd.h"

namespace drpf::system {

class DescriptorReserve {
 public:
  explicit DescriptorReserve(std::size_t size) : size_(size) { fill(); }

  // While one of these is there, the reserve can be used.
  class Use {
   public:
    explicit Use(DescriptorReserve& reserve) : reserve_(reserve) { reserve_.held_.clear(); }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;
    ~Use() { reserve_.fill(); }

   private:
    DescriptorReserve& reserve_;
  };

  std::size_t held() const { return held_.size(); }

 private:
  void fill();  // as far as there are any

  std::size_t size_;
  std::vector<Fd> held_;
};

}  // namespace drpf::system
