"""The fences of a connected device's tunnel: who speaks in the device's name, who asks for its ports, and what comes out of the tunnel."""
import re
import signal
import socket

import pytest
from gateway import DRPF
from namespaces import wait_for
from stub_gateway import TUNNEL_DEVICE, TUNNEL_DEVICE_V6, TUNNEL_GATEWAY, TUNNEL_GATEWAY_V6, leases
from test_connect import connect, make_stub, stub  # noqa: F401  (fixtures)
from test_device_network import add_box
from traffic import Capture, TcpServer, UdpServer, tcp_visit, udp_visit
from traffic import connect as visit

OWN, GATEWAYS = {4: TUNNEL_DEVICE, 6: TUNNEL_DEVICE_V6}, {4: TUNNEL_GATEWAY, 6: TUNNEL_GATEWAY_V6}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
SHORT = ("-s", "128")  # of whole packets there is room for eight
MODES = {"full": ("0.0.0.0/0, ::/0", ()), "split": ("198.51.100.16/28, 10.77.0.0/16, fd77::/64, 2001:db8:51::/64", ()),
         "inbound-only": ("0.0.0.0/0, ::/0", ("--inbound-only",))}


class Mode:
    """A device connected in one of the modes, until the end of the block; its machine is as it was before afterwards."""

    def __init__(self, host, stub, name, *arguments):  # noqa: F811
        allowed, options = MODES[name]
        self.host, self.device = host, connect(host, stub.configuration(allowed), *options, *arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.device.process.send_signal(signal.SIGCONT)
        assert self.device.disconnect() == 0

    def without(self, chain):
        """The chain is taken out, and nobody repairs it."""
        self.device.process.send_signal(signal.SIGSTOP)
        self.host.sh(f"nft flush chain inet drpf_connect_home {chain}")


def add_neighbour(lab):
    # The router's rules are not meant for its switch.
    lab.routers[0].sh("sysctl -q -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0")
    return lab.add_machine("tv", 1, 3)


def send(host, target, port, source=None, source_port=0):
    """A few datagrams; whether anything hears them is the caller's to see."""
    with host.socket(FAMILIES[6 if ":" in target else 4], socket.SOCK_DGRAM) as sender:
        if source:
            sender.bind((source, source_port))
        for _ in range(3):
            try:
                sender.sendto(b"word", (target, port))
            except OSError:
                pass  # the answer to the one before


def speakers(lines):
    """(version, source port) of the datagrams in a capture."""
    return {(6 if kind == "IP6" else 4, int(port)) for kind, port in re.findall(r" (IP6?) \S+\.(\d+) > ", "\n".join(lines))}


@pytest.mark.wall("D9", "a machine beside a device, or behind it, speaks in the device's name", None, "the device's `claiming`")
@pytest.mark.wall("D9", "a machine beside a device, or behind it, speaks in the device's name", None)
@pytest.mark.parametrize("mode", MODES)
def test_nobody_beside_a_device_speaks_in_its_name(lab, stub, mode):  # noqa: F811
    home = lab.homes[0]
    others = {4001: add_neighbour(lab), 4002: add_box(lab, home), 4003: lab.routers[0]}
    # As IPv6 always does it, and IPv4 where somebody has told it to.
    home.sh("sysctl -qw net.ipv4.conf.all.accept_local=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.box0.rp_filter=0")
    for number, other in others.items():
        via = {4: "172.30.0.1", 6: "fd30::1"} if number == 4002 else {4: "192.168.1.2", 6: lab.home_v6(1, 2)}
        other.sh(f"ip addr add {OWN[4]}/32 dev lo; ip addr add {OWN[6]}/128 dev lo nodad; "
                 f"ip route replace {GATEWAYS[4]}/32 via {via[4]}; ip -6 route replace {GATEWAYS[6]}/128 via {via[6]}")

    def all_speak(expected):
        with Capture(home, "home", "udp dst port 53", SHORT) as seen:
            # Twice: neighbours find each other in the first round. The device itself comes last.
            for number, host in (*others.items(), *others.items(), (4000, home)):
                for version in (4, 6):
                    send(host, GATEWAYS[version], 53, OWN[version], number)
            wait_for(lambda: expected <= speakers(seen.so_far()), 5, f"{expected} are heard")
            return speakers(seen.so_far())

    with Mode(home, stub, mode) as there:
        assert all_speak({(4, 4000), (6, 4000)}) == {(4, 4000), (6, 4000)}
        there.without("claiming")
        all_speak({(version, number) for version in (4, 6) for number in (4000, *others)})


@pytest.mark.wall("D22", "a machine behind a device that masquerades asks for ports in the device's name, or ends them", None, "the device's `asking`")
@pytest.mark.wall("D22", "a machine behind a device that masquerades asks for ports in the device's name, or ends them", None)
@pytest.mark.parametrize("mode", MODES)
def test_machines_behind_a_device_do_not_ask_in_its_name(lab, stub, mode):  # noqa: F811
    home, box = lab.homes[0], add_box(lab, lab.homes[0])

    def asks(host):
        return "leases" in host.run("curl", "-s", "--max-time", "1", f"http://{TUNNEL_GATEWAY}:5351/v1/self", check=False).stdout

    def all_ask():
        with Capture(home, "home", "dst port 5351 or dst port 1900 or dst port 53", SHORT) as seen:
            for version in (4, 6) if mode != "inbound-only" else (4,):  # there IPv6 has no way in for others
                for port in (5351, 1900, 53):
                    send(box, GATEWAYS[version], port)
            send(home, GATEWAYS[4], 53, OWN[4], 4000)
            wait_for(lambda: (4, 4000) in speakers(seen.so_far()), 5, "the device itself is heard")
            return {(6 if kind == "IP6" else 4, int(port)) for kind, port in re.findall(r" (IP6?) \S+ > \S+\.(\d+):", "\n".join(seen.so_far()))}

    asked = {(version, port) for version in ((4, 6) if mode != "inbound-only" else (4,)) for port in (5351, 1900)}
    with Mode(home, stub, mode) as there:
        assert asks(home) and not asks(box), "its own programs ask, and nobody else"
        assert not all_ask() & asked
        there.without("asking")
        assert all_ask() >= asked
    with Mode(home, stub, mode, "--may-ask", "box0"):
        assert asks(box), "who is named may"


@pytest.mark.wall("D22", "a hostile gateway reaches a device's servers, its neighbours, or the world by its line", None, "`--let-in all`")
@pytest.mark.wall("D22", "a hostile gateway reaches a device's servers, its neighbours, or the world by its line", None)
@pytest.mark.parametrize("mode", MODES)
def test_only_answers_and_leases_come_out_of_the_tunnel(lab, stub, mode):  # noqa: F811
    home, gw = lab.homes[0], lab.gw
    add_neighbour(lab)
    home.sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    beyond = {4: ("192.168.1.2", "192.168.1.3", "203.0.113.9"), 6: (lab.home_v6(1, 2), lab.home_v6(1, 3), "2001:db8:99::9")}
    gw.run("wg", "set", "wg0", "peer", stub.device_public, "allowed-ips", "0.0.0.0/0,::/0")
    for version, family in ((4, ""), (6, "-6")):
        gw.sh(";".join(f"ip {family} route add {address} dev wg0" for address in beyond[version]))

    def reached():
        """What of the device and behind it hears the gateway."""
        found = set()
        with TcpServer(home, 2222), UdpServer(home, 2222, (4,), OWN[4]), UdpServer(home, 2222, (6,), OWN[6]):
            for version in (4, 6):
                for name, address in (("inside", OWN[version]), ("device", beyond[version][0])):
                    if tcp_visit(gw, address, 2222, seconds=0.4):
                        found.add((name, version))
                if udp_visit(gw, OWN[version], 2222, seconds=0.2, tries=1):
                    found.add(("udp", version))
        with TcpServer(home, 20000), Capture(home, "eth0", "udp port 7777", SHORT) as seen:
            for version in (4, 6, 4, 6):  # neighbours find each other in the first round
                for target in beyond[version][1:]:
                    send(gw, target, 7777)
            assert tcp_visit(gw, OWN[4], 20000), "it is leased; and what was sent before it has come through the tunnel"
            send(home, "192.168.1.3", 7777, "192.168.1.2", 4000)
            wait_for(lambda: (4, 4000) in speakers(seen.so_far()), 5, "what the device itself sends is seen")
            others = "\n".join(line for line in seen.so_far() if "192.168.1.2.4000" not in line)
            return found | {(name, version) for version in (4, 6) for name, target in (("neighbour", 1), ("line", 2))
                            if f" > {beyond[version][target]}.7777" in others}

    with Mode(home, stub, mode):
        # Inbound only, a UDP server answers from where it was asked if it is bound there.
        with TcpServer(home, 20000), UdpServer(home, 20001, (4,), OWN[4]), UdpServer(home, 20001, (6,), OWN[6]), TcpServer(lab.inet, 80):
            for public in (lab.gw_v4, lab.gw_v6):
                assert tcp_visit(lab.inet, public, 20000) and udp_visit(lab.inet, public, 20001), "visits to leases come in"
            if mode != "inbound-only":
                assert tcp_visit(home, lab.inet_v4, 80) and tcp_visit(home, lab.inet_v6, 80), "and answers"
            with visit(lab.inet, lab.gw_v4, 20000) as standing:
                standing.settimeout(1)
                standing.recv(100)
                stub.api.publish(leases(20001, 1))
                wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, 20000, seconds=0.3) is None, 5, "a lease that has ended is closed here, too")
                standing.sendall(b"still here?")
                with pytest.raises(TimeoutError):
                    standing.recv(100)
            stub.api.publish(leases(20000))
            wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, 20000, seconds=1), 5, "and open again with it")
        assert reached() == set()
    with Mode(home, stub, mode, "--let-in", "2222/tcp"):
        assert reached() == {("inside", 4), ("inside", 6)}, "what is named, and it alone"
    with Mode(home, stub, mode, "--let-in", "all"):
        everything = {(name, version) for name in ("inside", "udp", "device", "neighbour", "line") for version in (4, 6)}
        kept_by_the_kill_switch = {("neighbour", 6), ("line", 4), ("line", 6)} if mode == "full" else set()
        assert reached() == everything - kept_by_the_kill_switch
    assert "drpf" not in home.run("nft", "list", "ruleset").stdout and home.run(DRPF, "connect", "home", "--status").returncode == 0
