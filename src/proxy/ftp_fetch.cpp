#include "proxy/ftp_fetch.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "protocol/ftp/replies.h"
#include "protocol/http/body_flow.h"
#include "proxy/pages.h"

// Whoever waits for one of these coroutines owns what it refers to, and ends it before that.
// NOLINTBEGIN(cppcoreguidelines-avoid-reference-coroutine-parameters)
namespace drpf::proxy {
namespace {

using protocol::ftp::Reply;
using protocol::http::BodyFlow;
using protocol::http::Framing;

constexpr std::size_t listing_bytes_max = 4 * 1024 * 1024;
constexpr std::size_t segments_max = 64;

struct Path {
  std::vector<std::string> folders;
  std::string file;  // empty: the folder is meant
};

std::optional<Path> read_path(std::string_view text) {
  Path path;
  text = text.substr(0, text.find(";type="));
  text.remove_prefix(1);
  while (true) {
    const auto slash = text.find('/');
    const auto segment = protocol::ftp::decoded_segment(text.substr(0, slash));
    if (!segment || path.folders.size() > segments_max) return std::nullopt;
    if (slash == std::string_view::npos) {
      path.file = *segment;
      return path;
    }
    if (!segment->empty()) path.folders.push_back(*segment);
    text.remove_prefix(slash + 1);
  }
}

struct Login {
  std::string user = "anonymous";
  std::string password = "drpf@";
};

std::optional<Login> read_login(std::string_view credentials) {
  Login login;
  if (credentials.empty()) return login;
  const auto colon = credentials.find(':');
  const auto user = protocol::ftp::decoded_segment(credentials.substr(0, colon));
  const auto password =
      colon == std::string_view::npos ? std::optional<std::string>("") : protocol::ftp::decoded_segment(credentials.substr(colon + 1));
  if (!user || !password || user->empty()) return std::nullopt;
  return Login{*user, *password};
}

std::string listing_page(const HttpTarget& target, std::string_view listing) {
  const auto title = html_escaped("ftp://" + authority_of(target.host, target.port.value()) + target.path);
  auto page =
      fmt::format("<!DOCTYPE html><html><head><meta charset=\"utf-8\"><title>{0}</title></head><body>\n<h1>{0}</h1>\n<table>\n", title);
  // Names below this folder, whether or not its address ends with a slash.
  const auto folder = target.path.ends_with('/') ? target.path : target.path + "/";
  page += fmt::format("<tr><td><a href=\"{}../\">..</a></td></tr>\n", html_escaped(folder));
  for (const auto& entry : protocol::ftp::read_listing(listing)) {
    std::string link;
    for (const char c : entry.name) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') || c == '.' || c == '-' || c == '_' || c == '~')
        link += c;
      else
        link += fmt::format("%{:02X}", byte);
    }
    const auto* slash = entry.folder ? "/" : "";
    page += fmt::format("<tr><td><a href=\"{}{}{}\">{}{}</a></td><td>{}</td><td>{}</td></tr>\n", html_escaped(folder), link, slash,
                        html_escaped(entry.name), slash, html_escaped(entry.size), html_escaped(entry.when));
  }
  return page + "</table></body></html>\n";
}

class FtpFetch {
 public:
  FtpFetch(Parts& parts, Client& client, const protocol::http::RequestHead& head, const HttpTarget& target, Access& access)
      : parts_(parts), client_(client), head_(head), target_(target), access_(access) {}

  Task<FtpOutcome> run() {
    const bool put = head_.method == "PUT";
    const bool head_only = head_.method == "HEAD";
    if (!put && !head_only && head_.method != "GET") co_return failed(405, "of ftp:// addresses only GET, HEAD and PUT are known");
    const auto framing = framing_of(head_);
    if (!framing) co_return failed(framing.error().status, std::string(framing.error().why));
    if (!put && framing->kind != Framing::Kind::none) co_return failed(400, "only PUT has a body here");
    const auto path = read_path(target_.path);
    const auto login = read_login(target_.credentials);
    if (!path || !login) co_return failed(400, "the address has what cannot be part of a command of FTP");
    if (put && (path->file.empty() || framing->kind == Framing::Kind::none)) co_return failed(400, "PUT names a file, and brings one");
    const bool ready = co_await begin(*login, path->folders);
    if (!ready) co_return std::move(failure_);
    if (put) co_return co_await store(path->file, *framing);
    if (path->file.empty()) co_return co_await list(head_only);
    co_return co_await retrieve(path->file, head_only);
  }

 private:
  static FtpOutcome failed(unsigned status, std::string why) { return {FtpOutcome::What::failed, status, std::move(why), 0}; }
  Deadline soon() const { return parts_.poller.now() + parts_.limits.answer; }

