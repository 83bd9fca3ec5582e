"""What others break on the host is closed meanwhile, repaired, counted and said: rule sets, routing rules, routes, addresses, interfaces."""
import json
import os
import signal
import socket
import statistics
import time

import pytest
from gateway import Gateway, WireGuardDevice
from namespaces import wait_for
from redirect_lab import Stream, drain
from traffic import TcpServer, UdpServer, tcp_visit, udp_visit

LONGER = os.environ.get("DRPF_LONGER") == "1"
FLUSHES = 1000 if LONGER else 20
REPAIR_SECONDS_MAX = 2.0
SLACK = 1.5  # of a machine that does other things beside
TUNNELS = {4: "10.77.0.0/16", 6: "fd77:6472:7066::/64"}


class Connected:
    """A gateway whose table others can change (Linux before 6.9), and a device with its ports."""

    def __init__(self, lab, host=None, arguments=("--plain-table",)):
        self.lab = lab
        self.gateway = Gateway(lab, arguments=arguments)
        self.host = host or lab.homes[0]
        self.device = WireGuardDevice(self.host, self.gateway.add_device("ann", "laptop"))
        self.port = self.gateway.wait_for_ports("laptop")[0]

    def public(self, version):
        return self.lab.gw_v4 if version == 4 else self.lab.gw_v6

    def inside(self, version):
        return self.device.address(version)

    def repaired(self):
        return self.gateway.cli_json("status")["repaired"]

    def is_visited(self, version):
        return udp_visit(self.lab.inet, self.public(version), self.port, seconds=0.3, tries=3) is not None


@pytest.fixture
def net(lab):
    return Connected(lab)


class LeakWatch:
    """Counts packets that went where they must not: into the tunnel past the leases, and out of it with a tunnel address."""

    def __init__(self, net, version):
        lab, family = net.lab, socket.AF_INET if version == 4 else socket.AF_INET6
        lab.inet.sh(f"ip route replace {TUNNELS[4]} via {lab.gw_v4}; ip -6 route replace {TUNNELS[6]} via {lab.gw_v6}")
        self.inner = net.host.socket(family, socket.SOCK_DGRAM)
        self.inner.bind((net.inside(version), 20999))  # no lease leads here
        self.outer = lab.inet.socket(family, socket.SOCK_DGRAM)
        self.outer.bind(("0.0.0.0" if version == 4 else "::", 20998))
        self.attack = lab.inet.socket(family, socket.SOCK_DGRAM)
        self.streams = [Stream(self.attack, (net.inside(version), 20999)),
                        Stream(self.inner, (lab.inet_v4 if version == 4 else lab.inet_v6, 20998))]
        self.allowed = net.public(version)

    def leaks(self):
        """What came through, and how much of the device's own traffic was seen at all."""
        outside = drain(self.outer)
        return drain(self.inner) + [(data, peer) for data, peer in outside if peer[0] != self.allowed], len(outside)

    def close(self):
        for stream in self.streams:
            stream.closing.set()
            stream.thread.join(5)
        for held in (self.inner, self.outer, self.attack):
            held.close()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.timeout(3 * 3600 if LONGER else 180)
