"""NAT-PMP and PCP on the gateway: Debian's natpmpc over a stock WireGuard interface, the exchange of VPN clients, and PCP's messages by hand."""
import ipaddress
import re
import socket
import struct
import time

import pytest
from gateway import Gateway, WireGuardDevice
from namespaces import wait_for
from traffic import TcpServer, UdpServer, tcp_visit, udp_visit

GATEWAY = "10.77.0.1"
PORT = 5351


@pytest.fixture
def served(lab):
    """A gateway with ann's laptop (home 0, 5 ports) connected by wireguard-go."""
    gateway = Gateway(lab)
    gateway.device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    gateway.device.ports = gateway.wait_for_ports("laptop")
    return gateway


def natpmpc(host, *arguments, check=True):
    return host.run("natpmpc", "-g", GATEWAY, *arguments, check=check).stdout


def mapped(text):
    """(public port, protocol, local port, lifetime) as natpmpc tells it."""
    found = re.search(r"Mapped public port (\d+) protocol (\w+) to local port (\d+) li\w+ (\d+)", text)
    assert found, text
    return int(found[1]), found[2].lower(), int(found[3]), int(found[4])


def exchange(host, payload, to=GATEWAY, source=None, seconds=2, port=PORT):
    """One datagram and its answer, None for silence."""
    with host.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        if source:
            asking.bind((source, 0))
        asking.settimeout(seconds)
        asking.sendto(payload, (to, port))
        try:
            return asking.recvfrom(2000)[0]
        except (TimeoutError, ConnectionRefusedError):
            return None


def wire(address):
    address = ipaddress.ip_address(address)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def pcp_map(client, internal, suggested=0, lifetime=3600, nonce=b"n" * 12, protocol=6, options=b"", suggested_address="0.0.0.0"):
    return (struct.pack("!BBHI", 2, 1, 0, lifetime) + wire(client) + nonce + struct.pack("!B3xHH", protocol, internal, suggested) +
            wire(suggested_address) + options)


def pcp_answer(answer):
    """(result, lifetime, external port, external address) of a MAP response; the epoch is looked at elsewhere."""
    version, opcode, _, result, lifetime, _ = struct.unpack("!BBBBII", answer[:12])
    assert (version, opcode) == (2, 0x81), answer.hex()
    external = struct.unpack("!H", answer[42:44])[0]
    return result, lifetime, external, ipaddress.ip_address(answer[44:60])


def nat_pmp_map(protocol, internal, external, lifetime):
    return struct.pack("!BBHHHI", 0, {"udp": 1, "tcp": 2}[protocol], 0, internal, external, lifetime)


def lease_at(gateway, port, protocol):
    return next(row for row in gateway.leases("laptop") if (row["public_port"], row["protocol"]) == (port, protocol) and ":" not in row["public_address"])


def test_natpmpc_learns_the_public_address_and_maps_a_port(lab, served):
    text = natpmpc(lab.homes[0])
    assert f"Public IP address : {lab.gw_v4}" in text
    public, protocol, local, lifetime = mapped(natpmpc(lab.homes[0], "-a", "0", "8080", "tcp", "600"))
    assert (protocol, local, lifetime) == ("tcp", 8080, 600)
    assert public in served.device.ports, "out of what the device holds"
    with TcpServer(lab.homes[0], 8080), UdpServer(lab.homes[0], 8080):
        assert tcp_visit(lab.inet, lab.gw_v4, public)
        if lab.gw_v6:
            assert tcp_visit(lab.inet, lab.gw_v6, public), "the same lease by IPv6"
        assert mapped(natpmpc(lab.homes[0], "-a", "0", "8080", "udp", "600"))[0] == public, "TCP and UDP of a program share the number"
        assert udp_visit(lab.inet, lab.gw_v4, public)
        # Renewal: the same number, whatever is suggested. Deletion: it leads where it led before.
        assert mapped(natpmpc(lab.homes[0], "-a", "10500", "8080", "tcp", "600"))[0] == public
        natpmpc(lab.homes[0], "-a", "0", "8080", "tcp", "0")
        assert tcp_visit(lab.inet, lab.gw_v4, public, seconds=1) is None
        assert lease_at(served, public, "tcp")["local_port"] == public
        assert udp_visit(lab.inet, lab.gw_v4, public), "the other protocol stays"


def test_a_mapping_ends_with_its_lifetime_and_with_the_connection(lab, served):
    public = mapped(natpmpc(lab.homes[0], "-a", "0", "8080", "tcp", "60"))[0]
    lease = lease_at(served, public, "tcp")
    assert lease["local_port"] == 8080
    timeout = re.search(rf"tcp \. {public} timeout \S+ expires (\S+) ", lab.gw.run("nft", "list", "map", "inet", "drpf", "dnat4").stdout)
    assert timeout and timeout[1].startswith(("5", "1m")), "the kernel ends it by itself"
    served.cli("device", "remove", "laptop")
    assert exchange(lab.homes[0], nat_pmp_map("tcp", 8080, 0, 60), seconds=1) is None
    assert served.leases("laptop") == []


