#include "api/json_body.h"
#include "api/json_values.h"
#include "api/resources.h"

namespace drpf::api {
namespace {

Result<const lease::Account*> find_account(const Call& call) {
  const auto* account = call.service.book().account(std::string_view(call.arguments[0]));
  if (!account)
    return fail(not_found("account_unknown", "there is no account '" + call.arguments[0] + "'", "see `drpf account list` for the names"));
  return account;
}

Result<Reply> list_accounts(Call& call) {
  boost::json::array accounts;
  for (const auto* account : call.service.book().accounts()) accounts.push_back(account_json(call.service, *account));
  return json_response(200, accounts);
}

Result<Reply> add_account(Call& call) {
  auto body = JsonBody::parse(call.request.body);
  if (!body) return fail(body.error());
  const auto name = body->required_text("name");
  const auto plan = body->text("plan");
  if (const auto whole = body->finish(); !whole) return fail(whole.error());
  const auto account = call.service.add_account(name, plan);
  if (!account) return fail(account.error());
  return Reply(json_response(201, account_json(call.service, account->value)), account->settling);
}

Result<Reply> show_account(Call& call) {
  const auto account = find_account(call);
  if (!account) return fail(account.error());
  return json_response(200, account_json(call.service, **account));
}

Result<Reply> set_account(Call& call) {
  auto body = JsonBody::parse(call.request.body);
  if (!body) return fail(body.error());
  const auto plan = body->text("plan");
  const auto suspended = body->boolean("suspended");
  if (const auto whole = body->finish(); !whole) return fail(whole.error());
  if (!plan && !suspended) return fail(invalid("nothing_to_change", "this request changes nothing", "send 'plan', 'suspended' or both"));
  const auto set = call.service.set_account(call.arguments[0], plan, suspended);
  if (!set) return fail(set.error());
  const auto account = find_account(call);
  if (!account) return fail(account.error());
  return Reply(json_response(200, account_json(call.service, **account)), *set);
}

Result<Reply> remove_account(Call& call) {
  const auto removed = call.service.remove_account(call.arguments[0]);
  if (!removed) return fail(removed.error());
  return Reply(no_content(), *removed);
}

}  // namespace

std::span<const Route> account_routes() {
  static constexpr Route routes[] = {{"GET", "/v1/accounts", list_accounts},
                                     {"POST", "/v1/accounts", add_account, "account add"},
                                     {"GET", "/v1/accounts/{name}", show_account},
                                     {"PATCH", "/v1/accounts/{name}", set_account, "account set"},
                                     {"DELETE", "/v1/accounts/{name}", remove_account, "account remove"}};
  return routes;
}

}  // namespace drpf::api
