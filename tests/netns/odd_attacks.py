"""Attacks as those of attacks.py: by what packets carry besides addresses and ports."""
import struct

import packets
from attacks import INSIDE, UDP
from packets import SYN, Tap
from redirect_lab import new_socket
from traffic import TcpServer

# Record route, timestamps with addresses, and those of two asked for; loose and strict source route, router alert, security, one that nobody knows.
RECORD = (bytes([7, 23, 4]) + bytes(20), bytes([68, 36, 5, 1]) + bytes(32))
OTHERS = (bytes([131, 7, 4, 198, 51, 100, 20, 0]), bytes([137, 7, 4, 198, 51, 100, 20, 0]), bytes([148, 4, 0, 0]), bytes([130, 11]) + bytes(10), bytes([94, 4, 1, 2]))
# Hop-by-hop and destination options (padding, and one that may be skipped), routing headers with nothing left to do, a fragment that is all.
EXTENSIONS = tuple((kind, body) for kind in (0, 60) for body in (b"\1\4\0\0\0\0", b"\x1e\4\1\2\3\4")) + \
    ((43, bytes([2, 0, 0, 0, 0, 0])), (43, bytes([4, 0, 0, 0, 0, 0])), (51, bytes(10)), (44, None))


def odd(version, packet, extras):
    """The packet with each of them."""
    if version == 4:
        return [packets.with_options(packet, options) for options in extras]
    return [packets.with_extension(packet, kind, body) for kind, body in extras]


def options_to_a_device(net, version):
    """A visitor's options and extension headers come to the device as they were sent."""
    net.lease("udp", version, 30001, net.a)
    visit = packets.udp(version, net.visitor(version), net.public(version), 4000, 30001, b"with options")
    with Tap(net.a.host, "tunnel", version) as tap:
        for packet in odd(version, visit, RECORD + OTHERS if version == 4 else EXTENSIONS):
            packets.send(net.inet, version, packet)
        extra = (lambda packet: packet[0] != 0x45) if version == 4 else (lambda packet: packet[6] != 17)
        return tap.seen(lambda packet: b"with options" in packet and extra(packet), net.patience)


def options_tell_inner_addresses(net, version):
    """What routers and devices write into options comes out: in answers, in errors, and in what devices send."""
    net.lease("tcp", version, 30001, net.a)
    net.lease("udp", version, 30002, net.a)
    inner = [packets.binary(version, address) for address in (net.a.address(version), INSIDE[version])]
    visitor, public, own = net.visitor(version), net.public(version), net.a.address(version)
    if version == 4:
        asked = bytes([68, 12, 5, 3]) + inner[1] + bytes(4)  # is this address yours?
        extras, own_extras = (*RECORD, asked), RECORD
    else:
        extras = EXTENSIONS
        own_extras = ((60, bytes([1, 2, 0, 0, 0xC9, 16]) + inner[0]),)  # mobile IPv6's home address
    with Tap(net.inet, "eth0", version) as tap, TcpServer(net.a.host, 30001, versions=(version,)):
        for packet in (packets.tcp(version, visitor, public, net.SILENT_PORT, 30001, SYN), packets.udp(version, visitor, public, 4000, 30002, b"x"),
                       packets.echo_request(version, visitor, public, 77, b"x" * 40)):
            for one in odd(version, packet, extras):
                packets.send(net.inet, version, one)
        for packet in odd(version, packets.udp(version, own, visitor, 4000, 4001, b"x"), own_extras):
            packets.send(net.a.host, version, packet, "tunnel")
        told = tap.seen(lambda packet: any(address in packet for address in inner), net.patience, 4 if version == 4 else 1)
        return told


