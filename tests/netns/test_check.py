"""`drpf check`: each fault of the host is found and its cure cures it; a clean host has none."""
import json
import re

import pytest
from gateway import DRPF, Gateway
from lab import Lab
from namespaces import wait_for

CONFIG = "[tunnel]\nwireguard_port = 51820\n[ports]\nreserved = [20022]\n"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with Lab(tmp_path_factory.mktemp("check"), homes=0) as lab:
        yield Gateway(lab, config=CONFIG)


def faults(gateway, *arguments):
    """Findings that are problems or warnings, and the exit code."""
    result = gateway.cli_result("check", "--json", *arguments)
    return [row for row in json.loads(result.stdout) if row["level"] in ("problem", "warning")], result.returncode


def commands_of(cure):
    """The part of a cure that can be pasted: from the first known command on, up to an alternative."""
    found = re.search(r"\b(sysctl -w|nft (delete|insert) rule) .*", cure)
    assert found, f"nothing to paste: {cure}"
    return re.split(r", or ", found.group(0))[0]


def rule(head, text):
    return f"nft -f - <<'E'\ntable inet other {{ chain c {{ {head}; policy accept; {text}\n}}\n}}\nE"


DROP = "nft delete table inet other 2>/dev/null || true"
EARLY_SRCNAT, EARLY_DSTNAT = "type nat hook postrouting priority 90", "type nat hook prerouting priority -110"
PREROUTING, FORWARD = "type filter hook prerouting priority -150", "type filter hook forward priority 0"
DROPPING = "nft -f - <<'E'\ntable inet other { chain c { type filter hook %s priority 0; policy drop;\n}\n}\nE"

# The fault, what the finding says, its level. (Flowtables: the unit tests; not every kernel has them.)
FAULTS = {
    "a masquerade before ours": (rule(EARLY_SRCNAT, 'oifname "wan" masquerade'), "Port Shadow", "problem"),
    "a masquerade after ours": (rule("type nat hook postrouting priority 100", 'oifname "wan" masquerade'), "Port Shadow", "warning"),
    "leased ports go elsewhere": (rule(EARLY_DSTNAT, "tcp dport 20001 dnat ip to 198.51.100.20:80"), "visitors", "problem"),
    "a forward chain that drops": (DROPPING % "forward", "lets none of these through (visits to leases; answers to visitors; what devices send", "problem"),
    "an input chain that drops": (DROPPING % "input", "lets none of these through (handshakes of devices", "problem"),
    "a rule that drops": (rule(FORWARD, 'oifname "drpf0" tcp dport 25 drop'), "lets only some of these through (visits to leases; what devices are answered)", "warning"),
    "connection marks": (rule(PREROUTING, "ct mark set 7"), "connection mark", "problem"),
    "packet marks": (rule(PREROUTING, "meta mark set 7"), "packet mark", "warning"),
    "untracked packets": (rule("type filter hook prerouting priority -300", "udp dport 20001 notrack"), "connection tracking", "problem"),
    "the host's own ports": ("sysctl -qw net.ipv4.ip_local_port_range='1024 65000'", "ip_local_port_range", "problem"),
    "loopback reached from outside": ("sysctl -qw net.ipv4.conf.wan.route_localnet=1", "route_localnet", "warning"),
    "own addresses as sources": ("sysctl -qw net.ipv4.conf.all.accept_local=1", "accept_local", "warning"),
    "source routes": ("sysctl -qw net.ipv4.conf.all.accept_source_route=1", "accept_source_route", "warning"),
    "redirects": ("sysctl -qw net.ipv4.conf.all.accept_redirects=1", "accept_redirects", "warning"),
    "liberal connection tracking": ("sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1", "tcp_be_liberal", "warning"),
}


def test_a_clean_host_has_no_findings(gateway):
    assert faults(gateway) == ([], 0)
    # What is meant for others, or comes to the same, is no fault.
    gateway.host.nft("""table inet other {
 chain a { type filter hook forward priority -5; policy accept; accept; }
 chain b { type nat hook postrouting priority 100; policy accept; ip saddr 172.17.0.0/16 masquerade; }
 chain c { type nat hook prerouting priority -100; policy accept; tcp dport { 8080, 20022 } dnat ip to 198.51.100.20:80; }
 chain d { type filter hook input priority 0; policy drop; udp dport 51820 accept; iifname "drpf0" accept; }
}""")
    try:
        assert faults(gateway) == ([], 0)
    finally:
        gateway.host.sh(DROP)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_its_cure_cures_it(gateway, fault):
    make, says, level = FAULTS[fault]
    gateway.host.sh(make)
    try:
        found, code = faults(gateway)
        assert [row["level"] for row in found] == [level] and says in found[0]["message"], found
        assert code == (1 if level == "problem" else 0)
        gateway.host.sh(commands_of(found[0]["cure"]))
        assert faults(gateway) == ([], 0), found[0]["cure"]
    finally:
        gateway.host.sh(DROP)