def test_flush_after_flush_under_traffic_leaks_nothing(net, version):
    lab, gw = net.lab, net.lab.gw
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    holder = net.host.socket(family, socket.SOCK_DGRAM)
    holder.bind((net.inside(version), net.port))
    visitor = lab.inet.socket(family, socket.SOCK_DGRAM)
    watch = LeakWatch(net, version)
    leaks, seen_outside = [], 0
    closed = []
    damages = ("nft flush ruleset", "nft delete table inet drpf", "nft flush chain inet drpf forward; nft flush map inet drpf genin4",
               "nft flush ruleset; iptables -P FORWARD ACCEPT; iptables -F; ip6tables -F")
    with Stream(visitor, (net.public(version), net.port)) as stream:
        wait_for(lambda: drain(holder), 10, "the stream runs")
        for number in range(FLUSHES // 2):  # for each family
            gw.sh(damages[number % len(damages)])
            begin, first_after = time.monotonic(), stream.sent
            arrived = lambda: any(int(data) > first_after for data, _ in drain(holder))  # noqa: E731
            wait_for(arrived, REPAIR_SECONDS_MAX * SLACK + 2, "visitors come in again", every=0.002)
            closed.append(time.monotonic() - begin)
            more, outside = watch.leaks()
            leaks, seen_outside = leaks + more, seen_outside + outside
    print(f"closed for: median {statistics.median(closed) * 1000:.0f} ms, longest {max(closed) * 1000:.0f} ms")
    watch.close()
    assert leaks == [] and seen_outside > 0
    assert max(closed) < REPAIR_SECONDS_MAX * SLACK
    assert statistics.median(closed) < 0.8, "events tell; the timer alone would need a second in the middle"
    status = net.gateway.cli_json("status")
    assert status["repaired"]["counts"]["the table inet drpf"] >= FLUSHES // 2 * 0.7
    assert status["repaired"]["alarm"] and "more than 3 repairs within a minute" in status["warnings"][0]
    assert "another program works against the gateway" in net.gateway.cli("status")
    log = net.gateway.log_text()
    assert "changed by the program 'nft'" in log
    assert log.count("repaired: the table inet drpf") <= 2 + sum(closed) // 5 + FLUSHES // 4  # said, but not each time


DAMAGES = {
    "rules-v4": ("for p in 100 101 102; do ip rule del pref $p; done", "the routing rules", "ip rule | grep -c 'fwmark 0/0x10000' | grep -qx 2"),
    "rules-v6": ("for p in 100 101 102; do ip -6 rule del pref $p; done", "the routing rules", "ip -6 rule | grep -c 'fwmark 0/0x10000' | grep -qx 2"),
    "route-v4": (f"ip route del {TUNNELS[4]} dev drpf0", "the routes to the tunnel", f"ip route show {TUNNELS[4]} dev drpf0 | grep -q ."),
    "route-v6": (f"ip -6 route del {TUNNELS[6]} dev drpf0", "the routes to the tunnel", f"ip -6 route show {TUNNELS[6]} dev drpf0 | grep -q ."),
    "blackholes": (f"ip route del blackhole {TUNNELS[4]}; ip -6 route del blackhole {TUNNELS[6]}", "the routes to the tunnel",
                   "ip route | grep -q ^blackhole && ip -6 route | grep -q ^blackhole"),
    "addresses": ("ip addr flush dev drpf0", "the addresses of the tunnel's interface", "ip addr show drpf0 | grep -q 10.77.0.1/16"),
    "down": ("ip link set drpf0 down", "the tunnel's interface, which was down", "ip -6 addr show drpf0 | grep -q fd77:6472:7066::1/64"),
    "forwarding-v4": ("sysctl -qw net.ipv4.ip_forward=0", "the kernel parameter net.ipv4.ip_forward", "sysctl -n net.ipv4.ip_forward | grep -qx 1"),
    "forwarding-v6": ("sysctl -qw net.ipv6.conf.all.forwarding=0", "the kernel parameter net.ipv6.conf.all.forwarding",
                      "sysctl -n net.ipv6.conf.all.forwarding | grep -qx 1"),
}


def test_what_is_taken_away_comes_back_and_is_said(net):
    gw = net.lab.gw
    with UdpServer(net.host, net.port, versions=(4,), bind=net.inside(4)), UdpServer(net.host, net.port, versions=(6,), bind=net.inside(6)):
        assert net.is_visited(4) and net.is_visited(6)
        for name, (damage, what, is_back) in DAMAGES.items():
            before = net.repaired()["counts"].get(what, 0)
            gw.sh(damage)
            began = time.monotonic()
            wait_for(lambda: gw.run("sh", "-c", is_back, check=False).returncode == 0, REPAIR_SECONDS_MAX * SLACK, f"{name} is repaired")
            print(f"{name}: back within {(time.monotonic() - began) * 1000:.0f} ms")
            wait_for(lambda: net.repaired()["counts"].get(what, 0) > before, 3, f"{name} is counted")
            assert net.is_visited(4) and net.is_visited(6), name
    assert "repaired: the routing rules" in net.gateway.log_text()


def test_while_the_tunnel_route_is_away_nothing_goes_another_way(net):
    """The gateway process stands still, so that nothing is repaired: what is for devices must not leave by the default route."""
    lab, gw = net.lab, net.lab.gw
    with UdpServer(net.host, net.port, versions=(4,), bind=net.inside(4)):
        assert net.is_visited(4)
        net.gateway.process.send_signal(signal.SIGSTOP)
        gw.sh(f"ip route del {TUNNELS[4]} dev drpf0; ip route del {TUNNELS[4]}")  # even without the blackhole
        with lab.isp.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as tap:
            tap.bind(("gw", 0x0800))
            assert not net.is_visited(4)
            strayed = [packet for packet, _ in drain(tap) if packet[16:18] == bytes([10, 77]) or packet[12:14] == bytes([10, 77])]
        net.gateway.process.send_signal(signal.SIGCONT)
        assert strayed == []
        wait_for(lambda: net.is_visited(4), REPAIR_SECONDS_MAX * SLACK + 2, "and it goes on")


@pytest.mark.quick
def test_another_public_address_moves_the_leases_and_the_device_is_told(make_lab):
    """As a DHCP server does it: the old address is removed, a new one comes. The device is on the Internet itself, so it can be called."""
    lab = make_lab(homes=0)
    net = Connected(lab, host=lab.add_visitor("mobile", 31), arguments=())
    old, new = lab.gw_v4, lab.plan.address4(7)
    # What is asked through the tunnel is answered through it, although the visitor is a neighbour.
    net.host.sh(f"ip rule add from {net.inside(4)} lookup 100; ip route add default dev wg0 table 100;"
                f"ip -6 rule add from {net.inside(6)} lookup 100; ip -6 route add default dev wg0 table 100")
    events = lab.gw.popen("curl", "-sN", "--unix-socket", net.gateway.socket, "http://localhost/v1/events")
    events.wait_for_output('"open"')
    with TcpServer(net.host, net.port), net.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as program:
        program.bind(("0.0.0.0", 5350))  # where programs that asked by NAT-PMP or PCP hear of it
        program.settimeout(10)
        assert tcp_visit(lab.inet, old, net.port) and tcp_visit(lab.inet, lab.gw_v6, net.port)
        lab.gw.sh(f"ip addr del {old}/24 dev wan")
        # For a moment there is none: the leases wait where they were, they are not ended and made anew.
        assert old in net.gateway.cli("lease", "list") and net.gateway.ports("laptop", state="active")
        lab.gw.sh(f"ip addr add {new}/24 dev wan; ip route replace default via {lab.plan.address4(lab.plan.isp)}")
        began = time.monotonic()
        wait_for(lambda: new in net.gateway.cli("lease", "list"), REPAIR_SECONDS_MAX * SLACK, "the leases are on the new address")
        print(f"leases are on the new address after {(time.monotonic() - began) * 1000:.0f} ms")
        events.wait_for_output('"what":"leases","device":"laptop"', 3)
        wait_for(lambda: tcp_visit(lab.inet, new, net.port, seconds=0.5), 10, "visitors come in by the new address")
        told = [program.recv(100), program.recv(100)]
        assert told[0][:4] == bytes([0, 128, 0, 0]) and told[0][8:] == socket.inet_aton(new), "RFC 6886 section 3.2.1"
        assert told[1][:4] == bytes([2, 128, 0, 0]), "RFC 6887 section 14.1.1"
        lab.inet.sh(f"ip neigh flush all; ip route replace {old}/32 via {new}")
        assert tcp_visit(lab.inet, old, net.port, seconds=0.5) is None
        assert tcp_visit(lab.inet, lab.gw_v6, net.port)
    assert old not in json.dumps(net.gateway.cli_json("status")["hosts"])
    assert net.repaired()["counts"]["the public addresses, leases have moved to the new ones"] == 1


def test_a_public_interface_that_comes_back_finds_its_leases(lab):
    net = Connected(lab)
    before = net.gateway.cli_json("lease", "list")
    with TcpServer(net.host, net.port):
        lab.gw.sh("ip link set wan down")
        time.sleep(0.3)
        lab.gw.sh(f"ip link set wan up; ip addr replace {lab.gw_v6}/64 dev wan nodad; ip route replace default via {lab.plan.address4(lab.plan.isp)}; "
                  f"ip -6 route replace default via {lab.plan.address6(lab.plan.isp)}")
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, net.port, seconds=1), 15, "visitors come in again")
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v6, net.port, seconds=1), 15, "by IPv6 too")
    keys = ("public_port", "protocol", "local_port", "state")
    assert [[row[key] for key in keys] for row in net.gateway.cli_json("lease", "list")] == [[row[key] for key in keys] for row in before]


