"""What somebody may try against the gateway. Each attack takes the lab and the address family, and returns what got through: nothing when
the wall stands. An attack waits `net.patience` seconds for its effect and no longer than that needs.
"""
import contextlib
import select
import socket
import struct
import time

import packets
from namespaces import wait_for
from packets import ACK, FIN, PSH, RST, SYN, URG, Tap
from redirect_lab import drain, new_socket
from traffic import TcpServer, UdpServer, connect, read_line, tcp_visit, udp_visit

INSIDE = {4: "10.77.0.1", 6: "fd77::1"}
NO_DEVICE = {4: "10.77.9.9", 6: "fd77::9:9"}
STRANGER = {4: "203.0.113.9", 6: "2001:db8:bad::9"}
# Services, both ends of the pool and of the ranges beside it, another device's lease.
SHADOWED_PORTS = (22, 53, 1024, 5351, 9999, 10000, 30001, 31999, 32000, 51200, 51820, 51999, 52000, 60999, 61000, 65535)
TRANSLATED = range(32768, 51200)
SILENCE_S = 1.5  # where the harm is that something does not come
UDP, TCP = socket.SOCK_DGRAM, socket.SOCK_STREAM


def arrivals(receiver, seconds, enough=1):
    """(data, peer) of the first `enough` datagrams within the time."""
    out, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and len(out) < enough:
        if select.select([receiver], [], [], left)[0]:
            out += drain(receiver)
    return out


def first_of(sockets, seconds):
    """The sockets that have something to read, as soon as one has."""
    return select.select(sockets, [], [], seconds)[0]


def arrived(receiver, wanted, seconds):
    """Whether that datagram comes; others are let go."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if wanted in [data for data, _ in arrivals(receiver, left)]:
            return True
    return False


def beyond(net, receiver, allowed):
    """All that is allowed arrives; and what arrives beyond that."""
    got = arrivals(receiver, 5, allowed)
    assert len(got) >= allowed
    return got + (arrivals(receiver, net.patience, FLOOD - 10 - len(got)) if len(got) < FLOOD - 10 else [])


def heard(datagrams, wanted):
    return [data for data, _ in datagrams if data == wanted]


# --- the ports of others


def shadow_udp(net, version):
    """A device sends from the number of somebody else's port, and what is then sent to that port should come to it."""
    net.lease("udp", version, 30001, net.b)
    with contextlib.ExitStack() as stack:
        owner = stack.enter_context(net.b.socket(version, UDP, 30001))
        victim = stack.enter_context(new_socket(net.inet, version, UDP, 41001))
        shadows = {port: stack.enter_context(net.a.socket(version, UDP, port)) for port in SHADOWED_PORTS}
        for port, shadow in shadows.items():
            shadow.sendto(b"%d" % port, (net.visitor(version), 41001))
        seen = {int(data): peer for data, peer in arrivals(victim, 5, len(shadows))}
        assert len(seen) == len(shadows)  # what devices send gets out
        for port in shadows:
            victim.sendto(b"to the owner", (net.public(version), port))
        caught = first_of(list(shadows.values()), net.patience)
        if caught:
            return [f"a datagram to {shadow.getsockname()[1]}" for shadow in caught]
        assert heard(arrivals(owner, 5), b"to the owner")
        return [f"{port} seen as {peer}" for port, peer in seen.items() if peer[0] != net.public(version) or peer[1] not in TRANSLATED]