def test_what_is_found_as_a_problem_is_in_the_status_and_gone_with_it(gateway):
    warnings = lambda: [text for text in gateway.cli_json("status")["warnings"] if "table inet other" in text]  # noqa: E731
    said_before = len(gateway.log_text())
    gateway.host.sh(DROPPING % "forward")
    try:
        found, _ = faults(gateway)
        assert len(warnings()) == 1 and found[0]["message"] in warnings()[0], warnings()
        assert gateway.log_text()[said_before:].count(found[0]["message"]) == 1, "said once"
        faults(gateway)
        assert gateway.log_text()[said_before:].count(found[0]["message"]) == 1
    finally:
        gateway.host.sh(DROP)
    assert faults(gateway) == ([], 0) and warnings() == []


def test_listeners_and_a_small_connection_table_are_found_without_a_gateway(gateway, tmp_path):
    """A file that is only to be checked; where no gateway runs."""
    host = gateway.lab.inet
    config = tmp_path / "drpf.toml"

    def check(text):
        config.write_text(text)
        done = host.run(DRPF, "check", "--json", "--config", config, "--socket", "/nonexistent", check=False)
        return [row for row in json.loads(done.stdout) if row["level"] in ("problem", "warning")], done.returncode

    assert check("") == ([], 0)
    found, code = check("[limits]\nconnections_per_device = 60000\n")
    assert len(found) == 1 and "nf_conntrack_max" in found[0]["message"] and "sysctl -w" in found[0]["cure"] and code == 0
    for port, protocol, says, level in ((20001, "TCP4-LISTEN", "inside the pool", "warning"), (40001, "UDP6-RECV", "translated to", "warning"),
                                        (51820, "UDP4-RECV", "devices are to connect to", "problem")):
        listener = host.popen("socat", "-u", f"{protocol}:{port}", "OPEN:/dev/null")
        try:
            found, code = wait_for(lambda: (answer := check(""))[0] and answer, 5, f"the listener on {port} is found")
            assert [row["level"] for row in found] == [level] and says in found[0]["message"] and str(port) in found[0]["message"], found
            assert code == (1 if level == "problem" else 0) and found[0]["cure"]
        finally:
            listener.stop()
    # With this one the gateway does not start at all.
    listener = host.popen("socat", "-u", "TCP6-LISTEN:40000", "OPEN:/dev/null")
    try:
        command = (DRPF, "check", "--json", "--config", config, "--socket", "/nonexistent")
        done = wait_for(lambda: (answer := host.run(*command, check=False)).returncode and answer, 5, "the listener on 40000 is found")
        assert done.returncode == 78 and "listens on tcp port 40000" in done.stderr and "cure: " in done.stderr, done.stderr
    finally:
        listener.stop()
    listener = host.popen("socat", "-u", "TCP4-LISTEN:20002,bind=127.0.0.1", "OPEN:/dev/null")
    try:
        wait_for(lambda: ":20002" in host.run("ss", "-Hltn").stdout, 5, "it listens")
        assert check("") == ([], 0), "nobody reaches it from outside"
    finally:
        listener.stop()


def test_a_foreign_routing_rule_that_uses_our_mark_is_found(gateway):
    rules = gateway.host.run("ip", "rule").stdout
    assert "0x10000" in rules, rules
    gateway.host.sh("ip rule add fwmark 0x10000/0x10000 pref 77 lookup 77")
    try:
        found, code = faults(gateway)
        assert code == 0 and ["packet mark" in row["message"] for row in found] == [True], found
    finally:
        gateway.host.sh("ip rule del pref 77")
    assert faults(gateway) == ([], 0)


# The gateway repairs these by itself, at once or within 2 s: they are there to be found while another program takes them away all the time.
@pytest.mark.parametrize("takes_away, says", [("ip rule del pref 101", "pref 101 to 10."),
                                              ("ip -6 rule del pref 101", "pref 101 to fd"),
                                              ("echo 0 >/proc/sys/net/ipv4/conf/all/src_valid_mark", "src_valid_mark is off"),
                                              ("echo 0 >/proc/sys/net/ipv4/ip_forward", "net.ipv4.ip_forward is off"),
                                              ("echo 0 >/proc/sys/net/ipv6/conf/all/forwarding", "net.ipv6.conf.all.forwarding is off")])
def test_what_the_gateway_keeps_repairing_is_found(gateway, takes_away, says):
    foe = gateway.host.popen("sh", "-c", f"while :; do {takes_away} 2>/dev/null; done")
    try:
        found = wait_for(lambda: [row for row in faults(gateway)[0] if says in row["message"]], 10, "it is found to be gone")
        assert {row["level"] for row in found} == {"problem"} and "find out who" in found[0]["cure"], found
    finally:
        foe.stop()
    wait_for(lambda: faults(gateway) == ([], 0), 5, "the gateway has put it back")


def test_an_unreadable_file_is_told_from_a_bad_one(gateway, tmp_path):
    done = gateway.cli_result("check", "--config", "/nonexistent.toml")
    assert done.returncode == 78 and "/nonexistent.toml" in done.stderr
    bad = tmp_path / "bad.toml"
    bad.write_text("[ports]\npol = 1\n")
    done = gateway.cli_result("check", "--config", bad)
    assert done.returncode == 78 and "bad.toml:2" in done.stderr
