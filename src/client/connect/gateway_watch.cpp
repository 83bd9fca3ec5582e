#include "client/connect/gateway_watch.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace drpf::client {
namespace {

constexpr std::string_view refused_cure = "Is this device still known there? drpf device list";

// A line of the stream says what happened; only one that carries the whole list spares the question.
bool carries_ports(const std::string& line) {
  boost::system::error_code error;
  const auto value = boost::json::parse(line, error);
  return !error && value.is_object() && value.get_object().if_contains("leases") != nullptr;
}

}  // namespace

GatewayWatch::GatewayWatch(net::EventLoop& loop, GatewayDoor door, Listener listener)
    : loop_(loop), door_(std::move(door)), listener_(std::move(listener)) {
  open();
}

void GatewayWatch::hurry() {
  if (retry_.active())
    open();
  else
    hurried_ = true;
}

void GatewayWatch::restart() {
  hurry();
  if (answered_) on_end(failure("stream_ended", "the gateway ended the stream of events"));
}

// Until the stream ends. Its first line says what is, each later one what is after a change.
void GatewayWatch::open() {
  retry_.cancel();
  hurried_ = false;
  heard_ = false;
  net::LineListener listener;
  listener.answered = [this](unsigned status) {
    answered_ = true;
    if (status == 200) return;
    on_end(failure("gateway_refused", fmt::format("the gateway answered {} to the request for this device's events", status),
                   std::string(refused_cure)));
  };
  listener.line = [this](const std::string& line) { on_line(line); };
  listener.ended = [this](const Status& status) {
    on_end(status ? failure("stream_ended", "the gateway ended the stream of events") : status.error());
  };
  stream_ = gateway_client(door_, gateway_request_time_max).open_stream(loop_, "/v1/self/events", std::move(listener));
}

// What a line carries is newer than the answer to a question that is still out.
void GatewayWatch::on_line(const std::string& line) {
  if (carries_ports(line)) {
    question_.cancel();
    ask_again_ = false;
    on_report(parse_report(line));
  } else if (question_.active()) {
    ask_again_ = true;
  } else {
    ask();
  }
}

void GatewayWatch::ask() {
  net::ClientRequest request;
  request.target = "/v1/self";
  question_ = gateway_client(door_, gateway_request_time_max).request(loop_, request, [this](const Result<net::ClientResponse>& response) {
    question_.cancel();
    if (!response) return on_end(response.error());
    if (response->status != 200)
      return on_end(failure("gateway_refused",
                            fmt::format("the gateway answered {} to the question for this device's ports", response->status),
                            std::string(refused_cure)));
    if (std::exchange(ask_again_, false)) ask();
    on_report(parse_report(response->body));
  });
}

void GatewayWatch::on_report(Result<Report> report) {
  if (!report) return on_end(report.error());
  heard_ = true;
  lost_told_ = false;
  listener_.report(std::move(*report));
}

void GatewayWatch::on_end(Error why) {
  stream_.cancel();
  question_.cancel();
  answered_ = false;
  ask_again_ = false;
  if (heard_) delay_ = gateway_retry_first;
  delay_ = std::min(delay_ * 2, std::chrono::milliseconds(gateway_retry_max));
  // From the loop even when there is no wait: the end may be told of from inside the stream.
  retry_ = loop_.after(std::exchange(hurried_, false) ? std::chrono::milliseconds(0) : delay_, [this] { open(); });
  if (!std::exchange(lost_told_, true)) listener_.lost(std::move(why));
}

}  // namespace drpf::client
