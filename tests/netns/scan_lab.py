"""A network for the scanner: scanner – router – target, both families, all of it private addresses.

    scanner 10.41.0.2 ── 10.41.0.1 router 10.42.0.1 ── 10.42.0.2 target (and further addresses of it, one for each odd line)

Which port behaves how is in `Behaviour` and its rule; what a scan has to say of it is in scan_table.py.
"""
import json
import select
import socket
import threading
from dataclasses import dataclass

from gateway import DRPF
from namespaces import Namespaces

FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
NOBODY = 65534
PORT_BASE = 3000
PROTOCOL_BASE = 144  # numbers that nobody has

# No limit on ICMP errors but where a test wants one.
UNLIMITED = {"net.ipv4.icmp_ratelimit": 0, "net.ipv4.icmp_msgs_per_sec": 100_000, "net.ipv4.icmp_msgs_burst": 100_000, "net.ipv6.icmp.ratelimit": 0}


@dataclass(frozen=True)
class Behaviour:
    name: str
    place: str  # "target", "router", or "" for what needs no rule
    rule: str = ""  # after the match of the port
    tcp_only: bool = False
    listens: bool = False


REJECTS = {4: {"net-unreachable": "net-unreach", "host-unreachable": "host-unreach", "prot-unreachable": "proto-unreach",
               "port-unreachable": "port-unreach", "net-prohibited": "net-prohibited", "host-prohibited": "host-prohibited",
               "admin-prohibited": "admin-prohibited"},
           6: {"no-route": "no-route", "admin-prohibited": "admin-prohibited", "addr-unreachable": "addr-unreach", "port-unreachable": "port-unreach",
               "policy-fail": "policy-fail", "reject-route": "reject-route"}}


def behaviours(version):
    found = [Behaviour("open", "", listens=True), Behaviour("closed", ""), Behaviour("stateful", "target", tcp_only=True, listens=True),
             Behaviour("hop-limit", "router")]
    for place in ("target", "router"):
        found.append(Behaviour(f"drop-{place}", place, "drop", listens=True))
        found.append(Behaviour(f"tcp-reset-{place}", place, "reject with tcp reset", tcp_only=True, listens=True))
        for code in REJECTS[version]:
            found.append(Behaviour(f"{code}-{place}", place, f"reject with {'icmp' if version == 4 else 'icmpv6'} type {code}", listens=True))
    return found


def ports_of(version):
    """{behaviour: its port}; the two families have different ones."""
    return {behaviour: PORT_BASE + 100 * version + number for number, behaviour in enumerate(behaviours(version))}


def protocols_of(version):
    return {behaviour: PROTOCOL_BASE + number for number, behaviour in enumerate(behaviours(version)) if not behaviour.tcp_only and behaviour.name != "open"}


class Responder:
    """Accepts and closes on TCP ports, sends back what comes on UDP ports; one thread for all."""

    def __init__(self, host):
        self.host = host
        self.poll, self.sockets = select.epoll(), {}
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def listen(self, version, port, address=None, kinds=(socket.SOCK_STREAM, socket.SOCK_DGRAM), answer=None):
        """`answer`: what a UDP port makes of a datagram, instead of sending it back."""
        for kind in kinds:
            made = self.host.socket(FAMILY[version], kind)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if version == 6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind((address or ("0.0.0.0" if version == 4 else "::"), port))
            if kind == socket.SOCK_STREAM:
                made.listen(1024)
            made.setblocking(False)
            self.sockets[made.fileno()] = (made, kind, answer)
            self.poll.register(made.fileno(), select.EPOLLIN)

    def _serve(self):
        while not self.closing.is_set():
            for number, _ in self.poll.poll(0.2):
                made, kind, answer = self.sockets[number]
                try:
                    if kind == socket.SOCK_STREAM:
                        made.accept()[0].close()
                    else:
                        data, peer = made.recvfrom(65536)
                        if answer is None or (data := answer(data)):
                            made.sendto(data, peer)
                except OSError:
                    pass

    def close(self):
        self.closing.set()
        self.thread.join(5)
        self.poll.close()
        for made, _, _ in self.sockets.values():
            made.close()