def multipath_tcp(net, version, times=1):
    """A visitor's first segment says that he has other addresses; a device's answer, that it has."""
    net.lease("tcp", version, 30001, net.a)
    capable = (bytes([30, 12, 0, 0x81]) + b"key12345") * times
    with Tap(net.a.host, "tunnel", version) as tap, Tap(net.inet, "eth0", version) as outside:
        packets.send(net.inet, version, packets.tcp(version, net.visitor(version), net.public(version), net.SILENT_PORT, 30001, SYN, options=capable))
        packets.send(net.a.host, version, packets.tcp(version, net.a.address(version), net.visitor(version), 4000, net.SILENT_PORT, SYN, options=capable), "tunnel")
        is_capable = lambda packet: b"key12345" in packet  # noqa: E731
        return tap.seen(is_capable, net.patience / 2) + outside.seen(is_capable, net.patience / 2)


def multipath_tcp_twice(net, version):
    return multipath_tcp(net, version, times=2)


def precedence(net, version):
    """A visitor says that his packets go first in the device's home, and a device that its go first on the gateway's line."""
    net.lease("udp", version, 30001, net.a)
    urgent = 0xB8

    def marked(packet):
        return (packet[1] if version == 4 else struct.unpack("!H", packet[:2])[0] >> 4) & 0xFC == urgent and b"me first" in packet
    with Tap(net.a.host, "tunnel", version) as tap, Tap(net.inet, "eth0", version) as outside:
        for host, packet, interface in ((net.inet, packets.udp(version, net.visitor(version), net.public(version), 4000, 30001, b"me first"), None),
                                        (net.a.host, packets.udp(version, net.a.address(version), net.visitor(version), 4000, 4001, b"me first"), "tunnel")):
            packets.send(host, version, packets.with_precedence(version, packet, urgent), interface)
        return tap.seen(marked, net.patience / 2) + outside.seen(marked, net.patience / 2)


def errors_that_are_none(net, version):
    """Of a device's own connection: a redirect to another way, and an error that nobody knows; an honest error passes."""
    visitor, public = net.visitor(version), net.public(version)
    with net.a.socket(version, UDP, 4000) as device, new_socket(net.inet, version, UDP, 41001) as server, Tap(net.a.host, "tunnel", version) as tap:
        device.sendto(b"hello", (visitor, 41001))
        data, peer = server.recvfrom(100)
        assert data == b"hello"
        about = packets.udp(version, public, visitor, peer[1], 41001, b"hello")
        for kind in {4: (4, 5), 6: (100, 127)}[version]:
            packets.send(net.inet, version, packets.icmp(version, visitor, public, kind, 1, packets.binary(4, "198.51.100.32") + about))
        packets.send(net.inet, version, packets.port_unreachable(version, visitor, public, about))
        errors = tap.seen(lambda packet: packets.protocol_of(version, packet) == packets.ICMP[version], net.patience + 1, 3)
        kinds = [packets.after_header(version, packet)[0] for packet in errors]
        assert {4: 3, 6: 1}[version] in kinds
        return [kind for kind in kinds if kind != {4: 3, 6: 1}[version]]


def only_ping_leaves(net, version):
    """Timestamps, masks and information of IPv4, a node's information of IPv6; an honest ping passes."""
    kinds = {4: (13, 15, 17), 6: (139,)}[version]
    with Tap(net.inet, "eth0", version) as tap:
        for kind in kinds:
            packets.send(net.a.host, version, packets.icmp(version, net.a.address(version), net.visitor(version), kind, 0, bytes(16)), "tunnel")
        packets.send(net.a.host, version, packets.echo_request(version, net.a.address(version), net.visitor(version), 77, b"ping"), "tunnel")
        seen = tap.seen(lambda packet: packets.protocol_of(version, packet) == packets.ICMP[version]
                        and packets.after_header(version, packet)[0] in (*kinds, 8, 128), net.patience + 1, 1 + len(kinds))
        told = [packets.after_header(version, packet)[0] for packet in seen]
        assert {4: 8, 6: 128}[version] in told
        return [kind for kind in told if kind in kinds]
