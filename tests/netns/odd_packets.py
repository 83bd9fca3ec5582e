"""Odd packets without end from a seed, and what may come of them: a model of what passes the gateway, not a list of attacks."""
import random
import socket
import struct

import packets
from attacks import INSIDE, STRANGER

LEASED_TCP, LEASED_UDP = 30001, 30002
PORTS = (LEASED_TCP, LEASED_UDP, 22, 53, 67, 68, 546, 547, 1900, 5351, 40000, 51820, 30999, 0, 65535)
PING = {4: {8, 0}, 6: {128, 129}}
ERRORS = {4: {3, 11, 12}, 6: {1, 2, 3, 4}}
OF_THE_LINK = {130, 131, 132, 133, 134, 135, 136, 137, 143}  # ICMPv6's own affairs of neighbours


class OddPackets:
    """One side's: the addresses that it may put in as source and destination."""

    def __init__(self, seed, version, sources, destinations):
        self.random, self.version = random.Random(seed), version
        self.sources, self.destinations = sources, destinations

    def next(self):
        choose, version = self.random.choice, self.version
        source, destination = choose(self.sources), choose(self.destinations)
        packet = choose((self.tcp, self.tcp, self.udp, self.udp, self.icmp, self.any_protocol, self.part))(source, destination)
        if self.random.random() < 0.4:
            packet = self.with_extras(packet)
        if self.random.random() < 0.3:
            packet = packets.with_precedence(version, packet, self.random.randrange(256))
        return packet

    def some(self, least, most):
        return self.random.randbytes(self.random.randint(least, most))

    def ports(self):
        return self.random.choice(PORTS), self.random.choice((*PORTS, *(LEASED_TCP, LEASED_UDP) * 5))

    def tcp(self, source, destination):
        options = b"".join(bytes([kind, 2 + len(body)]) + body for kind in self.random.choices((2, 3, 8, 19, 28, 30, 30, 253), k=self.random.randint(0, 2))
                           for body in [self.some(2, 12)])
        return packets.tcp(self.version, source, destination, *self.ports(), self.random.choice((packets.SYN, packets.SYN, self.random.randrange(64))),
                           self.some(0, 20), sequence=self.random.randrange(1 << 32), options=options)

    def udp(self, source, destination):
        return packets.udp(self.version, source, destination, *self.ports(), self.some(0, 40))

    def icmp(self, source, destination):
        about = packets.udp(self.version, destination, source, *self.ports(), self.some(0, 20))
        known = (*ERRORS[self.version], *PING[self.version], 4, 5, 9, 10, 13, 15, 17, 100, 127, 137, 139)
        kind = self.random.choice((self.random.choice(known), self.random.randrange(256)))
        return packets.icmp(self.version, source, destination, kind, self.random.randrange(16), self.some(4, 4) + about[:self.random.randint(0, len(about))])

    def any_protocol(self, source, destination):
        return packets.ip(self.version, source, destination, self.random.randrange(256), self.some(0, 40))

    def part(self, source, destination):
        return packets.fragment(self.version, source, destination, self.random.choice((6, 17, 58, 1)), self.some(8, 40), self.random.randrange(0, 64, 8),
                                self.random.random() < 0.5, self.random.randrange(4))

    def with_extras(self, packet):
        if self.version == 4:
            kind = self.random.choice((7, 68, 131, 137, 148, 130, 1, 0, self.random.randrange(256)))
            body = self.some(1, 30)
            return packets.with_options(packet, bytes([kind, 2 + len(body)]) + body)
        for _ in range(self.random.randint(1, 3)):
            kind = self.random.choice((0, 43, 60, 51, 44, 135))
            packet = packets.with_extension(packet, kind, None if kind == 44 else self.some(6, 6) if kind != 51 else self.some(10, 10))
        return packet


def of_the_gateway(version, packet):
    source = packets.source_of(version, packet)
    return source == INSIDE[version] or (version == 6 and source.startswith("fe80:"))


