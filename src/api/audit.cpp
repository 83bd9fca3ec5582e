#include "api/audit.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "api/error_json.h"
#include "api/json_text.h"

namespace drpf::api {
namespace {

namespace json = boost::json;

constexpr std::size_t value_length_max = 64;
// What a body says an act is about. No other member is told: what is unknown may be a secret.
constexpr const char* named_members[] = {"account", "device",     "name",  "plan",       "suspended",  "host",          "protocol",
                                         "port",    "local_port", "count", "lifetime_s", "end_leases", "suggested_port"};

std::string who(const Call& call) {
  if (const auto* caller = std::get_if<CallingDevice>(&call.caller)) {
    const auto* device = call.service.book().device(caller->id);
    return "device " + (device != nullptr ? device->name : std::string("that is gone"));
  }
  const auto& process = std::get<Administrator>(call.caller).process;
  return process ? "uid " + std::to_string(process->uid) + " pid " + std::to_string(process->pid) : std::string("an administrator");
}

std::string shortened(std::string_view text) { return printable(text.substr(0, value_length_max)); }

std::string on_what(const Call& call) {
  std::string text;
  for (const auto& argument : call.arguments) text += " " + shortened(argument);
  json::error_code error;
  const auto body = json::parse(call.request.body, error);
  if (error || !body.is_object()) return text;
  for (const auto* name : named_members) {
    const auto* value = body.get_object().if_contains(name);
    if (value == nullptr || value->is_structured()) continue;
    text +=
        std::string(" ") + name + "=" + shortened(value->is_string() ? std::string(value->get_string().c_str()) : json::serialize(*value));
  }
  return text;
}

std::string result_of(const net::Response& response) {
  return response.status < 400 ? "ok" : error_from_json(response.status, response.body).code;
}

}  // namespace

Reply audited(Reply reply, const Call& call, const Audit& audit) {
  if (!audit || call.route == nullptr) return reply;
  const auto& route = *call.route;
  const bool is_act = !route.act.empty();
  const auto what = is_act ? std::string(route.act) : std::string(route.method) + " " + std::string(route.pattern);
  const auto tell = [audit, weight = is_act ? Weight::act : Weight::reading, sentence = who(call) + ": " + what + on_what(call) + ": "](
                        const net::Response& response) { audit(weight, sentence + result_of(response)); };
  if (!reply.ask) {
    tell(reply.response);
    return reply;
  }
  reply.ask = [ask = std::move(reply.ask), tell](net::Respond respond) {
    ask([respond = std::move(respond), tell](net::Response response) {
      tell(response);
      respond(std::move(response));
    });
  };
  return reply;
}

}  // namespace drpf::api
