#include "api/resources.h"

namespace drpf::api {
namespace {

Result<Reply> show_backup(Call& call) {
  const auto image = call.service.backup();
  if (!image) return fail(image.error());
  net::Response response;
  response.content_type = "application/vnd.sqlite3";
  response.body.assign(image->begin(), image->end());
  return response;
}

}  // namespace

std::span<const Route> backup_routes() {
  static constexpr Route routes[] = {{"GET", "/v1/backup", show_backup, "backup"}};
  return routes;
}

}  // namespace drpf::api