  bool fail(unsigned status, std::string why) {
    failure_ = failed(status, std::move(why));
    return false;
  }
  bool fail_by(const Reply& reply, std::string_view what) {
    const unsigned status = reply.code == 550 || reply.code == 450 ? 404 : reply.code == 530 ? 403 : reply.code == 421 ? 503 : 502;
    return fail(status, fmt::format("the FTP server does not {}: {} {}", what, reply.code, reply.text));
  }

  Task<std::optional<Reply>> read_reply() {
    while (true) {
      auto read = protocol::ftp::read_reply(control_.in);
      if (read.reply) {
        control_.take(read.reply->size);
        co_return std::move(read.reply);
      }
      bool more = false;
      if (read.trouble == protocol::ftp::ReplyTrouble::incomplete) more = co_await read_more(parts_.poller, control_, soon());
      if (more) continue;
      fail(read.trouble == protocol::ftp::ReplyTrouble::malformed ? 502 : 504, "the FTP server says nothing that can be understood");
      co_return std::nullopt;
    }
  }

  Task<std::optional<Reply>> say(std::string command) {
    control_.out = std::move(command) + "\r\n";
    const bool written = co_await write_out(parts_.poller, control_, soon());
    if (!written) {
      fail(502, "the FTP server closed the connection");
      co_return std::nullopt;
    }
    co_return co_await read_reply();
  }

  // Logged in, in the folder, with the type of files.
  Task<bool> begin(Login login, std::vector<std::string> folders) {
    auto dialled = co_await parts_.dialer.dial(Way::ftp, target_.host, target_.port, parts_.poller.now() + parts_.limits.connect, control_);
    if (!dialled.ok()) {
      const bool late = dialled.trouble == DialTrouble::late;
      co_return fail(dialled.trouble == DialTrouble::not_allowed ? 403 : late ? 504 : 502, std::move(dialled.why));
    }
    peer_ = dialled.peer;
    access_.peer = peer_.address;
    auto reply = co_await read_reply();
    if (!reply) co_return false;
    if (reply->code / 100 != 2) co_return fail_by(*reply, "let anybody in");
    reply = co_await say("USER " + login.user);
    if (reply && reply->code == 331) reply = co_await say("PASS " + login.password);
    if (!reply) co_return false;
    if (reply->code / 100 != 2) co_return fail_by(*reply, "know this user");
    reply = co_await say("TYPE I");
    if (!reply) co_return false;
    for (auto& folder : folders) {
      reply = co_await say("CWD " + folder);
      if (!reply) co_return false;
      if (reply->code / 100 != 2) co_return fail_by(*reply, "have this folder");
    }
    co_return true;
  }

  // To the host of the control connection, whatever address the server names.
  Task<bool> open_data() {
    auto reply = co_await say("EPSV");
    if (!reply) co_return false;
    auto port = reply->code == 229 ? protocol::ftp::extended_passive_port(reply->text) : std::nullopt;
    if (!port && peer_.address.is_v4()) {
      reply = co_await say("PASV");
      if (!reply) co_return false;
      if (reply->code == 227) port = protocol::ftp::passive_port(reply->text);
    }
    if (!port) co_return fail_by(*reply, "offer a data connection");
    if (port->value() < 1024) co_return fail(502, "the FTP server names a port of another service for its data");
    Host host = peer_.address;
    auto dialled = co_await parts_.dialer.dial(Way::ftp, std::move(host), *port, parts_.poller.now() + parts_.limits.connect, data_);
    if (!dialled.ok()) co_return fail(502, "the data connection cannot be made: " + dialled.why);
    co_return true;
  }

  Task<FtpOutcome> answer(std::string whole) {
    access_.status = 200;
    client_.stream.out += whole;
    const auto size = whole.size();
    const bool written = co_await write_out(parts_.poller, client_.stream, parts_.poller.now() + parts_.limits.body);
    co_return FtpOutcome{written ? FtpOutcome::What::done : FtpOutcome::What::cut, 200, {}, size};
  }

  Task<FtpOutcome> list(bool head_only) {
    const bool open = co_await open_data();
    if (!open) co_return std::move(failure_);
    auto reply = co_await say("LIST");
    if (!reply) co_return std::move(failure_);
    if (reply->code / 100 != 1) {
      fail_by(*reply, "list this folder");
      co_return std::move(failure_);
    }
    while (data_.in.size() < listing_bytes_max) {
      const bool more = co_await read_more(parts_.poller, data_, parts_.poller.now() + parts_.limits.body);
      if (!more) break;
    }
    data_.channel.close();
    reply = co_await read_reply();
    if (!reply) co_return std::move(failure_);
    if (reply->code / 100 != 2) {
      fail_by(*reply, "list the whole folder");
      co_return std::move(failure_);
    }
    const auto page = listing_page(target_, data_.in);
    auto whole = own_page("text/html; charset=utf-8", page, head_only, false);
    co_return co_await answer(std::move(whole));
  }