def test_a_public_interface_that_is_unplugged_and_plugged_in_again(lab):
    """As a USB modem or a virtual machine's card does: another interface with the old name."""
    net = Connected(lab)
    before = net.gateway.cli_json("lease", "list")
    with TcpServer(net.host, net.port):
        assert tcp_visit(lab.inet, lab.gw_v4, net.port)
        lab.gw.sh("ip link del wan")
        wait_for(lambda: lab.gw.run("ip", "link", "show", "wan", check=False).returncode != 0, 5, "the interface is away")
        assert net.gateway.process.running()
        assert len(net.gateway.leases("laptop")) == len(before), "the leases wait"
        lab.namespaces.link(lab.isp, "gw", lab.gw, "wan")
        lab.isp.sh("ip link set gw master br0")
        lab.gw.sh(f"ip addr add {lab.gw_v4}/24 dev wan; ip addr add {lab.gw_v6}/64 dev wan nodad;"
                  f"ip route replace default via {lab.plan.address4(lab.plan.isp)}; ip -6 route replace default via {lab.plan.address6(lab.plan.isp)}")
        for host in (lab.inet, lab.isp, lab.routers[0]):
            host.sh("ip neigh flush all")
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, net.port, seconds=1), 15, "visitors come in again")
        wait_for(lambda: tcp_visit(lab.inet, lab.gw_v6, net.port, seconds=1), 15, "by IPv6 too")
        # And the rules hold on the new interface as on the old one.
        assert udp_visit(lab.inet, lab.gw_v4, 40000, seconds=0.3, tries=1) is None
    keys = ("public_port", "protocol", "local_port", "state")
    assert [[row[key] for key in keys] for row in net.gateway.cli_json("lease", "list")] == [[row[key] for key in keys] for row in before]


