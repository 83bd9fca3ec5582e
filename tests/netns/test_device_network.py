"""What other programs, errors and other gateways do to a connected device: it repairs itself, and nothing leaves past the tunnel meanwhile."""
import contextlib
import json
import re
import signal
import socket
import threading
import types

import pytest
import stub_gateway
from gateway import DRPF
from namespaces import wait_for
from stub_gateway import TUNNEL_DEVICE, TUNNEL_DEVICE_V6, StubGateway, leases
from test_connect import OUTSIDE, connect, make_stub, network_state, stub  # noqa: F401  (fixtures)
from traffic import Capture, TcpServer, tcp_visit

BOX = {4: "172.30.0.2", 6: "fd30::2"}
PACKETS_EACH_SECOND = 100
# The question for the gateway's name is the tunnel's own, too; it goes to the machine's resolver.
OUTSIDE = f"({OUTSIDE}) and not (host 192.0.2.53 and udp port 53) and not (icmp and dst net 192.168.1.0/24)"


class Chatter:
    """Programs that keep sending to the Internet, bound to nothing, in both families: whenever there is a way past the tunnel, they find it."""

    def __init__(self, lab, host, port=5333):
        self.targets = [(socket.AF_INET, (lab.inet_v4, port)), (socket.AF_INET6, (lab.inet_v6, port))]
        self.host, self.closing = host, threading.Event()
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.thread.start()

    def _send(self):
        sockets = [(self.host.socket(family, socket.SOCK_DGRAM), target) for family, target in self.targets]
        while not self.closing.wait(1 / PACKETS_EACH_SECOND):
            for sender, target in sockets:
                with contextlib.suppress(OSError):
                    sender.sendto(b"out", target)
        for sender, _ in sockets:
            sender.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.thread.join(5)


def is_closed(lab, host):
    """Nothing of the chatter passes the router for a while in which it would have sent a hundred packets."""
    with Chatter(lab, host), Capture(lab.routers[0], "lan2", OUTSIDE) as seen, contextlib.suppress(AssertionError):
        threading.Event().wait(0.6)
    return seen.lines == []


def is_open(lab, host):
    """The same programs are seen at the router."""
    with Chatter(lab, host), Capture(lab.routers[0], "lan2", OUTSIDE) as seen:
        seen.wait_for_packets(2, 5)
    return True


def state_of(host):
    """As network_state(), without counts, whatever the order of what was put back, and without the link-local address that the kernel chose for the
    tunnel's interface, which nobody uses."""
    lines = [line for line in network_state(host).splitlines() if not ("fe80::" in line and "dev home" in line)]
    return sorted(re.sub(r"packets \d+ bytes \d+", "", line) for line in lines)


def differences(one, other):
    return [line for line in one if line not in other], [line for line in other if line not in one]


def status(host):
    return json.loads(host.run(DRPF, "connect", "home", "--status", "--json").stdout)


def delete_rules(host):
    """As systemd-networkd does it at its start: every routing rule that is not its own."""
    host.sh("for f in -4 -6; do for p in $(ip $f rule | awk -F: '$1!=0 && $1<32766 {print $1}'); do ip $f rule del pref $p || true; done; done")


def delete_routes(host):
    host.sh("for f in -4 -6; do ip $f route show table all | grep -v 'table local' | grep -v 'proto kernel' | grep -E 'dev home|^unreachable' | sed -E 's/(expires|error|pref) [^ ]+//g' | "
            "while read -r route; do ip $f route del $route || true; done; done")


DISTURBANCES = {
    "flushed": lambda host: host.sh("nft flush ruleset"),
    "a rule taken out": lambda host: host.sh("nft flush chain inet drpf_connect_home outside"),
    "rules deleted": delete_rules,
    "routes deleted": delete_routes,
    "addresses deleted": lambda host: host.sh("ip addr flush dev home"),
    "down": lambda host: host.sh("ip link set home down"),
    "down and up": lambda host: host.sh("ip link set home down; ip link set home up"),
    "parameter": lambda host: host.sh("sysctl -qw net.ipv4.conf.all.src_valid_mark=0"),
    "deleted": lambda host: host.sh("ip link del home"),
    # It may be gone before it is up: a device without its interface makes a new one and ends the old.
    "renamed": lambda host: host.sh("ip link set home down; ip link set home name stolen; ip link set stolen up || true"),
    "an address of its own table led elsewhere": lambda host: host.sh(
        "ip route replace default via 192.168.1.1 table $(ip rule | sed -n 's/.*not from all .* lookup //p' | head -1)"),
}


