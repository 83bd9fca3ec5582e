#include "gateway/ended_leases.h"

#include <map>

namespace drpf::gateway {

std::vector<std::string> ended_leases(const lease::LeaseBook& book, const lease::Transaction& transaction) {
  std::map<lease::PublicPort, lease::DeviceId> put;
  for (const auto& record : transaction.records)
    if (const auto* one = std::get_if<lease::PutLease>(&record)) put[one->lease.on] = one->lease.device;
  std::vector<std::string> ended;
  for (const auto& record : transaction.records) {
    const auto* drop = std::get_if<lease::DropLease>(&record);
    const auto* lease = drop != nullptr ? book.lease(drop->on) : nullptr;
    if (lease == nullptr) continue;
    if (const auto again = put.find(drop->on); again != put.end() && again->second == lease->device) continue;
    const auto* device = book.device(lease->device);
    const auto* account = device != nullptr ? book.account(device->account) : nullptr;
    ended.push_back("lease " + std::string(to_string(drop->on.protocol)) + " " + to_string(drop->on.port) + " on " + drop->on.host +
                    " of device " + (device != nullptr ? device->name : "") + " (account " + (account != nullptr ? account->name : "") +
                    ")");
  }
  return ended;
}

}  // namespace drpf::gateway
