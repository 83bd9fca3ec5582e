"""Packets byte by byte, for what no socket would send: false sources, odd flags, overlapping fragments, errors about others' connections."""
import contextlib
import select
import socket
import struct
import time

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
OUTGOING = 4  # PACKET_OUTGOING
ETHERTYPE = {4: 0x0800, 6: 0x86DD}
ICMP = {4: 1, 6: 58}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def binary(version, address):
    return socket.inet_pton(FAMILY[version], address)


def ip(version, source, destination, protocol, payload, fragment=0, identification=1):
    """`fragment`: the flags and offset word of IPv4."""
    ends = binary(version, source) + binary(version, destination)
    if version == 6:
        return struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64) + ends + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), identification, fragment, 64, protocol, 0) + ends
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def with_checksum(version, source, destination, protocol, segment, place):
    pseudo = binary(version, source) + binary(version, destination) + struct.pack("!II", len(segment), protocol)
    return segment[:place] + struct.pack("!H", checksum(pseudo + segment) or 0xFFFF) + segment[place + 2:]


def udp_segment(version, source, destination, source_port, port, payload):
    segment = struct.pack("!HHHH", source_port, port, 8 + len(payload), 0) + payload
    return with_checksum(version, source, destination, 17, segment, 6)


def udp(version, source, destination, source_port, port, payload):
    return ip(version, source, destination, 17, udp_segment(version, source, destination, source_port, port, payload))


def tcp(version, source, destination, source_port, port, flags, payload=b"", sequence=1000, acknowledged=2000, options=b""):
    options += bytes(-len(options) % 4)
    segment = struct.pack("!HHIIBBHHH", source_port, port, sequence, acknowledged if flags & ACK else 0, 5 + len(options) // 4 << 4, flags, 64240, 0, 0)
    segment += options + payload
    return ip(version, source, destination, 6, with_checksum(version, source, destination, 6, segment, 16))


def icmp(version, source, destination, kind, code, rest):
    message = struct.pack("!BBH", kind, code, 0) + rest
    if version == 4:
        message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    else:
        message = with_checksum(version, source, destination, 58, message, 2)
    return ip(version, source, destination, ICMP[version], message)


def echo_request(version, source, destination, identifier, payload):
    return icmp(version, source, destination, {4: 8, 6: 128}[version], 0, struct.pack("!HH", identifier, 1) + payload)


def port_unreachable(version, source, destination, about):
    return icmp(version, source, destination, *{4: (3, 3), 6: (1, 4)}[version], b"\0\0\0\0" + about)


def path_too_narrow(version, source, destination, mtu, about):
    return icmp(version, source, destination, *{4: (3, 4), 6: (2, 0)}[version], struct.pack({4: "!xxH", 6: "!I"}[version], mtu) + about)


def fragment(version, source, destination, protocol, part, offset, more, identification):
    if version == 4:
        return ip(4, source, destination, protocol, part, fragment=(0x2000 if more else 0) | offset // 8, identification=identification)
    return ip(6, source, destination, 44, struct.pack("!BBHI", protocol, 0, offset | int(more), identification) + part)


def with_options(packet, options):
    """An IPv4 packet without options, with these."""
    options += bytes(-len(options) % 4)
    head = bytes([0x45 + len(options) // 4, packet[1]]) + struct.pack("!H", len(packet) + len(options)) + packet[4:10] + b"\0\0" + packet[12:20] + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + packet[20:]


def with_extension(packet, kind, body):
    """An IPv6 packet, with one more extension header: its body behind the first two bytes; none for a fragment that is all there is."""
    if body is None:
        header = bytes([packet[6], 0, 0, 0, 0, 0, 0, 9])
    else:
        length = (2 + len(body)) // 4 - 2 if kind == 51 else (2 + len(body)) // 8 - 1
        header = bytes([packet[6], length]) + body
    return packet[:4] + struct.pack("!H", len(packet) - 40 + len(header)) + bytes([kind]) + packet[7:40] + header + packet[40:]


def with_precedence(version, packet, octet):
    """The same with another traffic class (DSCP and ECN)."""
    if version == 6:
        return struct.pack("!I", 6 << 28 | octet << 20) + packet[4:]
    head = bytes([packet[0], octet]) + packet[2:10] + b"\0\0" + packet[12:20]
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + packet[20:]


def send(host, version, packet, interface=None):
    """As it is: by the routes of the host, or out of an interface without link addresses."""
    if interface:
        with host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, ETHERTYPE[version]) as sender:
            sender.sendto(packet, (interface, ETHERTYPE[version]))
        return
    destination = socket.inet_ntop(FAMILY[version], packet[16:20] if version == 4 else packet[24:40])
    with host.socket(FAMILY[version], socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
        sender.sendto(packet, (destination, 0))


class Sender:
    """For many packets of one host; what a host refuses to send is not sent."""

    def __init__(self, host, version, interface=None):
        self.version, self.interface = version, interface
        if interface:
            self.socket = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, ETHERTYPE[version])
        else:
            self.socket = host.socket(FAMILY[version], socket.SOCK_RAW, socket.IPPROTO_RAW)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, packet):
        to = (self.interface, ETHERTYPE[self.version]) if self.interface else (destination_of(self.version, packet), 0)
        with contextlib.suppress(OSError):
            self.socket.sendto(packet, to)


class Tap:
    """Every IP packet that arrives on an interface: `with Tap(host, "eth0", 4) as tap: ... tap.seen(lambda packet: ..., seconds)`."""

    def __init__(self, host, interface, version):
        self.socket = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, ETHERTYPE[version])
        self.socket.bind((interface, ETHERTYPE[version]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def waiting(self):
        """All that has come by now."""
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, where = self.socket.recvfrom(65536, socket.MSG_DONTWAIT)
                if where[2] != OUTGOING:
                    yield packet

    def seen(self, wanted, seconds, enough=1):
        out, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and len(out) < enough:
            if select.select([self.socket], [], [], left)[0]:
                packet, where = self.socket.recvfrom(65536)
                if where[2] != OUTGOING and wanted(packet):
                    out.append(packet)
        return out


def source_of(version, packet):
    return socket.inet_ntop(FAMILY[version], packet[12:16] if version == 4 else packet[8:24])


def destination_of(version, packet):
    return socket.inet_ntop(FAMILY[version], packet[16:20] if version == 4 else packet[24:40])


def protocol_of(version, packet):
    return packet[9] if version == 4 else packet[6]


def after_header(version, packet):
    return packet[(packet[0] & 15) * 4:] if version == 4 else packet[40:]


def first_ports(version, packet):
    """Source and destination port; None in what is not the beginning of a datagram."""
    body = after_header(version, packet)
    if version == 6 and packet[6] == 44:
        offset, body = struct.unpack("!H", body[2:4])[0] & ~7, body[8:]
    else:
        offset = struct.unpack("!H", packet[6:8])[0] & 0x1FFF if version == 4 else 0
    return None if offset else struct.unpack("!HH", body[:4])
