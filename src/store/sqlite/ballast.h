// A file of nothing beside the database: on a full disk it is given up, so that leases can still be renewed and released, which take
// space too while they are written. It says nothing about what may be written.
#pragma once

#include <cstdint>
#include <filesystem>

namespace drpf::store::sqlite {

class Ballast {
 public:
  static constexpr const char* file_name = "ballast";
  static constexpr std::uint64_t size = 512 * 1024;
  // What must be free beside the ballast before anything new is taken in. More than what stands in the journal and has no place in the
  // database yet (journal_pages_max pages).
  static constexpr std::uint64_t room_min = 384 * 1024;

  Ballast() = default;
  explicit Ballast(const std::filesystem::path& directory);

  bool present() const { return present_; }
  // Makes it again once the disk has room for it and for more than it. Cheap when there is nothing to do.
  void rebuild();
  // Gives its space back to the file system.
  void give_up();
  // What ordinary users may still write on this file system.
  std::uint64_t room() const;

 private:
  bool whole() const;
  std::filesystem::path directory_;
  std::filesystem::path path_;
  bool present_ = false;
};

}  // namespace drpf::store::sqlite
