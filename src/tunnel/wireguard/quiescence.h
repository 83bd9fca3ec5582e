// Tells the handshake thread when a pointer that it has taken out of sight is no longer held by the packet threads. They hold pointers only
// between enter() and leave(), which surround each batch; waiting for packets happens outside.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace drpf::tunnel::wireguard {

class Quiescence {
 public:
  enum Reader : std::size_t { sender, receiver, reader_count };
  using Mark = std::array<std::uint64_t, reader_count>;

  // Odd while inside. Pointers that are reclaimed this way are stored and loaded sequentially consistent: a reader that enters after
  // mark() saw it outside must see what was stored before mark().
  void enter(Reader reader) { epochs_[reader].value.fetch_add(1); }
  void leave(Reader reader) { epochs_[reader].value.fetch_add(1); }

  Mark mark() const {
    Mark mark{};
    for (std::size_t i = 0; i < reader_count; ++i) mark[i] = epochs_[i].value.load();
    return mark;
  }
  bool passed(const Mark& mark) const {
    for (std::size_t i = 0; i < reader_count; ++i)
      if (mark[i] % 2 == 1 && epochs_[i].value.load() == mark[i]) return false;
    return true;
  }

 private:
  struct alignas(64) Epoch {
    std::atomic<std::uint64_t> value{0};
  };
  std::array<Epoch, reader_count> epochs_;
};

// What waits for its last reader. Used by the handshake thread alone.
class Graveyard {
 public:
  explicit Graveyard(const Quiescence& quiescence) : quiescence_(quiescence) {}
  template <class T>
  void bury(T object) {
    graves_.emplace_back(quiescence_.mark(), std::make_unique<Holder<T>>(std::move(object)));
  }
  void collect() {
    std::erase_if(graves_, [this](const auto& grave) { return quiescence_.passed(grave.first); });
  }
  bool empty() const { return graves_.empty(); }

 private:
  struct Base {
    virtual ~Base() = default;
  };
  template <class T>
  struct Holder final : Base {
    explicit Holder(T object) : held(std::move(object)) {}
    T held;
  };
  const Quiescence& quiescence_;
  std::vector<std::pair<Quiescence::Mark, std::unique_ptr<Base>>> graves_;
};

}  // namespace drpf::tunnel::wireguard