def test_the_way_of_gluetun_and_proton(lab, served):
    """Internal port 1 or 0, any external one, 60 s, UDP then TCP, again and again: answers of the exact size, never another number."""
    home = lab.homes[0]
    address = exchange(home, b"\x00\x00")
    assert len(address) == 12 and socket.inet_ntoa(address[8:]) == lab.gw_v4
    for internal in (1, 0, 56789):
        number = None
        for round_ in range(3):
            for protocol in ("udp", "tcp"):
                answer = exchange(home, nat_pmp_map(protocol, internal, number or (1 if internal == 0 else 0), 60))
                assert len(answer) == 16
                version, opcode, result, _, echoed, external, lifetime = struct.unpack("!BBHIHHI", answer)
                assert (version, opcode, result, echoed, lifetime) == (0, {"udp": 129, "tcp": 130}[protocol], 0, internal, 60)
                number = number or external
                assert external == number, f"round {round_}"
        assert lease_at(served, number, "tcp")["local_port"] == number, "the program listens on the public number"
        with TcpServer(home, number), UdpServer(home, number):
            assert tcp_visit(lab.inet, lab.gw_v4, number) and udp_visit(lab.inet, lab.gw_v4, number)


def test_the_quota_is_the_plans_and_errors_say_it(lab, served):
    home = lab.homes[0]
    numbers = {struct.unpack("!BBHIHHI", exchange(home, nat_pmp_map("tcp", 2000 + n, 0, 600)))[5] for n in range(5)}
    assert numbers == set(served.device.ports)
    refused = exchange(home, nat_pmp_map("tcp", 3000, 3000, 600))
    assert struct.unpack("!BBHIHHI", refused)[2] == 4 and len(refused) == 16
    answer = exchange(home, pcp_map(served.device.address(), 3000))
    assert pcp_answer(answer)[0] == 10 and 0 < pcp_answer(answer)[1] <= 60 and len(answer) == 60
    assert re.search(r"account ann holds 5 of 5 ports of plan personal", served.log_text())


def test_pcp_map_renew_and_delete(lab, served):
    home, me = lab.homes[0], served.device.address()
    answer = exchange(home, pcp_map(me, 8080, lifetime=600))
    result, lifetime, public, address = pcp_answer(answer)
    assert (result, lifetime, len(answer)) == (0, 600, 60) and public in served.device.ports
    assert address.ipv4_mapped == ipaddress.ip_address(lab.gw_v4)
    assert answer[24:36] == b"n" * 12 and answer[36] == 6
    with TcpServer(home, 8080):
        assert tcp_visit(lab.inet, lab.gw_v4, public)
        assert pcp_answer(exchange(home, pcp_map(me, 8080, nonce=b"m" * 12)))[2] == public, "deployed clients make a new nonce each time"
        assert pcp_answer(exchange(home, pcp_map(me, 8080, lifetime=0)))[0] == 2, "a deletion needs the mapping's nonce"
        assert tcp_visit(lab.inet, lab.gw_v4, public)
        assert pcp_answer(exchange(home, pcp_map(me, 8080, lifetime=0, nonce=b"m" * 12)))[0] == 0
        assert tcp_visit(lab.inet, lab.gw_v4, public, seconds=1) is None


def test_pcp_options_and_errors(lab, served):
    home, me = lab.homes[0], served.device.address()
    prefer_failure = struct.pack("!BxH", 2, 0)
    own = served.device.ports[1]
    assert pcp_answer(exchange(home, pcp_map(me, 8080, own, options=prefer_failure)))[2] == own
    assert pcp_answer(exchange(home, pcp_map(me, 8081, 443, options=prefer_failure)))[0] == 11
    assert pcp_answer(exchange(home, pcp_map(me, 8080, served.device.ports[0], options=prefer_failure)))[0] == 11, "it has another"
    port_set = struct.pack("!BxHHHB3x", 130, 5, 2, 5004, 1)
    answer = exchange(home, pcp_map(me, 5004, protocol=17, options=port_set))
    assert pcp_answer(answer)[0] == 0 and struct.unpack("!BxHHHB3x", answer[60:])[2] == 2 and pcp_answer(answer)[2] % 2 == 0
    third_party = struct.pack("!BxH", 1, 16) + wire("10.77.0.9")
    for expected, request in ((5, pcp_map(me, 80, options=third_party)),
                              (12, pcp_map("10.77.0.9", 80)),
                              (9, pcp_map(me, 0, protocol=0)),
                              (9, pcp_map(me, 80, protocol=47)),
                              (4, struct.pack("!BBHI", 2, 2, 0, 600) + wire(me) + bytes(56)),
                              (3, pcp_map(me, 80)[:-3]),
                              (6, pcp_map(me, 80, options=struct.pack("!BxHI", 2, 4, 0))),
                              (5, pcp_map(me, 80, options=struct.pack("!BxH", 3, 20) + bytes([0, 128, 0, 0]) + wire("198.51.100.9")))):
        answer = exchange(home, request)
        assert answer and answer[3] == expected, (expected, request.hex(), answer and answer.hex())
    assert exchange(home, b"\x01\x01\x00\x00" + bytes(20))[3] == 1, "an older version is told ours"