def shadow_tcp(net, version):
    """The same with half-open connections, which would take their peer's SYN for a simultaneous open."""
    net.lease("tcp", version, 30001, net.b)
    visitor, public = net.visitor(version), net.public(version)

    def is_syn(number):
        return lambda packet: packets.protocol_of(version, packet) == 6 and struct.unpack("!4xI", packets.after_header(version, packet)[:8])[0] == number
    with Tap(net.inet, "eth0", version) as outside, Tap(net.a.host, "tunnel", version) as attacker, Tap(net.b.host, "tunnel", version) as owner:
        for port in SHADOWED_PORTS:
            packets.send(net.a.host, version, packets.tcp(version, net.a.address(version), visitor, port, net.SILENT_PORT, SYN, sequence=55), "tunnel")
        seen = outside.seen(is_syn(55), 5, len(SHADOWED_PORTS))
        assert len(seen) == len(SHADOWED_PORTS)
        for port in SHADOWED_PORTS:
            packets.send(net.inet, version, packets.tcp(version, visitor, public, net.SILENT_PORT, port, SYN, sequence=77))
        if caught := attacker.seen(is_syn(77), net.patience):
            return [f"{len(caught)} connections to others' ports"]
        assert owner.seen(is_syn(77), 5)
    peers = [(packets.source_of(version, packet), struct.unpack("!H", packets.after_header(version, packet)[:2])[0]) for packet in seen]
    return [f"seen as {peer}" for peer in peers if peer[0] != public or peer[1] not in TRANSLATED]


def portless_protocols(net, version):
    """GRE, ESP, AH, SCTP and one that nobody knows: nothing tells a device's from the gateway's own."""
    with Tap(net.inet, "eth0", version) as tap:
        for protocol in (47, 50, 51, 132, 253):
            packets.send(net.a.host, version, packets.ip(version, net.a.address(version), net.visitor(version), protocol, b"\0\0\x08\0portless" + b"x" * 12),
                         "tunnel")
        return tap.seen(lambda packet: b"portless" in packet, net.patience)


def echo_identifier(net, version):
    """A device's ping has the number of the gateway's own: whose is the answer?"""
    with Tap(net.a.host, "tunnel", version) as tap, \
            net.gw.socket(packets.FAMILY[version], socket.SOCK_RAW, packets.ICMP[version]) as own:
        packets.send(net.a.host, version, packets.echo_request(version, net.a.address(version), net.visitor(version), 77, b"of the device"), "tunnel")
        assert tap.seen(lambda packet: b"of the device" in packet, 5)
        message = packets.echo_request(version, net.public(version), net.visitor(version), 77, b"of the gateway")
        own.sendto(packets.after_header(version, message), (net.visitor(version), 0))
        answers = wait_for(lambda: [data for data, _ in drain(own) if b"of the gateway" in data], 5, "the gateway's ping is answered")
        assert answers
        return tap.seen(lambda packet: b"of the gateway" in packet, net.patience)


def untranslated(net, version, protocols=(6, 17)):
    """Packets that show a device's address inside the tunnel to the Internet."""
    with Tap(net.inet, "eth0", version) as tap:
        own, other = net.a.address(version), net.visitor(version)
        for packet in (packets.udp(version, own, other, 4000, 4001, b"x"), packets.tcp(version, own, other, 4000, 4001, SYN),
                       packets.echo_request(version, own, other, 4000, b"x")):
            if packets.protocol_of(version, packet) in protocols:
                packets.send(net.a.host, version, packet, "tunnel")
        return tap.seen(lambda packet: packets.source_of(version, packet) == own, net.patience)


def untranslated_echo(net, version):
    return untranslated(net, version, (packets.ICMP[version],))


# --- floods


FLOOD, ALLOWED = 60, 20  # the lab's limit is set to this for these attacks


def flood_out(net, version):
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(new_socket(net.inet, version, UDP, 4000))
        for _ in range(FLOOD):
            stack.enter_context(net.a.socket(version, UDP)).sendto(b"a", (net.visitor(version), 4000))
        got = beyond(net, receiver, ALLOWED)
        stack.enter_context(net.b.socket(version, UDP)).sendto(b"b", (net.visitor(version), 4000))
        assert arrived(receiver, b"b", 5)  # the other device does not feel it
        return got[ALLOWED:]


