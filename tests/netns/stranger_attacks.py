"""Attacks as those of attacks.py: of strangers with forged or odd packets, and of devices on the gateway's neighbours."""
import contextlib
import json
import socket
import struct
import time

import packets
from attacks import ALLOWED, FLOOD, STRANGER, UDP, arrivals, arrived
from packets import SYN
from redirect_lab import new_socket
from traffic import TcpServer, tcp_visit


def forged_path(net, version):
    """A stranger says that the path is narrow: to a device that is at another port, and to somebody who is no device at all."""
    believed = {}
    for whom in (net.a.wan_v4 if version == 4 else net.a.wan_v6, net.visitor(version)):
        about = packets.udp(version, net.public(version), whom, 51820, 9, b"x" * 20)
        packets.send(net.b.host, version, packets.path_too_narrow(version, net.b.wan_v4 if version == 4 else net.b.wan_v6, net.public(version), 1290, about))
        believed[whom] = lambda whom=whom: "mtu 1290" in net.gw.run("ip", "route", "get", whom).stdout
    end = time.monotonic() + net.patience
    while time.monotonic() < end and not any(one() for one in believed.values()):
        time.sleep(0.05)
    through = [whom for whom, one in believed.items() if one()]
    net.gw.sh("ip route flush cache; ip -6 route flush cache")
    return through


