#!/usr/bin/python3
"""How much of each parser the committed fuzz corpora reach: one row per fuzz target, by clang's source coverage. Called by ./dev fuzz --coverage.

fuzz_coverage.py BUILD [--uncovered]: BUILD is the tree of the preset `coverage`. A target counts for the sources that it is there for, and
only what its own corpus reaches counts. Exit code 1 when the lines of all of them together are covered less than 95 %.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import source_files

ROOT = source_files.ROOT
PERCENT_MIN = 95.0

# What reads bytes from outside, by the target that feeds it. Whatever else a source does (sockets, files) is listed with it.
PARSERS = {
    "allowed_ips_fuzz": ["protocol/wireguard/allowed_ips.cpp"],
    "configuration_fuzz": ["configuration/configuration_file.cpp", "configuration/toml_table.cpp", "configuration/toml_table.h"],
    "control_socket_fuzz": ["protocol/wireguard/control_request.cpp"],
    "dns_answer_fuzz": ["protocol/dns/address_query.cpp"],
    "followed_program_fuzz": ["client/follow/follow_rule.cpp", "client/ports/inform_wish.cpp", "client/follow/lease_requests.cpp", "client/follow/program_watch.cpp",
                              "system/socket_diagnosis.cpp"],
    "foreign_rules_fuzz": ["firewall/foreign_rules.cpp", "firewall/nft_listing.cpp"],
    "ftp_replies_fuzz": ["protocol/ftp/replies.cpp"],
    "gateway_report_fuzz": ["client/ports/published_ports.cpp"],
    "host_files_fuzz": ["client/connect/name_servers.cpp", "daemon/ssh_ports.cpp"],
    "http_client_fuzz": ["net/http_client.cpp"],
    "http_proxy_fuzz": ["protocol/http/message_head.cpp", "protocol/http/chunk_decoder.cpp", "protocol/http/body_flow.cpp", "proxy/forwarding.cpp", "proxy/target.cpp"],
    "http_server_fuzz": ["net/http_server.cpp"],
    "http_target_fuzz": ["net/http_message.cpp"],
    "ip_header_walker_fuzz": ["protocol/ip/checksum.cpp", "protocol/ip/merger.cpp", "protocol/ip/packet.cpp", "protocol/ip/splitter.cpp", "protocol/ip/too_big.cpp"],
    "json_api_fuzz": ["api/device_api.cpp", "api/error_json.cpp", "api/json_body.cpp", "api/json_text.cpp", "api/resources/accounts.cpp", "api/resources/devices.cpp",
                      "api/resources/history.cpp", "api/resources/lease_test.cpp", "api/resources/leases.cpp", "api/resources/self.cpp", "api/route_table.cpp", "api/time_text.cpp"],
    "lease_book_fuzz": [],  # no parser: it plays with the lease book
    "lease_visit_fuzz": ["scan/own/lease_visit.cpp"],
    "neighbour_answer_fuzz": [],  # the answers only: the rest of probe/neighbours.cpp are sockets
    "netlink_reply_fuzz": ["system/netlink_message.cpp", "system/nft_elements.cpp", "system/conntrack.cpp", "system/kernel_events.cpp",
                           "system/wireguard_link.cpp"],
    "port_mapping_fuzz": ["protocol/nat_pmp/messages.cpp", "protocol/pcp/messages.cpp"],
    "port_list_fuzz": ["scan/port_list.cpp"],
    "scan_resume_fuzz": ["scan/tell/resume_file.cpp", "scan/service_guess.cpp"],
    "scan_targets_fuzz": ["scan/ask/targets.cpp"],
    "scan_reply_fuzz": ["scan/ask/reply_packet.cpp"],
    "socks_fuzz": ["protocol/socks/socks.cpp"],
    "soap_fuzz": ["protocol/upnp/server.cpp", "protocol/upnp/soap.cpp"],
    "ssdp_fuzz": ["protocol/upnp/ssdp.cpp"],
    "stored_book_fuzz": ["store/sqlite/records.cpp", "store/sqlite/schema.cpp"],
    "text_values_fuzz": ["cli/port_argument.cpp", "core/address.cpp", "core/encoding.cpp", "core/port.cpp"],
    "wg_quick_file_fuzz": ["protocol/wireguard/wg_quick_file.cpp"],
    "wireguard_messages_fuzz": ["protocol/wireguard/cookie.cpp", "protocol/wireguard/handshake_gate.cpp", "protocol/wireguard/messages.cpp", "protocol/wireguard/noise_handshake.cpp",
                                "protocol/wireguard/received_initiation.cpp"],
}

# What these sources do besides reading: connecting, listening, waiting, what they write, and the texts of their own. Not counted, by the names
# of functions; "Class::name" where another class has a function of the same name that reads.
BESIDES = {
    "api/error_json.cpp": ["word", "to_json"],
    "api/json_text.cpp": ["rfc3339_utc"],
    "api/resources/history.cpp": ["to_json"],
    "api/resources/self.cpp": ["stream_self"],
    "client/follow/follow_rule.cpp": ["is_in", "matches", "is_reachable", "choose"],
    "client/ports/inform_wish.cpp": ["environment_name", "find_password", "name", "to_string"],
    "client/follow/lease_requests.cpp": ["protocol_word", "post", "give_back", "ask_for_port", "give_port_back", "ask_for_relay", "give_relay_back"],
    "client/connect/name_servers.cpp": ["run", "resolved_runs", "resolvconf_there", "find_out", "in_system_network", "present_name_servers", "set", "clear"],
    "client/follow/program_watch.cpp": ["write_whole", "watch", "start", "listen"],
    "client/ports/published_ports.cpp": ["same_numbers", "first_public_address", "ports_file_text", "to_json", "utc_text"],
    "configuration/configuration_file.cpp": ["read_configuration_file"],
    "daemon/ssh_ports.cpp": ["read_file", "ssh_ports"],
    "net/http_client.cpp": ["name_of", "unreachable", "wait_for", "connect_to", "send_all", "over_tcp", "cancel", "status", "header", "LineStream", "operator=",
                            "is_one_line", "begin"],
    "net/http_server.cpp": ["listen_tcp", "listen_on_tcp", "listen_unix", "listen_on_unix", "start", "stop", "accept_all", "admit", "forget", "endpoint", "abandon", "answer"],
    "protocol/dns/address_query.cpp": ["encode_query"],
    "protocol/upnp/soap.cpp": ["text_of", "write_answer", "write_document_answer", "write_fault"],
    "protocol/upnp/ssdp.cpp": ["ssdp_group_v6", "allow", "forget_idle"],
    "protocol/wireguard/allowed_ips.cpp": ["of_peer"],
    "protocol/wireguard/control_request.cpp": ["control_answer"],
    "protocol/wireguard/messages.cpp": ["padded_size"],
    "protocol/wireguard/noise_handshake.cpp": ["to_bytes"],
    "scan/port_list.cpp": ["ip_protocol_name"],
    "store/sqlite/records.cpp": ["number", "bytes", "write", "change", "adds", "write_book", "convert"],
    "store/sqlite/schema.cpp": ["create_schema"],
    "system/conntrack.cpp": ["open", "encode_read", "visit", "delete_where", "entries"],
    "system/kernel_events.cpp": ["open_listener", "keep_commits_only", "open", "drain"],
    "system/netlink_message.cpp": ["NetlinkWriter::text", "NetlinkWriter::u8", "NetlinkWriter::u16", "NetlinkWriter::u32", "NetlinkWriter::u16_big_endian",
                                   "NetlinkWriter::u32_big_endian", "NetlinkWriter::u64_big_endian", "NetlinkWriter::open", "NetlinkWriter::close", "NetlinkWriter::add_flags"],
    "system/nft_elements.cpp": ["encoded_size", "NftData::address", "NftData::protocol", "NftData::port", "NftData::mark", "put_elements", "NftBatch::add", "NftBatch::remove",
                                "NftBatch::destroy", "put_removals", "put_table", "remove_table", "encode"],
    "system/socket_diagnosis.cpp": ["open", "listening"],
    "system/wireguard_link.cpp": ["generic_header", "put_allowed_ips", "open", "begin", "set_device", "set_peer", "send_peer", "remove_peer", "peers"],
}


def llvm_tool(name):
    return f"{name}-19"


def lines_besides(text, names):
    """Numbers of the lines of the functions of these names; lambdas are inside the function that they stand in."""
    if not names:
        return set()
    starts = [line[3:].split(",", 1) for line in text.splitlines() if line.startswith("FN:")]
    plain = subprocess.run(["c++filt"], input="\n".join(name.rsplit(":", 1)[-1] for _, name in starts), capture_output=True, text=True, check=True).stdout.splitlines()
    last = max((int(line[3:].split(",")[0]) for line in text.splitlines() if line.startswith("DA:")), default=0)
    functions = sorted({int(number): name for (number, _), name in zip(starts, plain) if "$_" not in name and "{lambda" not in name}.items())
    found = set()
    for (begin, name), (end, _) in zip(functions, functions[1:] + [(last + 1, "")]):
        # The types of templates and parameters may be spelled like functions, and stand around the name.
        called = name.replace("(anonymous namespace)::", "")
        while (bare := re.sub(r"<[^<>]*>", "", called)) != called:
            called = bare
        called = called.split("[abi:")[0].split("(")[0].split(" ")[-1].split("::")
        if called[-1] in names or "::".join(called[-2:]) in names:
            found.update(range(begin, end))
    return found


def coverage_of(build, target, folder):
    """{source: (lines, covered, [numbers of lines that are not])} for the target's own corpus."""
    program = os.path.join(build, "tests", "fuzz_corpora")
    raw, merged = (os.path.join(folder, f"{target}.{end}") for end in ("profraw", "profdata"))
    corpus = os.path.join(ROOT, "tests", "fuzz", "corpus", target)
    subprocess.run([program, target, corpus], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, LLVM_PROFILE_FILE=raw))
    subprocess.run([llvm_tool("llvm-profdata"), "merge", "-sparse", raw, "-o", merged], check=True)
    found = {}
    for source in PARSERS[target]:
        path = os.path.join(ROOT, "src", source)
        text = subprocess.run([llvm_tool("llvm-cov"), "export", "-format=lcov", f"-instr-profile={merged}", program, path], check=True, capture_output=True, text=True).stdout
        lines = {}
        besides = lines_besides(text, BESIDES.get(source, []))
        for line in text.splitlines():
            if line.startswith("DA:"):
                number, count = line[3:].split(",")[:2]
                if int(number) in besides:
                    continue
                lines[int(number)] = max(lines.get(int(number), 0), int(count))
        found[source] = (len(lines), sum(count > 0 for count in lines.values()), sorted(number for number, count in lines.items() if count == 0))
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--uncovered", action="store_true", help="also the lines that no input reaches")
    parser.add_argument("--only", metavar="TARGET", action="append", help="only this target")
    parser.add_argument("--json", help="write the table there too")
    arguments = parser.parse_args()
    targets = sorted(name[:-4] for name in os.listdir(os.path.join(ROOT, "tests", "fuzz")) if name.endswith("_fuzz.cpp"))
    if missing := [target for target in targets if target not in PARSERS]:
        print(f"tools/fuzz_coverage.py does not know what these targets are there for: {', '.join(missing)}", file=sys.stderr)
        return 1
    if arguments.only:
        targets = [target for target in targets if target in arguments.only or target.removesuffix("_fuzz") in arguments.only]
    targets = [target for target in targets if PARSERS[target]]
    rows = []
    with tempfile.TemporaryDirectory(prefix="drpf-coverage-") as folder:
        for target in targets:
            found = coverage_of(os.path.abspath(arguments.build), target, folder)
            rows.append((target, sum(lines for lines, _, _ in found.values()), sum(covered for _, covered, _ in found.values()), found))
    print(f"{'target':26} {'lines':>6} {'reached':>8} {'percent':>8}")
    for target, lines, covered, found in rows:
        print(f"{target:26} {lines:6} {covered:8} {100 * covered / max(lines, 1):7.1f}%")
        if arguments.uncovered:
            for source, (_, _, numbers) in found.items():
                if numbers:
                    print(f"    src/{source}: {' '.join(map(str, numbers))}")
    lines, covered = sum(row[1] for row in rows), sum(row[2] for row in rows)
    percent = 100 * covered / max(lines, 1)
    print(f"{'all parsers':26} {lines:6} {covered:8} {percent:7.1f}%")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({target: {"lines": lines, "reached": covered} for target, lines, covered, _ in rows}, file, indent=1)
    if percent < PERCENT_MIN:
        print(f"less than {PERCENT_MIN:.0f} % of the parsers' lines are reached; --uncovered shows which are not", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
