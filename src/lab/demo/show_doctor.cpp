// Chapter 4: a program ends, and the gateway says why its port does not answer any more.
#include <boost/json.hpp>

#include <csignal>
#include <string>

#include <fmt/format.h>

#include "lab/demo/limits.h"
#include "lab/demo/show.h"

namespace drpf::lab::demo {
namespace {

constexpr std::size_t http_server = 0;  // of Home::servers
constexpr int exit_code_nobody_listens = 10;

struct Told {
  std::string finding;
  std::string sentence;
};

// What `drpf lease test --json` says of the IPv4 address.
Result<Told> read_test(const std::string& json) {
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(json, error);
  if (!error && parsed.is_array()) {
    for (const boost::json::value& value : parsed.get_array()) {
      const auto text = [&](const char* key) {
        const auto* member = value.is_object() ? value.get_object().if_contains(key) : nullptr;
        return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
      };
      if (text("public_address") == gateway_v4) return Told{text("finding"), text("sentence")};
    }
  }
  return fail(failure("json", fmt::format("`drpf lease test --json` did not tell of {}: {}", gateway_v4, json.substr(0, 200))));
}

}  // namespace

Fact Show::told_why(const std::string& name, const std::string& what, const std::string& finding, int exit_code) const {
  const std::string port = fmt::format("{}/tcp", home_1_.ports[0]);
  const Result<std::string> said = admin_.call({"lease", "test", port, "--json"}, exit_code);
  const Result<Told> told = said ? read_test(*said) : fail(said.error());
  if (!told) return {name, false, told.error().message};
  return {name, told->finding == finding, fmt::format("{}; drpf lease test {}: \"{}\"", what, port, told->sentence)};
}

Chapter Show::asked_why(terminal::Progress& progress) {
  Chapter chapter{"A program that was stopped is missed by the gateway, which says why its port does not answer", {}};
  if (home_1_.servers.empty()) {
    chapter.facts.push_back({"diagnosis", false, "home-1 has no server"});
    return chapter;
  }
  progress.say("a server is stopped");
  system::Process& server = home_1_.servers[http_server];
  server.signal(SIGTERM);
  if (!server.wait(limits::server_start)) server.kill();
  chapter.facts.push_back(told_why("diagnosis", "nginx in home-1 stopped", "nobody_listens", exit_code_nobody_listens));

  progress.say("the server starts again");
  const Port port(home_1_.ports[0]);
  Result<system::Process> again = start_http(topology_->home_1, topology_->home_1.name(), port, stage_->user_namespace());
  if (!again) {
    chapter.facts.push_back({"cured", false, again.error().message});
    return chapter;
  }
  server = std::move(*again);
  if (const Status listening = await_listening(topology_->home_1, port); !listening) {
    chapter.facts.push_back({"cured", false, listening.error().message});
    return chapter;
  }
  chapter.facts.push_back(told_why("cured", "started again", "answers", 0));
  return chapter;
}

}  // namespace drpf::lab::demo
