// Servers from the distribution that know nothing of us, on a home's machine: HTTP (nginx), UDP (socat), POP3 (Dovecot). They run as
// nobody, with all their files in the stage's folder.
#pragma once

#include <string>
#include <vector>

#include "core/port.h"
#include "core/result.h"
#include "lab/demo/topology.h"
#include "system/process.h"

namespace drpf::lab::demo {

inline constexpr const char* mail_subject = "You have a port";
inline constexpr const char* mail_url_user = "home:secret";
inline constexpr std::size_t stream_bytes = 24 << 20;  // of the file that the open connection of the visitor fetches

// Answers every path with one line that names the home and the visitor's address, and /stream with stream_bytes of content.
Result<system::Process> start_http(const Machine& machine, const std::string& name, Port port, bool user_namespace);
// Answers a datagram with the visitor's address, a space and the datagram.
Result<system::Process> start_udp_echo(const Machine& machine, Port port, bool user_namespace);
// One mailbox with one mail, on the standard port 110.
Result<system::Process> start_pop3(const Machine& machine, bool user_namespace);
// A service of the gateway's own, on all its addresses, that nobody outside is meant to reach.
Result<system::Process> start_private_service(const Machine& machine, Port port);

// Until a TCP server on this machine listens.
Status await_listening(const Machine& machine, Port port);
// What /stream serves; the same in every run.
std::string stream_content();

}  // namespace drpf::lab::demo