class ScanLab:
    def __init__(self, folder):
        self.namespaces = Namespaces(folder)
        self.folder = self.namespaces.folder
        self.scanner, self.router, self.target = (self.namespaces.host(name) for name in ("scanner", "router", "target"))
        self.namespaces.link(self.router, "inside", self.scanner, "eth0")
        self.namespaces.link(self.router, "outside", self.target, "eth0")
        self.scanner_address = {4: "10.41.0.2", 6: "fd41::2"}
        self.router_address = {4: "10.41.0.1", 6: "fd41::1"}  # as the scanner sees it
        self.target_address = {4: "10.42.0.2", 6: "fd42::2"}
        self.router.ip("addr add 10.41.0.1/24 dev inside", "addr add fd41::1/64 dev inside nodad",
                       "addr add 10.42.0.1/24 dev outside", "addr add fd42::1/64 dev outside nodad")
        self.scanner.ip("addr add 10.41.0.2/24 dev eth0", "addr add fd41::2/64 dev eth0 nodad", "route add default via 10.41.0.1", "route add default via fd41::1")
        self.target.ip("addr add 10.42.0.2/24 dev eth0", "addr add fd42::2/64 dev eth0 nodad", "route add default via 10.42.0.1", "route add default via fd42::1")
        self.router.sysctl("net.ipv4.ip_forward", 1)
        self.router.sysctl("net.ipv6.conf.all.forwarding", 1)
        self.limit_icmp(False)
        self.responder = Responder(self.target)

    def limit_icmp(self, limited):
        defaults = {"net.ipv4.icmp_ratelimit": 1000, "net.ipv4.icmp_msgs_per_sec": 1000, "net.ipv4.icmp_msgs_burst": 50, "net.ipv6.icmp.ratelimit": 1000}
        for host in (self.router, self.target):
            for name, value in (defaults if limited else UNLIMITED).items():
                host.sysctl(name, value)

    def add_target_address(self, number):
        """One more address of the target in both families: {4: …, 6: …}."""
        added = {4: f"10.42.0.{number}", 6: f"fd42::{number:x}"}
        self.target.sh(f"ip addr add {added[4]}/24 dev eth0; ip addr add {added[6]}/64 dev eth0 nodad")
        return added

    def build_matrix(self):
        """Rules and listeners of all behaviours, on the target's first address; TCP, UDP and protocol numbers alike."""
        rules = {"target": [], "router": []}
        before = []  # the hop limit is taken away before the routing decision
        self.target.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)  # or an ACK alone would begin a connection
        for version in (4, 6):
            family = f"meta nfproto ipv{version}"
            protocols = protocols_of(version)
            for behaviour, port in ports_of(version).items():
                matches = [f"{family} meta l4proto {'tcp' if behaviour.tcp_only else '{ tcp, udp }'} th dport {port}"]
                if behaviour in protocols:
                    matches.append(f"{family} meta l4proto {protocols[behaviour]}")
                for match in matches:
                    if behaviour.name == "stateful":
                        rules["target"] += [f"{match} ct state invalid drop", f"{match} tcp flags & (fin|syn|rst|ack) == syn accept"]
                    elif behaviour.name == "hop-limit":
                        before.append(f"{match} {'ip ttl' if version == 4 else 'ip6 hoplimit'} set 1")
                    elif behaviour.place:
                        rules[behaviour.place].append(f"{match} {behaviour.rule}")
                if behaviour.listens:
                    self.responder.listen(version, port, self.target_address[version])

        def chain(name, hook, lines):
            return f"  chain {name} {{ type filter hook {hook}; policy accept;\n    " + "\n    ".join(lines) + "\n  }\n"

        self.target.nft("table inet matrix {\n" + chain("input", "input priority 0", rules["target"]) + "}\n")
        self.router.nft("table inet matrix {\n" + chain("forward", "forward priority 0", rules["router"])
                        + chain("before", "prerouting priority mangle", [f"iifname inside {rule}" for rule in before]) + "}\n")

    def command(self, kind, targets, ports, *options):
        """`drpf scan`. The connect scan needs no privileges, so it gets none."""
        ports = ports if isinstance(ports, str) else ",".join(map(str, ports))
        targets = [targets] if isinstance(targets, str) else targets
        without = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"] if kind == "connect" else []
        return [*without, DRPF, "scan", f"--{kind}", "--format", "jsonl", "--no-discovery", "--no-resume", "--progress", "none", "-p", ports, *options,
                *targets]

    def scan(self, kind, targets, ports, *options, seconds=60, codes=(0,)):
        """What the ports of the targets are: a Report."""
        command = self.command(kind, targets, ports, *options)
        result = self.scanner.run(*command, seconds=seconds, check=False)
        assert result.returncode in codes, f"{command} ended with code {result.returncode}\n{result.stdout}{result.stderr}"
        return Report(result.stdout, result.stderr)

    def close(self):
        self.responder.close()
        self.namespaces.close()


class Report:
    """What `--format jsonl` says: hosts by address, ports by number, and the summary."""

    def __init__(self, text, said=""):
        self.said = said
        lines = [json.loads(line) for line in text.splitlines()]
        self.summary = lines.pop()["summary"]
        self.notes = {host["address"]: host["notes"] for host in lines}
        self.hosts = {host["address"]: {port["port"]: port for port in host["ports"]} for host in lines}
        assert all(len(self.hosts[host["address"]]) == len(host["ports"]) for host in lines), "a port is told twice"

    def states(self, address):
        """{port: (state, reason)}, with the sender where it was another than the host itself."""
        return {port: (entry["state"], entry["reason"] + (f" from {entry['sender']}" if "sender" in entry else ""))
                for port, entry in self.hosts[address].items()}