@pytest.mark.quick
@pytest.mark.wall("D17", "another program undoes what holds a device in its tunnel", None)
def test_whatever_others_do_it_is_put_back_and_nothing_leaves(lab, stub):  # noqa: F811
    home = lab.homes[0]
    device = connect(home, stub.configuration())
    before = state_of(home)
    with TcpServer(home, 20000), Chatter(lab, home), Capture(lab.routers[0], "lan2", OUTSIDE) as outside:
        assert tcp_visit(lab.inet, lab.gw_v4, 20000)
        for name, disturb in DISTURBANCES.items():
            disturb(home)
            try:
                wait_for(lambda: state_of(home) == before, 10)
            except AssertionError:
                raise AssertionError(f"{name}: not as it was: {differences(before, state_of(home))}") from None
            wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, 20000, seconds=1), 10, f"{name}: visitors come in again")
            wait_for(lambda: tcp_visit(lab.inet, lab.gw_v6, 20000, seconds=1), 10, f"{name}: by IPv6 too")
    assert outside.lines == []
    said = device.process.output()
    for what in ("the firewall's table; changed by the program 'nft'", "the routing rules", "the routes", "the addresses of the tunnel's interface",
                 "the tunnel's interface, which was down", "the tunnel's interface, which was gone", "the kernel parameter net.ipv4.conf.all.src_valid_mark"):
        assert f"repaired: {what}" in said, what
    assert "another program works against drpf connect" in said
    assert device.process.running() and said.count("READY") == 1


@pytest.mark.wall("D17", "another program undoes what holds a device in its tunnel", None, "firewall and routing rules together, while nobody repairs")
def test_the_firewall_and_the_routes_hold_each_by_itself(lab, stub):  # noqa: F811
    home = lab.homes[0]
    device = connect(home, stub.configuration())
    device.process.send_signal(signal.SIGSTOP)
    home.sh("nft flush ruleset")
    assert is_closed(lab, home), "the routes hold"
    device.process.send_signal(signal.SIGCONT)
    wait_for(lambda: "chain outside" in home.sh("nft list ruleset"), 10, "it is put back")
    device.process.send_signal(signal.SIGSTOP)
    delete_rules(home)
    assert is_closed(lab, home), "the firewall holds"
    home.sh("nft flush ruleset")
    assert is_open(lab, home), "and without both nothing does: so it was these two"
    device.process.send_signal(signal.SIGCONT)
    wait_for(lambda: home.run("ip", "rule").stdout.count("not from all") == 1, 10, "they are put back")
    assert is_closed(lab, home)