  Task<FtpOutcome> retrieve(std::string file, bool head_only) {
    auto reply = co_await say("SIZE " + file);
    if (!reply) co_return std::move(failure_);
    const auto size = reply->code == 213 ? protocol::ftp::size_of_file(reply->text) : std::nullopt;
    if (head_only && !size) {
      fail_by(*reply, "say how large this is");
      co_return std::move(failure_);
    }
    const bool chunked = !size && head_.minor >= 1;
    auto answer_head =
        fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n{}Via: 1.1 drpf\r\nConnection: close\r\n\r\n",
                    size      ? fmt::format("Content-Length: {}\r\n", *size)
                    : chunked ? "Transfer-Encoding: chunked\r\n"
                              : "");
    if (head_only) co_return co_await answer(std::move(answer_head));
    const bool open = co_await open_data();
    if (!open) co_return std::move(failure_);
    reply = co_await say("RETR " + file);
    if (!reply) co_return std::move(failure_);
    if (reply->code / 100 != 1) {
      // A folder whose address has no slash at its end.
      const auto refused = *reply;
      reply = co_await say("CWD " + file);
      if (reply && reply->code / 100 == 2) co_return co_await list(false);
      fail_by(refused, "give this file");
      co_return std::move(failure_);
    }
    client_.stream.out += answer_head;
    Framing framing;
    framing.kind = size ? Framing::Kind::length : Framing::Kind::until_close;
    framing.length = size.value_or(0);
    BodyFlow body(framing, chunked);
    const bool sent = co_await pour(data_, client_.stream, body);
    data_.channel.close();
    bool whole = sent;
    if (whole) {
      reply = co_await read_reply();
      whole = reply && reply->code / 100 == 2 && body.end(client_.stream.out);
    }
    if (whole) whole = co_await write_out(parts_.poller, client_.stream, parts_.poller.now() + parts_.limits.body);
    access_.status = 200;
    co_return FtpOutcome{whole ? FtpOutcome::What::done : FtpOutcome::What::cut, 200, {}, body.payload()};
  }

  // Until `from` ends or the body does: false where either side broke, or more came than was said.
  Task<bool> pour(Stream& from, Stream& to, BodyFlow& body) {
    auto& poller = parts_.poller;
    while (true) {
      from.take(body.feed(from.in, to.out));
      if (body.failed()) co_return false;
      if (!to.out.empty()) {
        const bool written = co_await write_out(poller, to, poller.now() + parts_.limits.body);
        if (!written) co_return false;
      }
      if (body.finished()) co_return true;
      const auto before = poller.now() + parts_.limits.body;
      const bool more = co_await read_more(poller, from, before);
      if (!more) co_return poller.now() < before && !from.channel.broken();
    }
  }

  Task<FtpOutcome> store(std::string file, Framing framing) {
    const bool open = co_await open_data();
    if (!open) co_return std::move(failure_);
    auto reply = co_await say("STOR " + file);
    if (!reply) co_return std::move(failure_);
    if (reply->code / 100 != 1) {
      fail_by(*reply, "take this file");
      co_return std::move(failure_);
    }
    if (protocol::http::count(head_.fields, "Expect") > 0) {
      client_.stream.out = "HTTP/1.1 100 Continue\r\n\r\n";
      const bool told = co_await write_out(parts_.poller, client_.stream, soon());
      if (!told) co_return failed(408, "the client has gone");
    }
    BodyFlow body(framing, false);
    const bool sent = co_await pour(client_.stream, data_, body);
    if (!sent || !body.finished()) {
      data_.abort();  // the server sees that the file is not whole
      co_return failed(400, "the body of the request is cut off, or has two readings");
    }
    data_.end_writing();
    data_.channel.close();
    reply = co_await read_reply();
    if (!reply) co_return std::move(failure_);
    if (reply->code / 100 != 2) {
      fail_by(*reply, "take the whole file");
      co_return std::move(failure_);
    }
    auto whole = own_page("text/plain", "stored\n", false, false);
    co_return co_await answer(std::move(whole));
  }

  Parts& parts_;
  Client& client_;
  const protocol::http::RequestHead& head_;
  const HttpTarget& target_;
  Access& access_;
  Stream control_;
  Stream data_;
  Endpoint peer_;
  FtpOutcome failure_;
};

}  // namespace

Task<FtpOutcome> fetch_by_ftp(Parts& parts, Client& client, const protocol::http::RequestHead& head, const HttpTarget& target,
                              Access& access) {
  FtpFetch fetch(parts, client, head, target, access);
  auto outcome = co_await fetch.run();
  co_return outcome;
}

}  // namespace drpf::proxy
// NOLINTEND(cppcoreguidelines-avoid-reference-coroutine-parameters)