def flood_of_visits(net, version):
    """Faster than the lab's limit of ten new visits a second."""
    net.lease("udp", version, 30001, net.a)
    net.lease("udp", version, 30002, net.a)
    with net.a.socket(version, UDP, 30001) as receiver, net.a.socket(version, UDP, 30002) as other, contextlib.ExitStack() as stack:
        for _ in range(FLOOD):
            stack.enter_context(new_socket(net.inet, version, UDP)).sendto(b"a", (net.public(version), 30001))
        stack.enter_context(new_socket(net.inet, version, UDP)).sendto(b"b", (net.public(version), 30002))
        assert arrived(other, b"b", 5)
        got = beyond(net, receiver, 10)
        return got[FLOOD // 2:]


def handshakes_fill_the_table(net, version):
    """Initiations from addresses that are nobody's, and the answer to one device's honest packet."""
    initiation = b"\1\0\0\0" + bytes(144)
    for number in range(1, FLOOD + 1):
        source = f"198.18.0.{number}" if version == 4 else f"2001:db8:bad::{number:x}"
        packets.send(net.inet, version, packets.udp(version, source, net.public(version), 42000, 51820, initiation))
    net.a.host.run("ping", "-n", "-c", 1, "-W", 5, "-I", net.a.address(version), INSIDE[version])
    table = net.gw.sh("conntrack -L -p udp -f ipv4 2>/dev/null; conntrack -L -p udp -f ipv6 2>/dev/null").splitlines()
    return [line for line in table if "port=51820" in line]


# --- leases that have ended


def ended_lease_heard(net, version):
    """The visitor's stream goes on after the kernel has ended the lease, with no drpf to help."""
    net.lease("udp", version, 30001, net.b, lifetime_ms=700)
    with net.b.socket(version, UDP, 30001) as holder, new_socket(net.inet, version, UDP, 41001) as visitor:
        visitor.sendto(b"in time", (net.public(version), 30001))
        (_, peer), = arrivals(holder, 0.6)
        holder.sendto(b"answered", peer)
        assert arrived(visitor, b"answered", 5)
        end_of_lease(net)
        for _ in range(5):
            visitor.sendto(b"too late", (net.public(version), 30001))
        return [peer] if arrived(holder, b"too late", net.patience) else []


def ended_lease_answers(net, version):
    """The former holder goes on speaking, and being answered, on the port that it has lost."""
    net.lease("udp", version, 30001, net.b, lifetime_ms=700)
    with net.b.socket(version, UDP, 30001) as holder, new_socket(net.inet, version, UDP, 41001) as visitor:
        holder.sendto(b"in time", (net.visitor(version), 41001))
        assert arrivals(visitor, 0.6) == [(b"in time", (net.public(version), 30001))]
        end_of_lease(net)
        holder.sendto(b"too late", (net.visitor(version), 41001))
        visitor.sendto(b"an answer", (net.public(version), 30001))
        return [s.getsockname() for s in first_of([holder, visitor], net.patience)]


def end_of_lease(net):
    """Gone from the kernel, by its own clock."""
    wait_for(lambda: "elements" not in net.gw.sh("nft list set inet drpf live"), 5, "the lease ends", every=0.05)
    net.installed.clear()


def ended_lease_silent(net, version):
    """The peer of a connection that ended with its lease is told; returns what it waits for."""
    net.lease("tcp", version, 30001, net.b, lifetime_ms=700)
    with TcpServer(net.b.host, 30001, versions=(version,)), connect(net.inet, net.public(version), 30001) as visit:
        read_line(visit)
        end_of_lease(net)
        visit.settimeout(SILENCE_S)
        try:
            visit.sendall(b"x")
            visit.recv(10)
        except ConnectionResetError:
            return []
        except TimeoutError:
            return ["no reset came"]
        return ["an answer came"]


def stale_flow_takes_new_generation(net, version):
    """Somebody else gets the port while the old stream, which nobody ever answered, still runs: it must not pass as the new owner's."""
    old = net.lease("udp", version, 30001, net.b)
    public, family = net.public(version), version
    with net.b.socket(version, UDP, 30001) as holder, new_socket(net.inet, version, UDP, 41001) as visitor:
        visitor.sendto(b"in time", (public, 30001))
        assert arrived(holder, b"in time", 5)
        # By hand and without the deletion of connections that drpf would do: the instant between the two.
        key = f"{public} . udp . 30001"
        net.gw.nft(f"delete element inet drpf live {{ {old:#x} }}\ndelete element inet drpf genin{family} {{ {key} }}\n"
                   f"delete element inet drpf dnat{family} {{ {key} }}\nadd element inet drpf live {{ 0x77 timeout 60s }}\n"
                   f"add element inet drpf genin{family} {{ {key} timeout 60s : 0x77 }}\n"
                   f"add element inet drpf dnat{family} {{ {key} timeout 60s : {net.a.address(version)} . 30001 }}\n")
        try:
            visitor.sendto(b"for the new owner", (public, 30001))
            return ["heard by the old owner"] if arrived(holder, b"for the new owner", net.patience) else []
        finally:
            net.probe.ask("reconcile")


def leased_port_without_generation(net, version):
    """The generation's element has run out a moment before the port's own: the flow must not have the port without a mark."""
    net.lease("udp", version, 30001, net.b)
    net.gw.nft(f"delete element inet drpf genout{version} {{ udp . {net.b.address(version)} . 30001 }}")
    with net.b.socket(version, UDP, 30001) as holder, new_socket(net.inet, version, UDP, 41001) as visitor:
        holder.sendto(b"x", (net.visitor(version), 41001))
        (_, peer), = arrivals(visitor, 5)
        net.probe.ask("reconcile")
        return [peer] if peer[1] == 30001 else []


def visit_without_generation(net, version):
    net.lease("udp", version, 30001, net.b)
    net.gw.nft(f"delete element inet drpf genin{version} {{ {net.public(version)} . udp . 30001 }}")
    with net.b.socket(version, UDP, 30001) as holder, new_socket(net.inet, version, UDP, 41001) as visitor:
        visitor.sendto(b"x", (net.public(version), 30001))
        got = arrivals(holder, net.patience)
        net.probe.ask("reconcile")
        return got


def mid_stream(net, version):
    """A segment out of the middle of the former owner's conversation, sent to the new one."""
    net.lease("tcp", version, 30001, net.b)
    with Tap(net.b.host, "tunnel", version) as tap:
        packets.send(net.inet, version, packets.tcp(version, net.visitor(version), net.public(version), 41001, 30001, ACK | PSH, b"old secret"))
        return tap.seen(lambda packet: b"old secret" in packet, net.patience)


def mid_stream_silent(net, version):
    """The old peer is told that its conversation is over; returns what it waits for."""
    net.lease("tcp", version, 30001, net.b)
    with Tap(net.inet, "eth0", version) as tap:
        packets.send(net.inet, version, packets.tcp(version, net.visitor(version), net.public(version), 41001, 30001, ACK | PSH, b"old secret"))

        def is_reset(packet):
            return packets.protocol_of(version, packet) == 6 and packets.after_header(version, packet)[13] & RST
        return [] if tap.seen(is_reset, SILENCE_S) else ["no reset came"]


def mid_stream_out(net, version):
    with Tap(net.inet, "eth0", version) as tap:
        packets.send(net.a.host, version, packets.tcp(version, net.a.address(version), net.visitor(version), 4000, 80, ACK | PSH, b"half a word"), "tunnel")
        return tap.seen(lambda packet: b"half a word" in packet, net.patience)


# --- who may reach whom


def real_address_shown(net, version):
    """Port Fail: a device visits another's lease around its tunnel, and the holder learns its real address."""
    net.lease("udp", version, 30001, net.b)
    own = net.a.wan_v4 if version == 4 else net.a.wan_v6
    net.probe.ask("endpoint", own, 60_000)
    try:
        with net.b.socket(version, UDP, 30001) as holder, new_socket(net.a.host, version, UDP) as visitor:
            visitor.sendto(b"x", (net.public(version), 30001))
            return [peer for _, peer in arrivals(holder, net.patience) if peer[0] == own]
    finally:
        net.probe.ask("endpoint", own, 1)


def hairpin(net, version):
    """By the public address and through the tunnel: its own lease and another's."""
    net.lease("udp", version, 30001, net.b)
    net.lease("udp", version, 30002, net.a)
    with net.b.socket(version, UDP, 30001) as other, net.a.socket(version, UDP, 30002) as own, net.a.socket(version, UDP) as sender:
        for port in (30001, 30002):
            sender.sendto(b"x", (net.public(version), port))
        return first_of([other, own], net.patience)


def services_through_the_tunnel(net, version):
    """What the gateway offers to the outside is not offered to devices from behind."""
    with TcpServer(net.gw, 22, versions=(version,)) as server, net.a.socket(version, TCP) as visit:
        visit.settimeout(net.patience)
        with contextlib.suppress(OSError):
            visit.connect((net.public(version), 22))
            return ["connected"]
        return list(server.peers)


def device_to_device(net, version):
    with net.b.socket(version, UDP, 30001) as other, net.a.socket(version, UDP) as sender:
        sender.sendto(b"x", (net.b.address(version), 30001))
        return arrivals(other, net.patience)


def closed_service(net, version):
    """A program of the gateway's host that nobody named in the configuration, and the devices' services, from outside."""
    with TcpServer(net.gw, 8080, versions=(version,)) as named, TcpServer(net.gw, 5351, versions=(version,)) as api, \
            UdpServer(net.gw, 5351, versions=(version,)) as mapping:
        udp_visit(net.inet, net.public(version), 5351, seconds=net.patience / 2, tries=1)
        for port in (8080, 5351):
            tcp_visit(net.inet, net.public(version), port, seconds=net.patience / 3)
        return named.peers + api.peers + mapping.peers


def spoof(net, version, source):
    with new_socket(net.inet, version, UDP, 41001) as receiver:
        packets.send(net.a.host, version, packets.udp(version, source, net.visitor(version), 4000, 41001, b"spoofed"), "tunnel")
        return arrivals(receiver, net.patience)


def spoof_as_another_device(net, version):
    return spoof(net, version, net.b.address(version))


def spoof_by_another_tunnel(net, version):
    """Its own address, but the device has come by another kind of tunnel since."""
    address = net.a.address(version)
    net.probe.ask("here", address, "tun1", 600_000)
    try:
        return spoof(net, version, address)
    finally:
        net.probe.ask("here", address, "tun0", 600_000)


def spoof_as_a_stranger(net, version):
    return spoof(net, version, STRANGER[version])


def spoof_as_no_device(net, version):
    return spoof(net, version, NO_DEVICE[version])


def inside_of_the_gateway(net, version):
    """The gateway's own address in the tunnel, from outside."""
    with TcpServer(net.gw, 22, versions=(version,)) as server:
        greeting = tcp_visit(net.inet, INSIDE[version], 22, seconds=net.patience)
        return server.peers + [greeting] * bool(greeting)


def inside_of_a_device(net, version):
    """A device's address in the tunnel, from outside, by a route that an attacker on the same link may set."""
    with net.a.socket(version, UDP, 30001) as device, new_socket(net.inet, version, UDP, 41001) as sender:
        sender.sendto(b"x", (net.a.address(version), 30001))
        return arrivals(device, net.patience)


def gateway_to_lost_device(net, version):
    """The tunnel's route is gone: what the gateway itself sends to a device follows the default route."""
    with Tap(net.inet, "eth0", version) as tap, new_socket(net.gw, version, UDP) as sender:
        with contextlib.suppress(OSError):
            sender.sendto(b"for the tunnel only", (NO_DEVICE[version], 4000))
        return tap.seen(lambda packet: b"for the tunnel only" in packet, net.patience)


def gateway_shows_tunnel_address(net, version):
    with new_socket(net.inet, version, UDP, 41001) as receiver, net.gw.socket(packets.FAMILY[version], UDP) as sender:
        sender.bind((INSIDE[version], 0))
        with contextlib.suppress(OSError):
            sender.sendto(b"x", (net.visitor(version), 41001))
        return arrivals(receiver, net.patience)


def gateway_shows_tunnel_address_untracked(net, version):
    answer = packets.icmp(version, INSIDE[version], net.visitor(version), 0 if version == 4 else 129, 0, bytes([0, 7, 0, 1]) + b"nobody asked")
    with Tap(net.inet, "eth0", version) as tap:
        with contextlib.suppress(OSError):  # that is how the kernel says that it was dropped
            packets.send(net.gw, version, answer)
        return tap.seen(lambda packet: b"nobody asked" in packet, net.patience)


def visits_to_a_lost_tunnel(net, version):
    """An open visit, and the device's route is gone: its packets would leave by the default route, with the address inside."""
    net.lease("udp", version, 30001, net.a)
    device = net.a.address(version)
    with net.a.socket(version, UDP, 30001) as holder, new_socket(net.inet, version, UDP, 41001) as visitor, Tap(net.inet, "eth0", version) as tap:
        visitor.sendto(b"open", (net.public(version), 30001))
        (_, peer), = arrivals(holder, 5)
        holder.sendto(b"yes", peer)
        assert arrived(visitor, b"yes", 5)
        route = f"{'ip' if version == 4 else 'ip -6'} route {{}} {device} via {net.visitor(version)} dev wan"
        net.gw.sh(route.format("add"))
        try:
            visitor.sendto(b"still open", (net.public(version), 30001))
            return tap.seen(lambda packet: packets.destination_of(version, packet) == device, net.patience)
        finally:
            net.gw.sh(route.format("del"))


def a_foreign_redirect(net, version):
    """Another program's rule leads visitors to a device, without a lease."""
    with net.a.socket(version, UDP, 53) as device, new_socket(net.inet, version, UDP, 41001) as visitor:
        visitor.sendto(b"x", (net.public(version), 8053))
        return arrivals(device, net.patience)


def a_foreign_redirect_of_a_lease(net, version):
    """Another program takes a leased port to itself."""
    net.lease("udp", version, 30001, net.b)
    with net.b.socket(version, UDP, 30001) as holder, new_socket(net.inet, version, UDP, 41001) as visitor:
        visitor.sendto(b"x", (net.public(version), 30001))
        return [] if arrivals(holder, SILENCE_S) else ["the holder of the lease hears nothing"]


def wrong_family(net, version):
    """The tunnel carries the other family only."""
    with new_socket(net.inet, version, UDP, 41001) as receiver, net.a.socket(version, UDP) as sender:
        sender.sendto(b"x", (net.visitor(version), 41001))
        return arrivals(receiver, net.patience)


def helper_opens_a_port(net, version):
    """NAT slipstreaming: a program on the device is led to say PORT to a server, and a helper then opens the device's port 22 to it."""
    net.lease("tcp", version, 30003, net.a)  # the control connection has a lease's mark, and the kernel gives it to what a helper expects
    with TcpServer(net.a.host, 22, versions=(version,)) as inside, new_socket(net.inet, version, TCP, 21) as listener, \
            net.a.socket(version, TCP, 30003) as control:
        listener.listen()
        control.settimeout(5)
        control.connect((net.visitor(version), 21))
        server, _ = listener.accept()
        with server:
            server.settimeout(5)
            own = net.a.address(version)
            control.sendall(b"USER anonymous\r\n")  # the helper reads from the second line on
            server.recv(200)
            control.sendall(f"PORT {own.replace('.', ',')},0,22\r\n".encode() if version == 4 else f"EPRT |2|{own}|22|\r\n".encode())
            said = server.recv(200).decode()
            assert own.replace(".", ",") not in said  # the helper is at work
            numbers = said.strip().rstrip("|").replace("|", ",").split(",")
            port = int(numbers[-1]) + (256 * int(numbers[-2]) if version == 4 else 0)
            tcp_visit(net.inet, net.public(version), port, seconds=net.patience)
        return list(inside.peers)


# --- packets that nobody should send


def odd_flags_out(net, version):
    with Tap(net.inet, "eth0", version) as tap:
        for flags in (0, SYN | FIN, SYN | RST, FIN | PSH | URG, 0x3F):
            packets.send(net.a.host, version, packets.tcp(version, net.a.address(version), net.visitor(version), 4000 + flags, 80, flags, b"odd"), "tunnel")
        return tap.seen(lambda packet: b"odd" in packet, net.patience)


def odd_flags_in(net, version):
    """To a lease and beside it: only what may begin a connection reaches the device."""
    net.lease("tcp", version, 30001, net.b)
    with Tap(net.b.host, "tunnel", version) as tap:
        for port in (30001, 30002):
            for flags in (0, SYN | FIN, SYN | RST, FIN, FIN | PSH | URG, 0x3F, RST, RST | ACK):
                packets.send(net.inet, version, packets.tcp(version, net.visitor(version), net.public(version), 42000 + flags, port, flags, b"odd"))
        return tap.seen(lambda packet: b"odd" in packet, net.patience)


def overlapping_fragments(net, version):
    """Fragments that overlap and disagree about the port; small first ones; ones without a beginning. An honest long datagram passes."""
    net.lease("udp", version, 30001, net.b)
    source, target = net.visitor(version), net.public(version)
    whole = [packets.udp_segment(version, source, target, 41001, port, b"fragmented" * 8) for port in (30001, 22)]
    with Tap(net.b.host, "tunnel", version) as tap:
        for number, (one, other) in enumerate(((whole[0], whole[1]), (whole[1], whole[0]))):
            for parts in (((one[:24], 0, True), (other[:24], 0, True), (one[24:], 24, False)),
                          ((one[:8], 0, True), (other[:16], 0, True), (one[8:], 8, False)),
                          ((one[24:], 24, False), (other[:32], 0, True)),
                          ((one[40:], 40, False),)):
                for part, offset, more in parts:
                    with contextlib.suppress(OSError):
                        packets.send(net.inet, version, packets.fragment(version, source, target, 17, part, offset, more, 7000 + number))
        strays = tap.seen(lambda packet: b"fragmented" in packet and packets.first_ports(version, packet) not in (None, (41001, 30001)), net.patience)
    with net.b.socket(version, UDP, 30001) as holder, new_socket(net.inet, version, UDP, 41002) as visitor:
        def passes():
            visitor.sendto(b"long" * 700, (target, 30001))  # the first one may only find out how narrow the tunnel is
            return arrived(holder, b"long" * 700, 0.5)
        wait_for(passes, 5, "a long datagram passes")
    return strays


def forged_errors(net, version):
    """ICMP errors about connections that do not exist, or are another's, in the name of the gateway, of devices and of nobody."""
    net.lease("udp", version, 30001, net.b)
    visitor, public = net.visitor(version), net.public(version)
    with Tap(net.a.host, "tunnel", version) as a, Tap(net.b.host, "tunnel", version) as b:
        for inner_source, port in ((public, 30001), (public, 40000), (net.a.address(version), 4000), (net.b.address(version), 30001),
                                   (STRANGER[version], 30001), (public, 51820)):
            about = packets.udp(version, inner_source, visitor, port, 41001, b"x")
            for source in (visitor, STRANGER[version]):
                packets.send(net.inet, version, packets.port_unreachable(version, source, public, about))
            packets.send(net.inet, version, packets.port_unreachable(version, visitor, public, about[:24]))
        is_error = lambda packet: packets.protocol_of(version, packet) == packets.ICMP[version]  # noqa: E731
        return a.seen(is_error, net.patience / 2) + b.seen(is_error, net.patience / 2)


def path_of_a_visit(net, version):
    """Packets that die on the way to a device (traceroute), and one to a port where no program listens: who says so must not be an inner address."""
    net.lease("udp", version, 30001, net.b)
    inner = [packets.binary(version, address) for address in (net.b.address(version), INSIDE[version])]
    level, option = (socket.IPPROTO_IP, socket.IP_TTL) if version == 4 else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
    errors = {packets.ICMP[version]: {4: (3, 11), 6: (1, 3)}[version]}

    def is_error(packet):
        return packets.after_header(version, packet)[0] in errors.get(packets.protocol_of(version, packet), ())
    with Tap(net.inet, "eth0", version) as tap:
        for hops in (1, 2, 3, 64):
            with new_socket(net.inet, version, UDP) as sender:
                sender.setsockopt(level, option, hops)
                sender.sendto(b"who is there", (net.public(version), 30001))
        told = tap.seen(is_error, 5, 2)
        assert len(told) == 2  # the gateway, and the device
        told += tap.seen(is_error, net.patience)
    return [packet for packet in told if any(address in packet for address in inner)]


def answers_larger_than_questions(net, version):
    """Small packets to everything that may answer: nobody is worth asking in a victim's name."""
    visitor, public, asked = net.visitor(version), net.public(version), {}
    with Tap(net.inet, "eth0", version) as tap:
        for kind in ("udp", "wireguard", "syn", "ack", "fin"):
            for port in (22, 53, 1900, 5351, 8080, 30001, 40000, 51820):
                own = 42000 + len(asked)
                if kind in ("udp", "wireguard"):
                    payload = b"x" if kind == "udp" else b"\1\0\0\0" + bytes(144)
                    packet = packets.udp(version, visitor, public, own, port, payload)
                else:
                    packet = packets.tcp(version, visitor, public, own, port, {"syn": SYN, "ack": ACK, "fin": FIN | ACK}[kind])
                asked[own] = (kind, port, len(packet))
                packets.send(net.inet, version, packet)
        packets.send(net.inet, version, packets.echo_request(version, visitor, public, 42999, b"honest"))
        asked[42999] = ("echo", 0, len(packets.echo_request(version, visitor, public, 42999, b"honest")))
        seen = tap.seen(lambda packet: packets.source_of(version, packet) == public, min(net.patience, 1), len(asked) * 10)
    sizes = {own: sum(len(packet) for packet in seen if struct.pack("!H", own) in packets.after_header(version, packet)) for own in asked}
    assert sizes[42999]  # an answer is seen where there is one
    return [f"{kind} to {port}: {sizes[own]} bytes for {size}" for own, (kind, port, size) in asked.items() if sizes[own] > size]


# --- our rules are gone


def flushed_inward(net, version):
    with net.a.socket(version, UDP, 30001) as device, new_socket(net.inet, version, UDP, 41001) as sender:
        for _ in range(3):
            with contextlib.suppress(OSError):
                sender.sendto(b"x", (net.a.address(version), 30001))
        return arrivals(device, net.patience)


def flushed_outward(net, version):
    with Tap(net.inet, "eth0", version) as tap:
        packets.send(net.a.host, version, packets.udp(version, net.a.address(version), net.visitor(version), 4000, 4001, b"unguarded"), "tunnel")
        return tap.seen(lambda packet: b"unguarded" in packet, net.patience)
