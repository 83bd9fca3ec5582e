"""`drpf ports --mine`: what it says of who can reach a port is what a visitor finds."""
import json

from gateway import DRPF, Gateway
from lab import Lab
from traffic import TcpServer, tcp_visit

RULES = """
table inet own {
  set web { type inet_service; flags interval; elements = { 2201, 2210-2219 } }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iifname "lo" accept
    meta l4proto { icmp, ipv6-icmp } accept
    tcp dport @web counter accept comment "the web"
    ip saddr %s tcp dport 2202 accept
    iifname "elsewhere" tcp dport 2205 accept
    tcp dport 2206 jump careful
    tcp dport 2207 meta mark 0x7 accept
  }
  chain careful { tcp flags & (fin | syn) == fin | syn drop; limit rate over 100/second burst 20 packets drop; accept; }
}
"""
EXPECTED = {2201: "everybody", 2202: "some", 2203: "nobody", 2204: "this machine", 2205: "nobody", 2206: "everybody", 2207: "unknown", 2215: "everybody"}


def mine(host, *before):
    return {row["port"]: row for row in json.loads(host.run(*before, DRPF, "ports", "--mine", "--json").stdout)}


def test_own_ports_are_reached_as_it_says(lab):
    lab.gw.nft(RULES % lab.inet_v4)
    servers = [TcpServer(lab.gw, port, versions=(4,), bind="127.0.0.1" if port == 2204 else None) for port in EXPECTED]
    try:
        own = mine(lab.gw)
        assert {port: own[port]["reachable_from"] for port in EXPECTED} == EXPECTED
        assert "ip saddr" in own[2202]["ways"][0]["because"] and "mark" in own[2207]["ways"][0]["because"]
        assert own[2203]["ways"][0]["because"] == "inet own input: policy drop"
        for port, who in EXPECTED.items():
            reached = tcp_visit(lab.inet, lab.gw_v4, port, seconds=0.7) is not None
            assert reached == (who in ("everybody", "some")), (port, who, reached)  # the visitor is one of the "some"
        text = lab.gw.run(DRPF, "ports", "--mine").stdout
        assert "2207/tcp" in text and "by wan, unknown: inet own input" in text
        # Without rights it says that it cannot know.
        simple = mine(lab.gw, "setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")
        assert {simple[port]["reachable_from"] for port in EXPECTED if port != 2204} == {"unknown"}
        assert simple[2204]["reachable_from"] == "this machine"
    finally:
        for server in servers:
            server.close()


def test_the_gateways_own_rules_are_understood(tmp_path):
    with Lab(tmp_path / "lab", homes=0) as lab:
        Gateway(lab)
        own = mine(lab.gw)
        assert own[51820]["reachable_from"] == "everybody", own[51820]["ways"]
        assert own[51820]["program"] == "drpf"
        assert all(row["reachable_from"] != "unknown" for row in own.values()), own