def test_without_the_tunnel_interface_the_gateway_ends_closed_and_the_next_start_has_it_all(net):
    """Nobody but the kernel can give it back: the process ends and says why, and its service manager starts it again."""
    lab = net.lab
    with UdpServer(net.host, net.port, versions=(4,), bind=net.inside(4)):
        assert net.is_visited(4)
        lab.gw.sh("ip link del drpf0")
        assert net.gateway.process.wait(2) != 0
        assert "the tunnel has failed" in net.gateway.log_text()
        with lab.isp.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as tap:
            tap.bind(("gw", 0x0800))
            assert not net.is_visited(4)
            assert [packet for packet, _ in drain(tap) if packet[16:18] == bytes([10, 77]) or packet[12:14] == bytes([10, 77])] == []
        net.gateway.start()
        wait_for(lambda: net.is_visited(4), REPAIR_SECONDS_MAX * SLACK, "visitors come in again")


def as_program(gw, name, arguments):
    """nft under another name, as a program that has it built in."""
    gw.sh(f"cp $(command -v nft) /run/{name}; /run/{name} {arguments}")


CULPRITS = {
    "nft": (lambda gw: gw.sh("nft flush ruleset"), ["the program 'nft'"]),
    "nftables.service": (lambda gw: gw.nft("flush ruleset\ntable inet filter { chain input { type filter hook input priority 0; }\n}\n"),
                         ["the program 'nft'", "nftables.service"]),
    "firewalld": (lambda gw: as_program(gw, "firewalld", "'flush ruleset; add table inet firewalld; add chain inet firewalld filter_INPUT'"),
                  ["the program 'firewalld'", "probably for firewalld"]),
    "docker": (lambda gw: gw.sh("iptables -N DOCKER-USER; iptables -t nat -N DOCKER; nft delete table inet drpf"), ["probably for docker"]),
    "ufw": (lambda gw: gw.sh("iptables -N ufw-user-input; nft delete table inet drpf"), ["probably for ufw"]),
}


@pytest.mark.parametrize("name", CULPRITS)
def test_the_culprit_is_named(net, name):
    with UdpServer(net.host, net.port, versions=(4,), bind=net.inside(4)):
        assert net.is_visited(4)
        harm, words = CULPRITS[name]
        harm(net.lab.gw)
        last = wait_for(lambda: net.repaired()["last"], REPAIR_SECONDS_MAX * SLACK, "it is repaired")
        assert last["what"] == "the table inet drpf" and all(word in last["culprit"] for word in words), last
        assert net.is_visited(4)
        page = net.gateway.cli("status")
        assert "1 x the table inet drpf" in page and all(word in page for word in words), page
        assert all(word in net.gateway.log_text() for word in words)


def test_docker_that_starts_after_us_and_firewalld_that_reloads_do_no_harm(net):
    """What they do to the rule set of a host at their start; our table is not among it, and visitors go on."""
    gw = net.lab.gw
    with UdpServer(net.host, net.port, versions=(4,), bind=net.inside(4)), UdpServer(net.host, net.port, versions=(6,), bind=net.inside(6)):
        gw.sh("for p in iptables ip6tables; do $p -N DOCKER; $p -N DOCKER-USER; $p -I FORWARD -j DOCKER-USER; $p -A DOCKER-USER -j RETURN; done;"
              "iptables -t nat -N DOCKER; iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER;"
              "iptables -t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE")
        assert net.is_visited(4) and net.is_visited(6)
        gw.sh("nft add table inet firewalld; nft add chain inet firewalld raw '{ type filter hook prerouting priority -290; }';"
              "nft delete table inet firewalld; iptables -F; iptables -X DOCKER-USER; ip6tables -F; iptables -t nat -F; iptables -P FORWARD ACCEPT")
        assert net.is_visited(4) and net.is_visited(6)
    assert net.repaired()["counts"] == {}
