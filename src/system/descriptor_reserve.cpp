#include "system/descriptor_reserve.h"

#include <fcntl.h>

namespace drpf::system {

void DescriptorReserve::fill() {
  while (held_.size() < size_) {
    Fd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!one.valid()) return;
    held_.push_back(std::move(one));
  }
}

}  // namespace drpf::system