def add_box(lab, home):
    """A machine behind the device, which forwards and masquerades for it, as for a container."""
    box = lab.namespaces.host("box")
    lab.namespaces.link(home, "box0", box, "eth0")
    home.sh("ip addr add 172.30.0.1/24 dev box0; ip addr add fd30::1/64 dev box0 nodad; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    box.sh(f"ip addr add {BOX[4]}/24 dev eth0; ip addr add {BOX[6]}/64 dev eth0 nodad; ip route add default via 172.30.0.1; ip -6 route add default via fd30::1")
    home.nft("table inet box { chain post { type nat hook postrouting priority 100; ip saddr 172.30.0.0/24 masquerade; ip6 saddr fd30::/64 masquerade; }; }")
    return box


@pytest.mark.quick
@pytest.mark.wall("D11", "an error or a kill opens a device, or what it forwards leaves past its tunnel", None)
def test_only_the_users_word_opens_it(lab, stub):  # noqa: F811
    home, state = lab.homes[0], network_state(lab.homes[0])
    box = add_box(lab, home)
    before = network_state(home)
    assert before != state and status(home)["closed"] is False and "open" in status(home)["sentence"]
    assert is_open(lab, box), "this is what would leave"
    device = connect(home, stub.configuration())
    assert "connected to" in status(home)["sentence"] and status(home)["closed"]
    with TcpServer(lab.inet, 80) as server:
        assert tcp_visit(box, lab.inet_v4, 80).startswith(f"you are {lab.gw_v4} ") and tcp_visit(box, lab.inet_v6, 80).startswith(f"you are {lab.gw_v6} ")
        # A more specific route, of a hostile network or anybody else.
        home.sh(f"ip route add {lab.inet_v4}/32 via 192.168.1.1; ip -6 route add {lab.inet_v6}/128 via {lab.home_v6(1, 1)}")
        with Capture(lab.routers[0], "lan2", OUTSIDE) as outside, Chatter(lab, box), Chatter(lab, home):
            for host in (home, box):
                assert tcp_visit(host, lab.inet_v4, 80).startswith(f"you are {lab.gw_v4} ")
        assert outside.lines == [] and set(server.addresses()) == {lab.gw_v4, lab.gw_v6}
    home.sh(f"ip route del {lab.inet_v4}/32; ip -6 route del {lab.inet_v6}/128")
    with Capture(lab.routers[0], "lan2", OUTSIDE) as outside, Chatter(lab, box), Chatter(lab, home):
        device.kill()
        assert "does not run" in status(home)["sentence"] and status(home)["closed"]
        # A start whose file is damaged, one that does not find the gateway's name, and one whose TUN device cannot be made again.
        with open(device.path, "w", encoding="ascii") as file:
            file.write("[Interface]\nnonsense\n")
        broken = home.run(DRPF, "connect", device.path, "--interface", "home", check=False)
        assert broken.returncode == 65 and "home: closed." in broken.stderr and "only your word" in broken.stderr, broken.stderr
        with open(device.path, "w", encoding="ascii") as file:
            file.write(stub.configuration().replace(f"{lab.gw_v4}:51820", "gateway.invalid:51820"))
        device.start()
        device.process.wait_for_output("took over what an earlier drpf connect left", 10)
        device.process.wait_for_output("trying again", 30)
        assert status(home)["closed"] and "gateway.invalid" in status(home)["sentence"]
        device.kill()
        with open(device.path, "w", encoding="ascii") as file:
            file.write(stub.configuration())
        device.start()
        device.process.wait_for_output("READY", 20)
        device.process.send_signal(signal.SIGSTOP)  # so that the name is taken before it looks
        home.sh("ip link set home down; ip link set home name stolen; ip link add home type bridge; ip link set home up")
        device.process.send_signal(signal.SIGCONT)
        device.process.wait_for_output("could not be put right", 10)
        assert device.process.running() and status(home)["closed"]
        home.sh("ip link del home")
        device.process.wait_for_output("repaired: the tunnel's interface, which was gone", 10)
        device.kill()
    assert outside.lines == []
    assert home.run(DRPF, "connect", "home", "--clean-up").returncode == 0
    assert network_state(home) == before and not status(home)["closed"]
    assert is_open(lab, box), "opened by the user's word"


@pytest.mark.wall("D11", "an error or a kill opens a device, or what it forwards leaves past its tunnel", None, "the device's `passing` and its routing rules")
def test_without_its_forward_rules_what_it_forwards_would_leave(lab, stub):  # noqa: F811
    home = lab.homes[0]
    box = add_box(lab, home)
    connect(home, stub.configuration()).kill()
    home.sh("nft flush chain inet drpf_connect_home passing")
    assert is_closed(lab, box), "the routes hold by themselves"
    delete_rules(home)
    assert is_open(lab, box)


FREEBIND = {socket.AF_INET: (socket.IPPROTO_IP, 15), socket.AF_INET6: (socket.IPPROTO_IPV6, 78)}


def answer_and_ask(lab, home, ask=True):
    """A program's packets from the tunnel's address (an answer of a UDP server), and somebody's to the networks of a split tunnel."""
    for family, target, own in ((socket.AF_INET, lab.inet_v4, TUNNEL_DEVICE), (socket.AF_INET6, lab.inet_v6, TUNNEL_DEVICE_V6)):
        for source in [own, None] if ask else [own]:
            with home.socket(family, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
                sender.setsockopt(*FREEBIND[family], 1)
                if source:
                    sender.bind((source, 20001))
                for _ in range(5):
                    sender.sendto(b"answer", (target, 5333))


@pytest.mark.parametrize("mode", ["split", "inbound-only"])
@pytest.mark.wall("D11", "what belongs into a tunnel of some networks, or answers a visitor, leaves when the tunnel is gone", None)
def test_what_belongs_into_the_tunnel_leaves_by_it_or_not_at_all(lab, stub, mode):  # noqa: F811
    home = lab.homes[0]
    before = network_state(home)
    text = stub.configuration(f"198.51.100.16/28, 10.77.0.0/16, {lab.inet_v6}/128") if mode == "split" else stub.configuration()
    device = connect(home, text, *(["--inbound-only"] if mode == "inbound-only" else []))
    with TcpServer(home, 20000):
        assert tcp_visit(lab.inet, lab.gw_v4, 20000)
        with Capture(lab.routers[0], "lan2", f"({OUTSIDE}) and port 5333") as outside:
            answer_and_ask(lab, home, mode == "split")
            for number in range(2):
                device.process.send_signal(signal.SIGSTOP if number == 0 else signal.SIGCONT)
                home.sh("ip link set home down")
                answer_and_ask(lab, home, mode == "split")
            wait_for(lambda: tcp_visit(lab.inet, lab.gw_v4, 20000, seconds=1), 10, "visitors come in again")
            device.kill()
            answer_and_ask(lab, home, mode == "split")
        assert outside.lines == []
    if mode == "inbound-only":
        assert "inbound only" in status(home)["sentence"] and is_open(lab, home), "its own traffic is free"
    home.run(DRPF, "connect", "home", "--clean-up")
    assert network_state(home) == before


@pytest.mark.wall("D11", "what belongs into a tunnel of some networks, or answers a visitor, leaves when the tunnel is gone", None, "`drpf connect` is not there")
def test_without_drpf_connect_the_same_packets_leave(lab):
    home = lab.homes[0]
    home.sh(f"ip addr add {TUNNEL_DEVICE}/32 dev lo; ip addr add {TUNNEL_DEVICE_V6}/128 dev lo")
    with Capture(lab.routers[0], "lan2", "port 5333") as outside:
        answer_and_ask(lab, home)
        outside.wait_for_packets(20)
    for own in (TUNNEL_DEVICE, TUNNEL_DEVICE_V6):
        assert [line for line in outside.lines if f"{own}.20001 >" in line]


@pytest.fixture
def second_gateway(lab, monkeypatch):
    """Another gateway on the Internet, which hands out addresses of its own."""
    made = []

    def make(number=9, v4="10.78.0", v6="fd78::"):
        host = lab.add_visitor(f"gw{number}", number)
        host.sh("ip link set eth0 down; ip link set eth0 name wan; ip link set wan up; "
                f"ip addr replace {lab.plan.address4(number)}/24 dev wan; ip addr replace {lab.plan.address6(number)}/64 dev wan nodad; "
                f"ip route replace default via {lab.plan.address4(lab.plan.isp)}; ip -6 route replace default via {lab.plan.address6(lab.plan.isp)}")
        monkeypatch.setattr(stub_gateway, "RULES", stub_gateway.RULES.replace("10.77.0.", f"{v4}.").replace("fd77::", v6))
        for name, address in (("TUNNEL_GATEWAY", f"{v4}.1"), ("TUNNEL_DEVICE", f"{v4}.2"), ("TUNNEL_GATEWAY_V6", f"{v6}1"), ("TUNNEL_DEVICE_V6", f"{v6}2")):
            monkeypatch.setattr(stub_gateway, name, address)
        view = types.SimpleNamespace(gw=host, gw_v4=lab.plan.address4(number), gw_v6=lab.plan.address6(number))
        made.append(StubGateway(view, ports=leases(20004)))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


def test_two_gateways_on_one_device(lab, stub, second_gateway, tmp_path):  # noqa: F811
    """Full tunnel and inbound-only go beside each other; what would silence another is refused, with the reason."""
    home, path = lab.homes[0], tmp_path / "office.conf"
    first_text = stub.configuration()
    connect(home, first_text)
    path.write_text(first_text)
    path.chmod(0o600)
    before = state_of(home)  # the first one's rules may have counted what the second one left

    def refused(*arguments):
        result = home.run(DRPF, "connect", path, *arguments, check=False)
        assert result.returncode == 73 and state_of(home) == before, result.stderr
        return result.stderr

    assert "10.77.0.2 is the address of home already" in (said := refused("--inbound-only")) and "[tunnel] ipv4" in said
    second = second_gateway()
    path.write_text(second.configuration())
    assert "home carries all traffic of this machine already" in (said := refused()) and "--inbound-only" in said
    office = home.popen(DRPF, "connect", path, "--inbound-only")
    office.wait_for_output("READY", 15)
    with TcpServer(home, 20000), TcpServer(home, 20004), TcpServer(lab.inet, 80), Chatter(lab, home), Capture(lab.routers[0], "lan2", OUTSIDE) as outside:
        for address in (second.lab.gw_v4, second.lab.gw_v6):
            assert tcp_visit(lab.inet, address, 20004), f"visitors of the second gateway are answered: {address}"
        assert tcp_visit(lab.inet, lab.gw_v4, 20000) and tcp_visit(lab.inet, lab.gw_v6, 20000)
        assert tcp_visit(home, lab.inet_v4, 80).startswith(f"you are {lab.gw_v4} "), "and the rest goes through the first"
        office.stop()
        assert tcp_visit(lab.inet, lab.gw_v4, 20000)
    assert outside.lines == []
    assert state_of(home) == before