# Whom only the gateway's neighbours may ask: clouds' metadata, its own networks, carriers' customers; the last one behind a translator.
NEIGHBOURS = {4: ("169.254.169.254", "10.99.0.1", "172.16.5.5", "192.168.77.1", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
              6: ("fd00:ec2::254", "fc00::1", "64:ff9b::a9fe:a9fe")}


def neighbours_of_the_gateway(net, version):
    """A device asks them in the gateway's name, by the gateway's own way."""
    length, ip = (32, "ip") if version == 4 else (128, "ip -6")
    for address in NEIGHBOURS[version]:
        net.inet.sh(f"ip addr add {address}/{length} dev eth0 {'nodad' if version == 6 else ''}")
        net.gw.sh(f"{ip} route add {address} via {net.visitor(version)} dev wan")
    try:
        with contextlib.ExitStack() as stack:
            for address in NEIGHBOURS[version]:
                asked = stack.enter_context(net.inet.socket(packets.FAMILY[version], UDP))
                asked.bind((address, 4080))
                stack.enter_context(net.a.socket(version, UDP)).sendto(b"the gateway's secrets", (address, 4080))
                asked.settimeout(net.patience / 4)
                with contextlib.suppress(TimeoutError):
                    if asked.recv(100):
                        return [address]
        return []
    finally:
        for address in NEIGHBOURS[version]:
            net.gw.sh(f"{ip} route del {address}")
            net.inet.sh(f"ip addr del {address}/{length} dev eth0")


# Where answers come from that somebody may want to let in: DHCP, names, time, FTP's data.
TELLING_PORTS = {4: (("udp", 67), ("udp", 53), ("udp", 123), ("tcp", 20), ("tcp", 53)),
                 6: (("udp", 547), ("udp", 53), ("udp", 123), ("tcp", 20), ("tcp", 53))}
OPEN = {("udp", 51820), ("tcp", 22)}


def all_ports(net, version):
    """Every port of the gateway from outside, from ports that rules may trust; returns what gets past its rules."""
    sets = "".join(f"set {name}{protocol} {{ type inet_service; flags dynamic; size 65536; }}\n" for name in ("sent", "past") for protocol in ("udp", "tcp"))
    rules = {name: "".join(f'iifname "wan" meta l4proto {protocol} update @{name}{protocol} {{ th dport }}\n' for protocol in ("udp", "tcp"))
             for name in ("sent", "past")}
    net.gw.nft(f"table inet sweep {{\n{sets}chain sent {{ type filter hook prerouting priority -170;\n{rules['sent']}}}\n"
               f"chain past {{ type filter hook input priority filter + 1;\n{rules['past']}}}\n}}\n")

    def ports(name, protocol):
        listed = net.gw.run("nft", "-nj", "list", "set", "inet", "sweep", name + protocol).stdout
        return set(json.loads(listed)["nftables"][-1]["set"].get("elem", []))
    try:
        for protocol, source in TELLING_PORTS[version]:
            net.gw.sh(f"nft flush set inet sweep sent{protocol}")
            left = set(range(1, 65536))
            while left:
                sweep(net, version, protocol, source, left)
                left -= ports("sent", protocol)
            if past := {(protocol, port) for port in ports("past", protocol)} - OPEN:
                return sorted(past)
        return []
    finally:
        net.gw.sh("nft delete table inet sweep")


def sweep(net, version, protocol, source, ports):
    """One datagram or SYN to each port. A SYN's checksum is mended and not computed: they differ in one number."""
    visitor, public = net.visitor(version), net.public(version)
    if protocol == "udp":
        with new_socket(net.inet, version, UDP, source) as sender:
            for number, port in enumerate(ports):
                sender.sendto(b"x", (public, port))
                if number % 500 == 0:
                    time.sleep(0.001)  # what comes faster than it is looked at is dropped on the way
        return
    first = packets.after_header(version, packets.tcp(version, visitor, public, source, 0, SYN))
    total = struct.unpack("!H", first[16:18])[0] ^ 0xFFFF
    with net.inet.socket(packets.FAMILY[version], socket.SOCK_RAW, socket.IPPROTO_TCP) as sender:
        for number, port in enumerate(ports):
            sum_ = total + port
            mended = ((sum_ & 0xFFFF) + (sum_ >> 16)) ^ 0xFFFF
            sender.sendto(first[:2] + struct.pack("!H", port) + first[4:16] + struct.pack("!H", mended) + first[18:], (public, 0))
            if number % 500 == 0:
                time.sleep(0.001)


def closed_service_by_own_source(net, version):
    """A stranger visits a device's lease in the name of a closed service of the gateway; the device answers it."""
    net.lease("udp", version, 30001, net.a)
    public = net.public(version)
    with net.a.socket(version, UDP, 30001) as device, new_socket(net.gw, version, UDP, 7777) as service:
        packets.send(net.inet, version, packets.udp(version, public, public, 7777, 30001, b"of nobody"))
        for _, peer in arrivals(device, net.patience):
            device.sendto(b"to a closed service", peer)
            return arrivals(service, net.patience)
        return []


NOBODIES = {4: ("169.254.169.254", "0.1.2.3", "127.0.0.1", "224.0.0.5", "240.0.0.1", "255.255.255.255"),
            6: ("fec0::1", "::1", "::7", "::ffff:203.0.113.9", "ff02::1", "::")}


def visit_by_nobody(net, version):
    """Sources that nobody on the Internet has."""
    net.lease("udp", version, 30001, net.a)
    with net.a.socket(version, UDP, 30001) as device:
        for source in NOBODIES[version]:
            packets.send(net.inet, version, packets.udp(version, source, net.public(version), 4000, 30001, source.encode()))
        return arrivals(device, net.patience)


def visit_from_behind(net, version):
    """A stranger's visit in the name of a host that is behind the gateway, on no public interface."""
    net.lease("udp", version, 30001, net.a)
    with net.a.socket(version, UDP, 30001) as device:
        packets.send(net.inet, version, packets.udp(version, STRANGER[version], net.public(version), 4000, 30001, b"from behind"))
        return arrivals(device, net.patience)


# --- shares of a device's connections: the lab's limit is 20


def network_of_its_own(version, number):
    """A visitor whom no other one shares a network with."""
    return f"203.0.{number}.9" if version == 4 else f"2001:db8:bad:{number:x}::9"


def visit_from(net, version, source, port, protocol="udp"):
    make = packets.udp if protocol == "udp" else packets.tcp
    packets.send(net.inet, version, make(version, source, net.public(version), 4000, port, b"a" if protocol == "udp" else SYN))


def flood_in(net, version):
    """Of two leases, each below a lease's share."""
    ports = (30001, 30003)
    for port in ports:
        net.lease("udp", version, port, net.a)
    net.lease("udp", version, 30002, net.b)
    with net.b.socket(version, UDP, 30002) as other, contextlib.ExitStack() as stack:
        receivers = [stack.enter_context(net.a.socket(version, UDP, port)) for port in ports]
        for number in range(FLOOD // 2):
            for port in ports:
                visit_from(net, version, network_of_its_own(version, number), port)
        stack.enter_context(new_socket(net.inet, version, UDP)).sendto(b"b", (net.public(version), 30002))
        assert arrived(other, b"b", 5)
        got = []
        for receiver in receivers:
            first = arrivals(receiver, 5, ALLOWED // 2)
            assert len(first) >= ALLOWED // 2
            got += first + arrivals(receiver, net.patience, FLOOD)
        return got[ALLOWED:]


def kept_out(net, version, receiver, port, seconds):
    """An honest visitor who tries again and again."""
    end = time.monotonic() + seconds
    with new_socket(net.inet, version, UDP) as visitor:
        while time.monotonic() < end:
            visitor.sendto(b"honest", (net.public(version), port))
            if arrived(receiver, b"honest", 0.2):
                return []
    return ["an honest visitor was kept out"]


def unanswered_visits(net, version):
    """Each from a network of its own, each for nothing."""
    net.lease("udp", version, 30001, net.a)
    with net.a.socket(version, UDP, 30001) as receiver:
        for number in range(FLOOD):
            visit_from(net, version, network_of_its_own(version, number), 30001)
        return kept_out(net, version, receiver, 30001, 6)


def half_open_visits(net, version):
    net.lease("tcp", version, 30001, net.a)
    with TcpServer(net.a.host, 30001, versions=(version,)):
        for number in range(FLOOD):
            visit_from(net, version, network_of_its_own(version, number), 30001, "tcp")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if tcp_visit(net.inet, net.public(version), 30001, seconds=0.5):
                return []
        return ["an honest visitor was kept out"]


def one_network_fills_the_share(net, version):
    net.lease("udp", version, 30001, net.a)
    with net.a.socket(version, UDP, 30001) as receiver:
        for number in range(FLOOD):
            visit_from(net, version, f"203.0.113.{number + 1}" if version == 4 else f"2001:db8:bad::{number + 1:x}", 30001)
        return kept_out(net, version, receiver, 30001, 1)


def one_lease_fills_the_share(net, version):
    net.lease("udp", version, 30001, net.a)
    net.lease("udp", version, 30003, net.a)
    with net.a.socket(version, UDP, 30003) as receiver:
        for number in range(FLOOD):
            visit_from(net, version, network_of_its_own(version, number), 30001)
        return kept_out(net, version, receiver, 30003, 1)
