#include "client/ports/screen.h"

#include <ctime>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include "api/json_text.h"
#include "core/utc_text.h"

namespace drpf::client {
namespace {

std::time_t seconds_of(WallTime now) { return std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count(); }

std::string clock_text(WallTime now) {
  const auto seconds = seconds_of(now);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  return fmt::format("{:02}:{:02}:{:02}", parts.tm_hour, parts.tm_min, parts.tm_sec);
}

boost::json::object event(std::string_view name, WallTime now) {
  boost::json::object object;
  object["event"] = name;
  object["time"] = utc_text(now);
  return object;
}

}  // namespace

Screen::Screen(bool json, system::LogLevel level, std::FILE* out, std::FILE* notes)
    : json_(json),
      level_(level),
      out_{out, system::leads_to_journal(::fileno(out))},
      notes_{notes, system::leads_to_journal(::fileno(notes))} {}

void Screen::write(const Output& to, system::LogLevel level, std::string_view text) {
  fmt::print(to.file, "{}{}\n", to.is_journal ? system::journal_prefix(level) : "", api::printable_lines(text));
  std::fflush(to.file);
}

void Screen::line(WallTime now, std::string_view text) {
  fact(out_.is_journal ? std::string(text) : clock_text(now) + " " + std::string(text));
}

void Screen::started(const Started& what, WallTime now) {
  if (!json_) {
    line(now, fmt::format("{} ({}) to {}: {}", what.interface, fmt::join(what.addresses, ", "), what.endpoint, what.mode));
    return;
  }
  auto object = event("started", now);
  object["interface"] = what.interface;
  object["endpoint"] = what.endpoint;
  object["mode"] = what.mode;
  boost::json::array addresses;
  for (const auto& address : what.addresses) addresses.push_back(boost::json::string(address));
  object["addresses"] = std::move(addresses);
  fact(boost::json::serialize(object));
}

void Screen::connected(const std::string& endpoint, WallTime now) {
  if (!json_) {
    line(now, fmt::format("connected to {}", endpoint));
    return;
  }
  auto object = event("connected", now);
  object["endpoint"] = endpoint;
  fact(boost::json::serialize(object));
}

void Screen::disconnected(const std::string& reason, WallTime now) {
  if (!json_) {
    line(now, fmt::format("the gateway does not answer, trying again: {}", reason));
    return;
  }
  auto object = event("disconnected", now);
  object["reason"] = reason;
  fact(boost::json::serialize(object));
}

void Screen::ports(const Report& report, WallTime now) {
  const auto change = difference(shown_, report.ports);
  const bool first = !seen_report_;
  seen_report_ = true;
  if (!first && change.added.empty() && change.removed.empty()) return;
  shown_ = report.ports;
  if (json_) {
    auto object = event("ports", now);
    object["account"] = report.account;
    object["device"] = report.device;
    object["ports"] = to_json(report.ports);
    object["added"] = to_json(change.added);
    object["removed"] = to_json(change.removed);
    fact(boost::json::serialize(object));
    return;
  }
  for (const auto& span : spans(change.removed)) line(now, "closed " + to_string(span));
  for (const auto& span : spans(change.added)) line(now, to_string(span));
  if (report.ports.empty()) line(now, "no public ports at present");
}

void Screen::ready(std::size_t count, WallTime now) {
  if (!json_) {
    line(now, fmt::format("READY with {} public port{}", count, count == 1 ? "" : "s"));
    return;
  }
  auto object = event("ready", now);
  object["public_ports"] = count;
  fact(boost::json::serialize(object));
}

void Screen::informed(std::string_view program, Port port, WallTime now) {
  if (!json_) {
    line(now, fmt::format("{} listens on {}", program, to_string(port)));
    return;
  }
  auto object = event("informed", now);
  object["program"] = program;
  object["port"] = port.value();
  fact(boost::json::serialize(object));
}

void Screen::followed(std::string_view what, std::string_view program, Port local_port, Port public_port, std::string_view sentence,
                      WallTime now) {
  if (!json_) {
    line(now, sentence);
    return;
  }
  auto object = event("followed", now);
  object["what"] = what;
  object["program"] = program;
  object["local_port"] = local_port.value();
  object["public_port"] = public_port.value();
  fact(boost::json::serialize(object));
}

void Screen::shared(bool opened, Protocol protocol, const Endpoint& outside, const Endpoint& machine, WallTime now) {
  if (!json_) {
    line(now, fmt::format("public {} ({}) {} {}", to_string(outside), to_string(protocol), opened ? "->" : "does not lead any more to",
                          to_string(machine)));
    return;
  }
  auto object = event("shared", now);
  object["what"] = opened ? "opened" : "closed";
  object["protocol"] = to_string(protocol);
  object["public"] = to_string(outside);
  object["machine"] = to_string(machine);
  fact(boost::json::serialize(object));
}

void Screen::status(std::string_view interface, bool closed, std::string_view sentence) {
  if (!json_) return fact(sentence);
  boost::json::object object;
  object["event"] = "status";
  object["interface"] = interface;
  object["closed"] = closed;
  object["sentence"] = sentence;
  fact(boost::json::serialize(object));
}

void Screen::stopped(WallTime now) {
  if (json_) {
    fact(boost::json::serialize(event("stopped", now)));
  } else {
    line(now, "disconnected; routes and rules are as they were");
  }
}

void Screen::note(std::string_view text) {
  if (level_ <= system::LogLevel::warning) write(notes_, system::LogLevel::warning, fmt::format("drpf connect: {}", text));
}

void Screen::error(const Error& error) {
  write(notes_, system::LogLevel::error, fmt::format("drpf connect: {}", error.message));
  if (!error.cure.empty()) write(notes_, system::LogLevel::error, fmt::format("  {}", error.cure));
}

}  // namespace drpf::client
