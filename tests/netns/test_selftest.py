"""`drpf selftest`: it holds on a good gateway, fails on one without a wall, and leaves the machine as it was."""
import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from gateway import DRPF
from namespaces import wait_for

SELFTEST_SECONDS_MAX = 100
THREATS = {
    "port-shadow-udp", "port-shadow-tcp", "port-shadow-icmp", "port-shadow-portless", "stale-inbound-udp", "stale-inbound-tcp", "stale-outbound",
    "stale-move", "stale-expiry", "mid-stream", "port-fail", "hairpin", "device-to-device", "spoofed-device", "spoofed-stranger", "tunnel-address",
    "fragments", "forged-icmp", "reserved-ports", "early-reuse", "public-side", "exhaust-out", "exhaust-in", "foreign-flush",
    "foreign-firewall", "dead-gateway",
}


def selftest(host, *arguments, path=None, config=None):
    """Exit code, and the verdicts by name with the whole findings."""
    env = {"PATH": f"{path}:{os.environ['PATH']}"} if path else {}
    arguments = (["--config", str(config)] if config else []) + list(arguments)
    done = host.run(DRPF, "selftest", "--json", "--logs", *arguments, env=env, check=False, seconds=SELFTEST_SECONDS_MAX)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    assert result["passed"] is (done.returncode == 0), done.stdout
    return done.returncode, {threat["name"]: threat["verdict"] for threat in result["threats"]}, f"{json.dumps(result, indent=1)}\n{done.stderr}"


def state_of(host):
    """All that a careless self-test would change."""
    commands = ("nft list ruleset", "ip rule", "ip -6 rule", "ip -o link", "ip addr", "ip route show table all", "ip -6 route show table all")
    state = {command: host.run(*command.split()).stdout for command in commands}
    state["sysctl"] = [line for line in host.run("sysctl", "-a", check=False).stdout.splitlines()
                       if line.startswith(("net.", "kernel.", "user.")) and "random" not in line and "ns_last_pid" not in line
                       and "nf_conntrack_count" not in line]
    state["folders"] = {folder: sorted(os.listdir(f"/proc/{host.pid}/root{folder}")) for folder in ("/run", "/var/lib")}
    state["processes"] = host.run("ip", "netns", "list").stdout
    return state


@pytest.mark.timeout(SELFTEST_SECONDS_MAX + 20)
def test_everything_is_closed_and_the_host_is_as_before(lab):
    host = lab.gw
    host.nft("table inet other {\n chain c {\n type filter hook forward priority 5; policy accept;\n counter\n }\n}\n")
    host.sh("ip rule add pref 77 from 192.0.2.99 lookup 77")
    before = state_of(host)
    start = time.monotonic()
    code, verdicts, told = selftest(host)
    assert time.monotonic() - start < 60
    assert verdicts == dict.fromkeys(THREATS, "closed") and code == 0, told
    assert state_of(host) == before


OPERATORS = """
[[host]]
name = "outer"
interfaces = ["ens3"]
ipv4 = "9.9.9.9"
[[host]]
name = "other"
ipv4 = "9.9.9.10"
ipv6 = "2620:fe::10"
[entry]
ipv4 = "9.9.9.10"
name = "vpn.example.org"
[tunnel]
interface = "wgx"
ipv4 = "10.99.0.0/20"
ipv6 = "fd99::/64"
wireguard_port = 4500
[ports]
pool = "20000-29999"
snat = "40000-47999"
ephemeral = "50000-59999"
reserved = ["20022", 25000]
services_tcp = [22, 443]
services_udp = [443]
[limits]
connections_per_device = 50000
[[plan]]
name = "family"
ports_max = 3
ports_at_connect = 3
"""


@pytest.mark.timeout(SELFTEST_SECONDS_MAX + 20)
def test_the_operators_own_configuration_is_what_is_tested(lab, tmp_path):
    config = tmp_path / "drpf.toml"
    config.write_text(OPERATORS)
    code, verdicts, told = selftest(lab.gw, config=config)
    assert verdicts == dict.fromkeys(THREATS, "closed") and code == 0, told
    assert "4500" in told and "29999" in told  # its ports were the ones tried


def emptied(names):
    """The rules stay, for a rule set that is not whole is no start, but they do nothing."""
    return rf's/^\(add rule inet drpf [a-z_]*\) .* \(comment "\({names}\)[^"]*"\)$/\1 counter \2/'