def test_pcp_announce_and_an_epoch_that_runs_over_restarts(lab, served):
    home, me = lab.homes[0], served.device.address()
    announce = struct.pack("!BBHI", 2, 0, 0, 0) + wire(me)
    before = struct.unpack("!I", exchange(home, announce)[8:12])[0]
    public = mapped(natpmpc(home, "-a", "0", "8080", "tcp", "600"))[0]
    served.stop()
    served.start()
    served.wait_for_ports("laptop")
    again = wait_for(lambda: exchange(home, announce, seconds=1), 20, "the gateway answers again")
    assert struct.unpack("!I", again[8:12])[0] >= before, "nothing was lost, so the epoch goes on"
    assert mapped(natpmpc(home, "-a", "0", "8080", "tcp", "600"))[0] == public


def test_pcp_over_ipv6(lab, served):
    me = served.device.address(6)
    assert me.startswith("fd") and not me.startswith("fd77:6472"), "each gateway has a prefix of its own"
    answer = exchange(lab.homes[0], pcp_map(me, 8080, suggested_address="::"), to=served.device.file.gateway6())
    result, _, public, address = pcp_answer(answer)
    assert (result, str(address)) == (0, lab.gw_v6)
    with TcpServer(lab.homes[0], 8080):
        assert tcp_visit(lab.inet, lab.gw_v6, public)


def test_nothing_is_answered_outside_the_tunnel_or_to_strangers(lab, served):
    for request in (b"\x00\x00", nat_pmp_map("tcp", 80, 0, 600), pcp_map("198.51.100.50", 80)):
        assert exchange(lab.inet, request, to=lab.gw_v4, seconds=1) is None
        if lab.gw_v6:
            assert exchange(lab.inet, request, to=lab.gw_v6, seconds=1) is None


def test_a_second_device_cannot_end_or_see_the_firsts_mappings(lab, served):
    other = WireGuardDevice(lab.homes[1], served.add_device("bob", "phone"))
    served.wait_for_ports("phone")
    public = mapped(natpmpc(lab.homes[0], "-a", "0", "8080", "tcp", "600"))[0]
    exchange(lab.homes[1], nat_pmp_map("tcp", 0, 0, 0))  # all of mine
    assert pcp_answer(exchange(lab.homes[1], pcp_map(served.device.address(), 8080, lifetime=0)))[0] == 12
    assert pcp_answer(exchange(lab.homes[1], pcp_map(other.address(), 8080, suggested=public)))[2] != public
    assert lease_at(served, public, "tcp")["local_port"] == 8080


def flood(home, to):
    """Answers to as many requests as can be sent, and what the limit allows at most."""
    request, answers, began = nat_pmp_map("tcp", 80, 0, 600), 0, time.monotonic()

    def taken():
        try:
            return bool(flooding.recv(100))
        except (BlockingIOError, TimeoutError):
            return False

    with home.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM) as flooding:
        flooding.connect((to, PORT))
        flooding.setblocking(False)
        for _ in range(30_000):
            try:
                flooding.send(request)
            except BlockingIOError:
                pass
            while taken():  # while it sends, or the socket's buffer holds some 300 of them and no more
                answers += 1
        flooding.settimeout(0.5)
        while taken():
            answers += 1
    return answers, (2000 * (time.monotonic() - began) + 5000) / len(request)


@pytest.mark.wall("D20", "one device floods the gateway with requests for ports", None)
@pytest.mark.parametrize("version", [4, 6])
def test_a_flood_of_requests_is_dropped_before_the_gateway(lab, served, version):
    answers, allowed = flood(lab.homes[0], GATEWAY if version == 4 else served.device.file.gateway6())
    assert 0 < answers <= allowed, "20 requests a second and a burst, by their bytes"
    # Another device is served meanwhile.
    WireGuardDevice(lab.homes[1], served.add_device("bob", "phone"))
    served.wait_for_ports("phone")
    assert mapped(natpmpc(lab.homes[1], "-a", "0", "8080", "tcp", "600"))[2] == 8080


@pytest.mark.wall("D20", "one device floods the gateway with requests for ports", None, "request_rate{v}")
@pytest.mark.parametrize("version", [4, 6])
def test_without_the_limit_every_request_is_answered(lab, version):
    gateway = Gateway(lab, config="[limits]\nrequests_per_device_per_s = 0\n")
    device = WireGuardDevice(lab.homes[0], gateway.add_device("ann", "laptop"))
    gateway.wait_for_ports("laptop")
    answers, allowed = flood(lab.homes[0], GATEWAY if version == 4 else device.file.gateway6())
    assert answers > allowed


@pytest.mark.parametrize("garbage", ["", "00", "0001", "000100", "02", "0201", "ff" * 1200, "00" * 11, "0281" + "00" * 58])
def test_garbage_changes_nothing(lab, served, garbage):
    before = served.leases("laptop")
    exchange(lab.homes[0], bytes.fromhex(garbage), seconds=0.5)
    assert exchange(lab.homes[0], b"\x00\x00") is not None
    assert [row["local_port"] for row in served.leases("laptop")] == [row["local_port"] for row in before]
