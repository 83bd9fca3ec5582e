// Threads that share the sealing or the opening of a batch with the packet thread that owns it. The owner works too, and goes on when all
// is done: what comes first and what next stays its affair alone, so no packet ever overtakes another.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace drpf::tunnel::wireguard {

class CryptoWorkers {
 public:
  static constexpr std::size_t count_max = 16;
  static constexpr std::size_t jobs_max = 0xffff;
  // `worker` is 0 for the owner, else 1..count(): what a job needs for itself can be kept by it.
  using Work = std::function<void(std::size_t job, std::size_t worker)>;

  // For one direction. Below four cores the packet threads, the kernel and the programs at the ends fill the machine anyway.
  static std::size_t count_for(unsigned cores);

  CryptoWorkers(std::size_t count, const char* thread_name);
  ~CryptoWorkers();
  CryptoWorkers(const CryptoWorkers&) = delete;
  CryptoWorkers& operator=(const CryptoWorkers&) = delete;

  std::size_t count() const { return threads_.size(); }
  // Calls work(job, worker) once for each job in [0, jobs), in any order, on any of the threads, and returns when all calls have. One
  // caller at a time; the work must not throw.
  void share(std::size_t jobs, const Work& work);

 private:
  // The jobs of a round are claimed by counting `next` up in one word with the number of the round, so that a thread which wakes late can
  // claim nothing of a round that it does not know.
  struct Ticket {
    std::uint32_t round;
    std::uint16_t jobs;
    std::uint16_t next;
  };
  void run(std::size_t worker);
  void work_on(std::uint32_t round, std::size_t worker);

  std::atomic<Ticket> ticket_{Ticket{0, 0, 0}};
  std::atomic<std::uint32_t> round_{0};  // counted up once more to end the threads
  std::atomic<std::uint32_t> unfinished_{0};
  std::atomic<bool> stopping_{false};
  const Work* work_ = nullptr;  // of the round; read after a claim only
  std::vector<std::thread> threads_;
};

}  // namespace drpf::tunnel::wireguard