# What is changed in the rules on their way into the kernel, and which threats must then be open.
WALLS = {
    "devices' traffic leaves from any port": (r's/masquerade to :32768-51199 fully-random/masquerade/', "shadow", {"port-shadow-udp", "port-shadow-tcp"}),
    "any protocol leaves the tunnel": (r's/ct state new meta l4proto { tcp, udp } accept/ct state new accept/; '
                                       r's/meta l4proto { icmp, 58 } masquerade/masquerade/', "portless", {"port-shadow-portless"}),
    "generations are not checked": (emptied(r"revoked\|inbound_without_lease"), "stale-expiry", {"stale-expiry"}),
    "the middle of a TCP conversation is taken up": (emptied("tcp_without_syn"), "mid-stream", {"mid-stream"}),
    "devices' own addresses may visit leases": (emptied("port_fail"), "port-fail", {"port-fail"}),
    "devices may speak to each other": (r's/\(iifname "drpf0" oifname "drpf0" counter\) drop/\1 accept/', "device-to-device", {"device-to-device"}),
    "leases are there for devices too": (r's/iifname {[^}]*} ct mark @live dnat/ct mark @live dnat/; s/iifname {[^}]*} ct state new ct mark 0/ct state new ct mark 0/; '
                                         r's/\(iifname "drpf0" oifname "drpf0" counter\) drop/\1 accept/', "hairpin", {"hairpin"}),
    "tunnel addresses are reached from outside": (emptied(r"tunnel_address_from_outside\|inbound_without_lease") + r'; s/ct state new ct status dnat ct mark @live accept/ct state new accept/',
                                                  "tunnel-address", {"tunnel-address"}),
    "the input chain lets everything in": (r'/hook input/s/policy drop/policy accept/', "public-side", {"public-side"}),
    "no limit of connections outward": (emptied("connections_out"), "exhaust-out", {"exhaust-out"}),
    "no limit of connections inward": (emptied(r"connections_in\|lease_share\|visitor_share"), "exhaust-in", {"exhaust-in"}),
    "nobody refuses what no rule has seen": ("dead-man", "dead-gateway", {"dead-gateway"}),
    "nothing comes through at all": (r's/meta mark set meta mark or 0x10000/drop/', "port-fail", set()),
}
DROP_DEAD_MAN = "for family in 4 6; do printf \"rule del pref %s\\n\" 100 101 102 | ip -$family -force -batch -; done"


def weakened_nft(folder, edit):
    real = shutil.which("nft")
    # Again and again, for a gateway that runs puts them back; and often, for between its death and the visit is little time.
    again = f"timeout 30 sh -c 'while sleep 0.01; do {DROP_DEAD_MAN}; done' </dev/null >/dev/null 2>&1 &"
    load = f"{real} \"$@\"; code=$?; {again} exit $code" if edit == "dead-man" else f"sed '{edit}' | {real} \"$@\""
    program = folder / "nft"
    program.write_text(f"#!/bin/sh\nif [ \"$1\" = -f ]; then {load}; else exec {real} \"$@\"; fi\n")
    program.chmod(0o755)
    return folder


@pytest.mark.parametrize("wall", WALLS)
def test_a_gateway_without_a_wall_does_not_pass(lab, tmp_path, wall):
    edit, only, expected = WALLS[wall]
    code, verdicts, told = selftest(lab.gw, "--only", only, path=weakened_nft(tmp_path, edit))
    assert code == 1, told
    assert {name for name, verdict in verdicts.items() if verdict == "open"} == expected, told
    if not expected:
        assert set(verdicts.values()) == {"untried"}, told


def test_what_cannot_be_asked_for_is_said(lab):
    host = lab.gw
    done = host.run(DRPF, "selftest", "--only", "moonlight", check=False)
    assert done.returncode == 64 and "moonlight" in done.stderr and "port-shadow-udp" in done.stderr
    done = host.run(DRPF, "selftest", "--config", "/nonexistent.toml", check=False)
    assert done.returncode == 78 and "/nonexistent.toml" in done.stderr


def test_it_needs_root_and_says_so(tmp_path):
    folder = "/tmp/drpf-selftest-%d" % os.getpid()
    os.makedirs(folder)
    os.chmod(folder, 0o755)
    try:
        binary = shutil.copy(DRPF, folder)
        done = subprocess.run(["runuser", "-u", "nobody", "--", binary, "selftest"], capture_output=True, text=True, check=False, cwd="/")
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 77 and "sudo drpf selftest" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_it_is_killed(lab, number):
    host = lab.gw
    before = state_of(host)
    running = host.popen(DRPF, "selftest")
    running.wait_for_output("port-shadow-udp", 30)
    inside = [pid for pid in descendants(running.pid) if os.path.exists(f"/proc/{pid}")]
    assert len(inside) >= 4
    running.stop(number)
    wait_for(lambda: not [pid for pid in inside if os.path.exists(f"/proc/{pid}")], 5, "all its processes are gone")
    assert state_of(host) == before


def descendants(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        children = [int(child) for child in file.read().split()]
    return children + [below for child in children for below in descendants(child)]