def surprise_at_device(version, device, packet):
    """Why it should not have come out of this device's tunnel; none where it may."""
    if version == 4 and packet[0] != 0x45:
        return "has options"
    if packets.destination_of(version, packet) != device.address(version):
        return "is another's"
    protocol, body = packets.protocol_of(version, packet), packets.after_header(version, packet)
    if of_the_gateway(version, packet) and protocol == packets.ICMP[version]:
        # What a kernel tells those beside it: its errors go first, and in IPv6 it names better ways.
        return None if body[0] in PING[version] | ERRORS[version] | (OF_THE_LINK if version == 6 else set()) else f"is ICMP {body[0]} of the gateway"
    if not of_the_gateway(version, packet) and (packet[1] if version == 4 else struct.unpack("!H", packet[:2])[0] >> 4) & 0xFC:
        return "goes first"
    if packets.source_of(version, packet) in (INSIDE[version], device.address(version)) and protocol not in (17, packets.ICMP[version], 6):
        return "is of the gateway"
    if protocol == packets.ICMP[version]:
        return None if body[0] in PING[version] | ERRORS[version] else f"is ICMP {body[0]}"
    if protocol not in (6, 17):
        return f"has protocol {protocol}"
    if protocol == 6 and body[13] & packets.SYN and 30 in kinds_of(body):
        return "knows several paths"
    return None


def kinds_of(segment):
    """The kinds of options of a TCP segment, as far as they can be told."""
    options, kinds = segment[20:(segment[12] >> 4) * 4], set()
    while options and options[0] != 0:
        kinds.add(options[0])
        step = 1 if options[0] == 1 else options[1] if len(options) > 1 else 0
        if step < (1 if options[0] == 1 else 2):
            break
        options = options[step:]
    return kinds


def surprise_outside(version, public, inner, packet):
    """Why it should not have left the gateway for the Internet."""
    if any(packets.binary(version, end(version, packet)) in inner for end in (packets.source_of, packets.destination_of)):
        return "shows an inner address"
    if packets.source_of(version, packet) != public:
        return None  # of a router on the way, or of a device that speaks for itself beside its tunnel
    if version == 4 and packet[0] != 0x45:
        return "has options"
    protocol, body = packets.protocol_of(version, packet), packets.after_header(version, packet)
    if protocol == packets.ICMP[version]:
        # What a ping carries is its sender's own affair; what an error quotes is ours.
        if body[0] in ERRORS[version] and any(address in body for address in inner):
            return "quotes an inner address"
        return None if body[0] in PING[version] | ERRORS[version] | (OF_THE_LINK if version == 6 else set()) else f"is ICMP {body[0]}"
    if protocol == 6 and body[13] & packets.SYN and 30 in kinds_of(body):
        return "knows several paths"
    return None if protocol in (6, 17) else f"has protocol {protocol}"


def sides(net, version):
    """Who sends: (name, host, interface, sources, destinations)."""
    public, visitor, own, other = net.public(version), net.visitor(version), net.a.address(version), net.b.address(version)
    outer = net.a.wan_v4 if version == 4 else net.a.wan_v6
    everybody = [public, public, public, own, INSIDE[version]]
    return (("the Internet", net.inet, None, [visitor, visitor, visitor, STRANGER[version], own, INSIDE[version], public], everybody),
            ("a device", net.a.host, "tunnel", [own, own, own, other, STRANGER[version], public], [visitor, visitor, public, other, INSIDE[version], "10.0.0.1" if version == 4 else "fc00::1"]),
            ("a device, beside its tunnel", net.a.host, None, [outer, outer, own, visitor], everybody))


def try_odd_packets(net, version, seed, count):
    """`count` of each side; returns the first surprises, in words."""
    net.lease("tcp", version, LEASED_TCP, net.a)
    net.lease("udp", version, LEASED_UDP, net.a)
    inner = [packets.binary(version, address) for address in (net.a.address(version), net.b.address(version), INSIDE[version])]
    surprises, seen = [], {"device": 0, "outside": 0}
    with packets.Tap(net.a.host, "tunnel", version) as a, packets.Tap(net.b.host, "tunnel", version) as b, packets.Tap(net.inet, "eth0", version) as outside:
        for tap in (a, b, outside):
            tap.socket.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE

        def look():
            for tap, judge in ((a, lambda packet: surprise_at_device(version, net.a, packet)), (b, lambda packet: surprise_at_device(version, net.b, packet))):
                for packet in tap.waiting():
                    seen["device"] += 1
                    if why := judge(packet):
                        surprises.append(f"at a device: {why}: {packet[:100].hex()}")
            for packet in outside.waiting():
                seen["outside"] += 1
                if why := surprise_outside(version, net.public(version), inner, packet):
                    surprises.append(f"outside: {why}: {packet[:100].hex()}")
        for number, (name, host, interface, sources, destinations) in enumerate(sides(net, version)):
            made = OddPackets(seed + number, version, sources, destinations)
            with packets.Sender(host, version, interface) as sender:
                for sent in range(count):
                    sender.send(made.next())
                    if sent % 200 == 0:
                        look()
                if surprises:
                    return [f"{name}, seed {seed}: {surprise}" for surprise in surprises[:5]], seen
        look()
    return surprises[:5], seen
